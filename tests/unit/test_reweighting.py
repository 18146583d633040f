"""The prior of a population in place of the training sample's."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

import qnet
from makers import make_spectra
from networks import columns_of, verifying_model, with_density
from qnet.classification.criterion import choose_criterion
from qnet.classification.reweighting import Weights, make_reweighting
from qnet.core.bins import RedshiftBins
from qnet.core.density import QuasarDensity
from qnet.core.errors import InputError
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.core.spectra import SURVEY_FLUX_UNIT
from qnet.model.laws import Logistic
from qnet.postprocess.candidates import find_candidates, find_weighted
from qnet.preprocess.normalisation import preprocess
from qnet.simulation.frame import FRAME, scale_to_r

WAVE = np.arange(3700.0, 9500.0, 2.0)
NSPEC = 40
BINS = RedshiftBins(0.05, 6.8, 160)
CENTRES = BINS.z_at(np.arange(BINS.nbins) + 0.5)
EQUAL = QuasarDensity(10 ** np.linspace(np.log10(1.05), np.log10(7.8), 21) - 1, (15, 24),
                      np.ones((20, 1)))  # fmt: skip
MIX = {"QSO": 0.54, "STAR": 0.17, "GALAXY": 0.16, "SKY": 0.13}


@pytest.fixture(scope="module")
def spectra():
    flux, ivar = make_spectra(WAVE, np.linspace(0.3, 3.5, NSPEC), seed=3)
    made = qnet.io.from_arrays(WAVE, flux, ivar, targetid=np.arange(NSPEC))
    return dataclasses.replace(made, flux_unit=SURVEY_FLUX_UNIT)


@pytest.fixture(scope="module")
def plain(small_model):
    return verifying_model(small_model)


@pytest.fixture(scope="module")
def model(plain):
    return with_density(plain)


def equal_population(mix, **options):
    """The population of the training sample of `with_density`."""
    return qnet.Population(EQUAL.z, EQUAL.r, EQUAL.values, mix, **options)


def test_the_training_population_changes_nothing(spectra, plain, model):
    before = columns_of(spectra, plain)
    for prior in ("training", equal_population(model.calibration.mix)):
        after = columns_of(spectra, model, prior=prior)
        for name, values in before.items():
            np.testing.assert_allclose(after[name], values, rtol=2e-6, atol=1e-7, err_msg=name)
    # A model without density is what it was, whatever the default.
    for name, values in columns_of(spectra, plain, prior="training").items():
        np.testing.assert_array_equal(values, before[name])


def test_fractions_alone_are_the_known_formula(spectra, plain, model):
    mix = dict(model.calibration.mix)
    for fraction in (0.05, 0.9):
        others = (1 - fraction) / (1 - mix["QSO"])
        scaled = {name: others * part for name, part in mix.items()} | {"QSO": fraction}
        wanted = columns_of(spectra, plain, prior_qso=fraction)
        for options in (
            {"prior": equal_population(scaled)},
            {"prior": equal_population(mix), "prior_qso": fraction},
        ):
            found = columns_of(spectra, model, **options)
            np.testing.assert_allclose(found["P_QSO"], wanted["P_QSO"], rtol=1e-4, atol=1e-7)


def test_a_population_is_bayes_theorem_on_a_toy_posterior():
    """Of simulated spectra, each of a bin or a class: the posterior of a population."""
    rng = np.random.default_rng(5)
    bins = RedshiftBins(0.0, 3.0, 4)
    edges = tuple(bins.z_at(np.arange(5)).tolist())
    trained = np.array([0.4, 0.3, 0.2, 0.1])
    there = np.array([0.1, 0.1, 0.3, 0.5])
    fractions = {"QSO": 0.2, "STAR": 0.3, "GALAXY": 0.4, "SKY": 0.1}
    # A likelihood of what is seen, by redshift bin, star or sky, and galaxy.
    likelihood = rng.dirichlet(np.ones(8), 6)  # (state, seen)
    star, galaxy = MIX["STAR"] + MIX["SKY"], MIX["GALAXY"]
    before = np.concatenate([MIX["QSO"] * trained, [star, galaxy]])
    after = np.concatenate([0.2 * there, [0.4, 0.4]])
    posterior, wanted = (
        (prior[:, None] * likelihood / (prior @ likelihood)).T for prior in (before, after)
    )
    population = qnet.Population(edges, (10, 30), there[:, None], fractions)
    density = QuasarDensity(edges, (10, 30), trained[:, None])
    prior = make_reweighting(population, density, MIX, bins, None)
    weights = np.tile(prior.of_any, (8, 1))
    np.testing.assert_allclose(prior.of_any, there / trained, rtol=1e-5)
    odds, relative = prior.apply(posterior, weights, 8)
    p = posterior[:, :4].sum(axis=1)
    found = p * odds / (p * odds + 1 - p)
    np.testing.assert_allclose(found, wanted[:, :4].sum(axis=1), rtol=1e-5)
    by_z = posterior[:, :4] * relative
    np.testing.assert_allclose(by_z.sum(axis=1), p, rtol=1e-5)
    expected = wanted[:, :4] / wanted[:, :4].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(by_z / by_z.sum(axis=1, keepdims=True), expected, rtol=1e-5)


def weights_of(prior, rmag, grid=QUASARNET_GRID, *, unit=SURVEY_FLUX_UNIT, noise=0.01, cut=None):
    """Weights (nbins,) for a flat spectrum in f_nu ~ nu^-0.5 of a magnitude."""
    flux = scale_to_r((FRAME.wave / 5000)[None] ** -1.5, np.array([rmag]))
    ivar = np.full(flux.shape, noise**-2.0)
    if cut is not None:
        ivar[:, (FRAME.wave < cut[0]) | (FRAME.wave > cut[1])] = 0
    camera = qnet.Camera("a", FRAME.wave, flux, ivar)
    weights = Weights(prior, unit, 1, grid, BINS)
    preprocess([camera], grid, measure=weights)
    return weights.values[0]


@pytest.fixture(scope="module")
def targets():
    population = qnet.Population.named("quasar-targets")
    return make_reweighting(population, EQUAL, MIX, BINS, None)


def toy(z, parts, stars=0.0):
    """A posterior with sharp peaks at redshifts, and the rest a class of stars."""
    posterior = np.zeros((1, BINS.noutputs), np.float32)
    posterior[0, BINS.bin_of(z)] = parts
    posterior[0, BINS.nbins] = stars
    return posterior


def test_a_bright_seyfert_is_not_the_brightest_quasar_of_the_universe(targets):
    posterior = toy([5.45, 0.2], [0.90, 0.06], 0.04)
    z, _ = find_candidates(posterior, BINS, 2)
    assert z[0] == pytest.approx([5.45, 0.2], abs=0.05)
    weights = weights_of(targets, 17.0)[None]
    odds, relative = targets.apply(posterior, weights, 1)
    z, probability, weight = find_weighted(posterior, relative, BINS, 2)
    assert z[0] == pytest.approx([0.2, 5.45], abs=0.05)
    np.testing.assert_allclose(probability[0], [0.06, 0.90], rtol=1e-6)
    first, second = probability[0] * weight[0]
    assert first > 10 * second
    assert first + second == pytest.approx(0.96, rel=1e-5)
    # The brightness is evidence against a quasar, as far as only a high redshift speaks for one.
    assert 0.1 < odds[0] < 0.6


#: Redshifts, and the least and largest weight of a faint quasar there.
FAINT = [(0.3, 0.5, 2), (1.5, 1, 4), (3.0, 0.3, 1.5), (4.5, 0.03, 0.3), (6.4, 0.003, 0.08)]


@pytest.mark.parametrize(("z", "least", "most"), FAINT)
def test_faint_quasars_are_where_quasars_are(targets, z, least, most):
    """What looks like sky, S/N near 0, is most probably not at z > 6."""
    weights = weights_of(targets, 23.5, noise=1.0)
    assert least < weights[BINS.bin_of([z])[0]] < most


def test_magnitudes_are_measured_redward_of_lyman_alpha(targets):
    """A spectrum dark below Lyman alpha has the weights of a whole one, at its redshift."""
    flux = scale_to_r((FRAME.wave / 5000)[None] ** -1.5, np.array([19.0]))
    ivar = np.full(flux.shape, 1e4)
    z = 5.0
    dark = np.where(FRAME.wave < 1215.67 * (1 + z), 0.0, flux)
    rows = np.concatenate([flux, dark, -flux, np.full_like(flux, np.nan)])
    camera = qnet.Camera("a", FRAME.wave, rows, np.repeat(ivar, 4, axis=0))
    grid = WavelengthGrid.log(3600.0, 10000.0, 1e-3)
    weights = Weights(targets, SURVEY_FLUX_UNIT, 4, grid, BINS)
    preprocess([camera], grid, measure=weights)
    whole, absorbed, negative, nothing = weights.values
    above = BINS.bin_of([z])[0]
    np.testing.assert_allclose(absorbed[above : above + 5], whole[above : above + 5], rtol=0.02)
    # As the redshift below which r is not absorbed says: it is as faint as the noise.
    faint = targets.by_magnitude[-1]
    low = CENTRES < 3.5
    np.testing.assert_array_equal(absorbed[low], faint[low])
    np.testing.assert_array_equal(negative, faint)
    np.testing.assert_array_equal(nothing, targets.of_any)


def test_the_magnitude_is_that_of_the_simulator(targets):
    """Within a tenth, for any coverage of a spectrum with the slope of quasars."""
    for rmag in (16.0, 19.3, 22.0):
        number = round((rmag - 10.0) / 0.1)
        near = targets.by_magnitude[number - 1 : number + 2]
        for cut in (None, (3600.0, 5000.0), (6300.0, 6800.0), (8000.0, 9800.0)):
            found = weights_of(targets, rmag, cut=cut)
            inside = (found >= near.min(axis=0)) & (found <= near.max(axis=0))
            assert inside.all(), (rmag, cut)


def test_below_the_forest_it_is_the_r_band_and_noise_counts(targets):
    """Light beyond r does not count at low redshift; of no light, the noise is the magnitude."""
    flux = scale_to_r((FRAME.wave / 5000)[None] ** -1.5, np.array([21.0]))
    red = np.where(FRAME.wave > 7000, 100 * flux, flux)
    ivar = np.array([1e4, 1e4, 1e-4])[:, None] * np.ones(flux.shape)
    weights = Weights(targets, SURVEY_FLUX_UNIT, 3, QUASARNET_GRID, BINS)
    rows = np.concatenate([flux, red, np.zeros_like(flux)])
    preprocess([qnet.Camera("a", FRAME.wave, rows, ivar)], QUASARNET_GRID, measure=weights)
    whole, reddened, nothing = weights.values
    low = CENTRES < 3.5
    np.testing.assert_array_equal(reddened[low], whole[low])
    high = CENTRES > 3.65
    assert (reddened[high] != whole[high]).all()
    # An error of 100 in each of some 905 pixels: 3.3e-17 erg/s/cm2/Angstrom.
    rmag = -2.5 * np.log10(100 / np.sqrt(905) * 1e-17 * 6165**2 / 2.998e18) - 48.6
    node = round((rmag - 10.0) / 0.1)
    near = targets.by_magnitude[node - 1 : node + 2][:, low]
    assert ((nothing[low] >= near.min(axis=0)) & (nothing[low] <= near.max(axis=0))).all()


@pytest.mark.parametrize("unit", ["", "ct", "1e-17"])
def test_without_a_known_unit_all_magnitudes_are_summed(targets, unit):
    np.testing.assert_array_equal(weights_of(targets, 17.0, unit=unit), targets.of_any)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [(SURVEY_FLUX_UNIT, 1.0), ("erg / (Angstrom s cm2)", 1e-17), ("1e-20 erg/s/cm2/A", 1e3),
     ("W / m3", 1e-10)],
)  # fmt: skip
def test_any_unit_of_flux_is_the_same(spectra, model, unit, factor):
    camera = spectra.cameras[0]
    other = dataclasses.replace(
        camera, flux=camera.flux.astype(float) * factor, ivar=camera.ivar.astype(float) / factor**2
    )
    scaled = dataclasses.replace(spectra, cameras=(other,), flux_unit=unit)
    found, wanted = (columns_of(x, model, prior="fibres") for x in (scaled, spectra))
    for name in ("P_QSO", "ZBEST", "Z2"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-3, err_msg=name)


def test_plain_arrays_have_no_magnitude(spectra, model):
    bare = dataclasses.replace(spectra, flux_unit="")
    camera = spectra.cameras[0]
    table = qnet.classify(WAVE, camera.flux, camera.ivar, model=model)
    np.testing.assert_array_equal(table["P_QSO"], columns_of(bare, model)["P_QSO"])
    assert (columns_of(bare, model)["P_QSO"] != columns_of(spectra, model)["P_QSO"]).any()


def test_redshifts_and_probabilities_follow_the_prior(spectra, plain, model):
    """Each column from the same steps by hand."""
    prior = qnet.Population([0.05, 1.0, 6.8], [10.0, 30.0], [[100.0], [1.0]],
                            {"QSO": 0.2, "STAR": 0.5, "GALAXY": 0.2, "SKY": 0.1})  # fmt: skip
    found, before = columns_of(spectra, model, prior=prior), columns_of(spectra, plain)
    assert np.median(found["ZBEST"]) < np.median(before["ZBEST"])
    output = model.forward(model.preprocess(spectra).X)
    bins = model.architecture.redshifts
    reweighting = choose_criterion(model, prior=prior).prior
    weights = np.tile(reweighting.of_any, (NSPEC, 1)).astype(float)
    quasar = output.posterior[:, : bins.nbins].astype(float)
    mean = (quasar * weights).sum(axis=1) / quasar.sum(axis=1)
    others = output.posterior[:, bins.nbins :].astype(float)
    mix = model.calibration.mix
    ratio = [0.6 / (mix["STAR"] + mix["SKY"]), 0.2 / mix["GALAXY"]]
    odds = mean * 0.2 / mix["QSO"] / ((others * ratio).sum(axis=1) / others.sum(axis=1))
    unrefined = np.isnan(found["ZERR"]) & np.isnan(before["ZERR"])
    p = before["P_QSO"].astype(float)
    expected = p * odds / (p * odds + 1 - p)
    np.testing.assert_allclose(found["P_QSO"][unrefined], expected[unrefined], rtol=1e-3)
    z, probability, weight = find_weighted(output.posterior, weights, bins, 3)
    assert unrefined.any()
    np.testing.assert_allclose(found["ZBEST"][unrefined], z[unrefined, 0])
    share = (probability * weight)[:, 1] / (quasar * weights).sum(axis=1)
    p2 = (found["P_QSO"] * share)[unrefined]
    np.testing.assert_allclose(found["P2"][unrefined], p2, rtol=1e-4)


def test_the_second_stage_chooses_by_the_prior(spectra, plain, model):
    """Refined rows move to where the population is; P_Z has the probabilities of the candidates."""
    law = Logistic(("logit_share",), (0.0,), (1.0,), (-99.0,), (99.0,), (0.0, 1.0), 1)
    calibration = dataclasses.replace(model.calibration, p_z=law, refine_floor=0.0)
    model = qnet.Model(dataclasses.replace(model.weights, calibration=calibration))
    far = qnet.Population([0.05, 2.0, 2.5, 6.8], [10.0, 30.0], [[1e-3], [1e-3], [1.0]])
    found, before = (columns_of(spectra, model, prior=prior) for prior in (far, "training"))
    refined = np.isfinite(found["ZERR"]) & np.isfinite(before["ZERR"])
    moved = refined & (np.abs(found["ZBEST"] - before["ZBEST"]) > 0.1)
    assert moved.sum() > 3
    assert (found["ZBEST"][moved] > 2.2).all()
    # This P_Z is the fraction of the posterior: that of a far candidate was less before.
    shares = [np.median(x["P_Z"][moved]) for x in (found, before)]
    assert shares[0] > 1.2 * shares[1]


def test_rows_are_alone_in_any_order_and_number_of_threads(spectra, model):
    whole = qnet.classify(spectra, model=model, prior="fibres")
    order = np.random.default_rng(0).permutation(NSPEC)
    again = qnet.classify(spectra.select(order), model=model, prior="fibres", threads=2)
    some = qnet.classify(spectra, model=model, prior="fibres", rows=[3, 5])
    for name in ("P_QSO", "ZBEST", "ZERR", "Z2", "P2"):
        np.testing.assert_allclose(again[name], whole[name][order], rtol=1e-4, err_msg=name)
        np.testing.assert_allclose(some[name][[3, 5]], whole[name][[3, 5]], rtol=1e-4)


def test_the_criterion_of_lines_has_no_population(spectra, plain, model):
    for options in ({"c_threshold": 0.7}, {"min_lines": 2}):
        found, wanted = (columns_of(spectra, x, **options) for x in (model, plain))
        for name, values in wanted.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)
        with pytest.raises(InputError, match="prior cannot be given with c_threshold or min_lines"):
            choose_criterion(model, prior="fibres", **options)


def test_a_model_without_redshift_head_has_the_fractions_alone(spectra, two_stage_model):
    model = with_density(two_stage_model)
    found = columns_of(spectra, model, prior="fibres")
    wanted = columns_of(spectra, two_stage_model, prior_qso=0.08)
    np.testing.assert_allclose(found["P_QSO"], wanted["P_QSO"], rtol=1e-5)
    np.testing.assert_array_equal(found["ZBEST"], wanted["ZBEST"])


def test_the_header_names_the_prior(spectra, plain, model, tmp_path):
    meta = qnet.classify(spectra, model=model).meta
    assert (meta["PRIOR"], meta["PRIORQSO"]) == ("quasar-targets", 0.55)
    assert meta["PRIORMIX"] == "QSO 0.55, STAR 0.23, GALAXY 0.09, SKY 0.13"
    meta = qnet.classify(spectra, model=model, prior="fibres", prior_qso=0.54).meta
    assert (meta["PRIOR"], meta["PRIORQSO"]) == ("fibres", 0.54)
    assert meta["PRIORMIX"] == "QSO 0.54, STAR 0.095, GALAXY 0.315, SKY 0.05"
    for one, options in ((plain, {}), (model, {"prior": "training"})):
        meta = qnet.classify(spectra, model=one, **options).meta
        assert (meta["PRIOR"], meta["PRIORQSO"]) == ("training", 0.4)
        assert "PRIORMIX" not in meta
    table = Table({"Z_LOW": [0.0], "Z_HIGH": [7.0], "DENSITY": [1.0]}, meta={"NAME": "mine"})
    assert qnet.classify(spectra, model=model, prior=table).meta["PRIOR"] == "mine"
    path = qnet.Population.from_table(table).write(tmp_path / "sky.csv")
    assert qnet.classify(spectra, model=model, prior=path).meta["PRIOR"] == "sky.csv"


def test_priors_that_are_none(plain, model, small_model):
    legal = "prior must be one of quasar-targets, fibres, training, a population's file"
    for prior in ("quasars", 3, [1], "no/such/file"):
        with pytest.raises(InputError, match=legal):
            choose_criterion(model, prior=prior)
    with pytest.raises(qnet.MissingFileError, match=r"no\.fits"):
        choose_criterion(model, prior="no.fits")
    for one in (plain, small_model):
        assert choose_criterion(one, prior="training").prior is None
        assert choose_criterion(one).prior is None
        with pytest.raises(InputError, match="whose calibration holds the density of its training"):
            choose_criterion(one, prior="fibres")


def test_the_density_is_in_the_weights_file(model, tmp_path):
    again = qnet.load_model(model.save(tmp_path / "dense.safetensors"))
    assert again.calibration == model.calibration
    assert again.calibration.density == model.calibration.density


@given(st.lists(st.floats(0, 1), min_size=40, max_size=40), st.floats(1e-3, 1e3))
def test_equal_weights_of_any_size_find_the_same_candidates(parts, weight):
    bins = RedshiftBins(0.05, 6.8, 40)
    posterior = np.array([[*parts, 0.1, 0.1]])
    z, probability = find_candidates(posterior, bins, 3)
    weighted = find_weighted(posterior, np.full((1, 40), weight), bins, 3)
    np.testing.assert_allclose(weighted[1], probability, rtol=1e-12)
    np.testing.assert_allclose(weighted[0], z, rtol=1e-9)
    np.testing.assert_allclose(weighted[2][probability > 0], weight, rtol=1e-9)


def test_a_population_without_such_quasars_calls_none():
    population = qnet.Population([0.05, 1.0, 2.0], [15.0, 24.0], [[1.0], [0.0]])
    prior = make_reweighting(population, EQUAL, MIX, BINS, None)
    posterior = toy([5.0], [0.9], 0.1)
    odds, relative = prior.apply(posterior, prior.of_any[None], 1)
    assert odds[0] == 0
    assert (relative == 1).all()
