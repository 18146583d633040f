"""Calibration of a model: fits near a parent's, and what they make of a sample."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import qnet
from networks import law_of, verifying_model
from qnet.core.arrays import nmad
from qnet.core.errors import InputError, QnetWarning
from qnet.core.grid import QUASARNET_GRID
from qnet.model.laws import Evidence, Table
from qnet.simulation import write_simulation
from qnet.training import calibrate
from qnet.training.fitting import LEAST_ROWS, fit_logistic, fit_widths
from qnet.training.sample import Sample, cut, split_noise

#: Spectra of the sample.
NSPEC = 300


def labelled_sample(nspec=20000, seed=0):
    """Features, and labels drawn from a known logistic law of their monomials."""
    rng = np.random.default_rng(seed)
    x = rng.normal([1.0, -2.0], [2.0, 0.5], (nspec, 2))
    a, b = (x[:, 0] - 1) / 2, (x[:, 1] + 2) / 0.5
    p = 1 / (1 + np.exp(-(0.3 + a - 0.5 * b + 0.4 * a * b)))
    return x, (rng.uniform(size=nspec) < p).astype(float), p


def test_a_fit_finds_the_law_that_made_the_labels():
    x, label, p = labelled_sample()
    fit = fit_logistic(x, label, names=("a", "b"))
    assert np.abs(fit.probability(x) - p).mean() < 0.01
    assert fit.monomials == [(), (0,), (1,), (0, 0), (0, 1), (1, 1)]
    np.testing.assert_allclose(fit.coefficients, [0.3, 1, -0.5, 0, 0.4, 0], atol=0.1)
    # A constant that is not penalised makes the mean of the probabilities that of the labels.
    assert fit.probability(x).mean() == pytest.approx(label.mean(), abs=1e-7)


def test_a_weight_is_a_number_of_rows():
    x, label, _ = labelled_sample(300)
    weight = np.random.default_rng(1).integers(0, 4, 300)
    once = fit_logistic(x, label, weight, names=("a", "b"))
    repeated = fit_logistic(
        np.repeat(x, weight, axis=0), np.repeat(label, weight), names=("a", "b")
    )
    np.testing.assert_allclose(once.coefficients, repeated.coefficients, rtol=1e-5, atol=1e-8)


def test_the_penalty_shrinks_and_separable_data_need_it():
    x, label = np.linspace(-1, 1, 40)[:, None], np.arange(40) >= 20
    weak, strong = (fit_logistic(x, label, names=["a"], degree=1, l2=l2) for l2 in (0.1, 10.0))
    assert weak.coefficients[1] > 2 * strong.coefficients[1] > 0


@pytest.mark.parametrize(
    ("features", "label", "options", "message"),
    [
        (np.ones((3, 2)), [0, 1], {}, "must have the shapes"),
        (np.ones((2, 2)), [0, 2], {}, "label 0 or 1"),
        ([[np.nan], [1]], [0, 1], {}, "must be finite"),
        ([[0], [1]], [1, 1], {}, "rows of both labels"),
        ([[0], [1]], [0, 1], {"weight": [1, -1]}, "must not be negative"),
        ([[0], [1]], [0, 1], {"l2": -1}, "must not be negative"),
        ([[0], [1]], [0, 1], {"degree": 3}, "degree must be 1 or 2"),
        ([[0], [1]], [0, 1], {"names": ["a", "b"]}, "for 2 features|need"),
    ],
)
def test_fits_that_are_refused(features, label, options, message):
    names = ["a", "b"][: np.shape(features)[1]]
    with pytest.raises(InputError, match=message):
        fit_logistic(features, label, **{"names": names, **options})


def test_a_small_sample_stays_near_a_parent_and_a_large_one_finds_its_own_law():
    x, label, _ = labelled_sample()
    parent = fit_logistic(x, label, names=("a", "b"))
    other = label[::-1].copy()  # nothing depends on the features
    few, many = slice(0, 60), slice(None)
    near, far = (
        fit_logistic(x[rows][:, ::-1], other[rows], names=("b", "a"), l2=50.0, parent=parent)
        for rows in (few, many)
    )
    own = np.array(parent.coefficients)[[0, 2, 1, 5, 4, 3]]  # of b, a, bb, ba, aa
    np.testing.assert_allclose(near.coefficients[1:], own[1:], atol=0.3)
    np.testing.assert_allclose(far.coefficients[1:], np.zeros(5), atol=0.05)
    alone = fit_logistic(x[few][:, ::-1], other[few], names=("b", "a"))
    assert np.abs(np.array(alone.coefficients) - own)[1:].max() > 0.6
    # A new feature has no part in a parent's law, and nothing is clipped that the parent saw.
    wider = np.column_stack([x[:3] * 0 + x.mean(axis=0), [1.0, 2.0, 3.0]])
    grown = fit_logistic(wider, [0, 1, 1], names=("a", "b", "c"), l2=1e9, parent=parent)
    assert (grown.low[0], grown.high[1]) == (parent.low[0], parent.high[1])
    eta = [np.log(q / (1 - q)) for q in (grown.probability(wider), parent.probability(x[:1]))]
    assert np.ptp(eta[0]) < 1e-3
    shift = grown.coefficients[0] - parent.coefficients[0]
    at = np.column_stack([x, np.full(len(x), 2.0)])
    expected = 1 / (1 + np.exp(-(np.log(p_of(parent, x)) + shift)))
    np.testing.assert_allclose(grown.probability(at), expected, atol=1e-3)


def p_of(law, x):
    """The odds of a law."""
    p = law.probability(x)
    return p / (1 - p)


def scattered(width, nspec=4000, seed=3):
    """Two quantities in 0 .. 2, and values that scatter by a width of their bins."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 2, (2, nspec))
    return x, y, rng.normal(0, 1, nspec) * width(x, y)


EDGES = ((0.0, 1.0, 2.0), (0.0, 1.0, 2.0))


def test_widths_are_those_of_the_bins():
    given = scattered(lambda x, y: np.where(x < 1, 1.0, 2.0) * np.where(y < 1, 1.0, 3.0))
    table = fit_widths(*given, EDGES)
    np.testing.assert_allclose(table.values, [[1, 3], [2, 6]], rtol=0.08)
    parent = Table(*EDGES, ((1.0, 1.0), (2.0, 2.0)))
    np.testing.assert_allclose(
        fit_widths(*given, EDGES, parent)([0.5, 1.5], [0.5, 1.5]), [1, 6], rtol=0.2
    )


def test_bins_of_few_rows_take_the_factor_of_more_and_then_the_parents():
    x, y, values = scattered(lambda x, y: np.where(x < 1, 1.0, 2.0))
    kept = (y < 1) | (x < 1)  # none in the last bin
    parent = Table(*EDGES, ((1.0, 1.0), (1.0, 10.0)))
    table = fit_widths(x[kept], y[kept], values[kept], EDGES)
    assert table.values[1][1] == table.values[1][0] == pytest.approx(2, rel=0.1)
    near = fit_widths(x[kept], y[kept], values[kept], EDGES, Table((0, 2), (0, 2), ((0.5,),)))
    np.testing.assert_allclose(near.values, table.values, rtol=1e-9)
    few = slice(0, LEAST_ROWS - 1)
    assert fit_widths(x[few], y[few], values[few], EDGES, parent) is parent
    assert fit_widths(x[few], y[few], values[few], EDGES) is None


def flat_spectra(nspec=40, wave=None, error=0.5, seed=1):
    """Spectra of noise alone, with a pixel without weight."""
    wave = np.arange(3700.0, 9500.0, 4.0) if wave is None else wave
    rng = np.random.default_rng(seed)
    flux = rng.normal(3, error, (nspec, wave.shape[-1]))
    ivar = np.full(flux.shape, error**-2)
    flux[:, 7], ivar[:, 7] = np.nan, 0
    cameras = [qnet.Camera("x", wave, flux, ivar), qnet.Camera("y", wave + 1, flux, ivar)]
    return qnet.Spectra(cameras, {"TARGETID": np.arange(nspec)})


def test_halves_of_a_spectrum_are_independent_observations():
    spectra, rng = flat_spectra(400), np.random.default_rng(0)
    one, two = (change(rng, spectra, QUASARNET_GRID) for change in split_noise(5))
    for first, second, camera in zip(one.cameras, two.cameras, spectra.cameras, strict=True):
        for half in (first, second):
            np.testing.assert_array_equal(half.ivar, camera.ivar / 2)
            assert np.isnan(half.flux[:, 7]).all()
        a, b = (np.delete(half.flux, 7, axis=1).ravel() - 3 for half in (first, second))
        assert [np.var(a), np.var(b)] == pytest.approx([0.5, 0.5], rel=0.02)
        assert np.corrcoef(a, b)[0, 1] == pytest.approx(0, abs=0.01)
        np.testing.assert_allclose((first.flux + second.flux) / 2, camera.flux)


@pytest.mark.parametrize("own", [False, True])
def test_parts_are_missing_in_all_cameras_alike(own):
    wave = np.arange(3700.0, 9500.0, 4.0)
    spectra = flat_spectra(200, np.tile(wave, (200, 1)) if own else wave)
    found = cut(np.random.default_rng(2), spectra, QUASARNET_GRID)
    x, y = (np.delete(camera.ivar > 0, 7, axis=1) for camera in found.cameras)
    kept = x.mean(axis=1)
    assert (kept < 0.9).mean() > 0.8
    assert (kept < 0.2).mean() > 0.1
    assert (x == y).mean() > 0.99
    np.testing.assert_array_equal(found.cameras[0].flux, spectra.cameras[0].flux)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Simulated spectra and their truth."""
    paths = [tmp_path_factory.mktemp("own") / name for name in ("own.fits", "truth.fits")]
    write_simulation(qnet.simulate(NSPEC, seed=8), *paths)
    return paths


@pytest.fixture(scope="module")
def bare(small_model):
    """A model of two stages without a calibration."""
    weights = verifying_model(small_model, bal=True).weights
    arrays = {k: v for k, v in weights.arrays.items() if not k.startswith("outlier")}
    return qnet.Model(dataclasses.replace(weights, arrays=arrays, calibration=None))


@pytest.fixture
def found_by_chance(monkeypatch):
    """Redshifts of random networks: three in four quasars count as right."""
    monkeypatch.setattr(
        Sample, "is_right", lambda self, *_: self.quasar & ((self.number + self.change) % 4 > 0)
    )


def test_a_model_without_a_calibration_gets_one(bare, files, found_by_chance, tmp_path):
    with pytest.warns(QnetWarning, match="calibrate P2, P_BAL: none is used"):
        made = calibrate(bare, *files, progress=False)
    assert made.name == bare.name
    model = qnet.load_model(made.save(tmp_path / "made.safetensors"))
    calibration = model.calibration
    assert calibration == made.calibration
    truth = qnet.io.read_truth(files[1])
    quasar = np.array([truth[number].class_person in (3, 30) for number in truth])
    assert calibration.quasar_fraction == pytest.approx(quasar.mean())
    assert set(calibration.mix) == {"QSO", "GALAXY", "STAR", "SKY"}
    assert calibration.evidence.lines == 1
    assert calibration.density is not None
    assert model.weights.provenance["calibration"]["quasars"] == quasar.sum()
    table = qnet.classify(files[0], model=model, prior="training")
    # Half of the rows that were fitted are these: the mean is that of the class.
    assert np.mean(table["P_QSO"]) == pytest.approx(quasar.mean(), abs=0.06)
    refined = np.isfinite(table["ZERR"])
    for name in ("P_Z", "ZERR_NOISE"):
        assert np.isfinite(table[name][refined]).all()
    assert np.mean(table["P_Z"][refined & quasar]) == pytest.approx(0.75, abs=0.1)


def test_a_network_of_lines_alone_gets_what_its_lines_give(small_model, files, found_by_chance):
    with pytest.warns(QnetWarning, match="calibrate P_BAL: none is used"):
        model = calibrate(small_model, *files, progress=False)
    calibration = model.calibration
    for name in ("p_candidate", "p_z2", "zerr", "zerr_noise"):
        assert getattr(calibration, name) is None, name
    assert set(calibration.zerr_lines) <= set(model.lines)
    table = qnet.classify(files[0], model=model)
    assert np.mean(table["P_QSO"]) == pytest.approx(calibration.quasar_fraction, abs=0.06)
    assert np.isfinite(table["P_Z"]).all()
    assert np.isnan(table["ZERR"]).all()


@pytest.fixture
def parent(bare):
    """The same with a calibration of all fields."""
    table = Table((-2.0, 3.0), (0.0, 9.0), ((2.0,),))
    weights = verifying_model(
        bare,
        bal=True,
        calibration={
            **{name: law_of("score") for name in ("p_z", "p_z2", "p_candidate")},
            "p_bal": law_of("score_bal"),
            "zerr": table,
            "zerr_noise": table,
            "evidence": Evidence(1.0, 0.4, 2),
        },
    ).weights
    return qnet.Model(dataclasses.replace(weights, name="own"))


def test_what_a_sample_lacks_stays_as_in_the_parent(parent, files):
    """Of 60 spectra, none at its redshift: P_QSO alone is fitted, and the mix is the sample's."""
    ids = qnet.read_spectra(files[0]).ids["TARGETID"][:60]
    text = "too few spectra to calibrate P_QSO of candidates, P_Z, P2, .*: that of own@1.2 is used"
    with pytest.warns(QnetWarning, match=text) as caught:
        made = calibrate(parent, *files, targetids=ids, progress=False)
    assert len(caught) == 1
    assert made.name == "own-calibrated@1.2"
    old, new = parent.calibration, made.calibration
    same = ("p_z", "p_z2", "p_bal", "p_bal_threshold", "zerr", "zerr_noise", "zerr_lines")
    for name in (*same, "evidence", "z_range", "joints", "candidates"):
        assert getattr(new, name) == getattr(old, name), name
    # The spectra of the sample, which are unlike the network's random ones, are no outliers.
    assert new.outlier_threshold > old.outlier_threshold
    assert new.p_qso != old.p_qso
    assert new.mix["QSO"] == pytest.approx(0.5, abs=0.15)
    assert new.mix != old.mix
    assert made.weights.provenance["calibration"]["spectra"] == 60
    again = calibrate_quietly(made, *files, targetids=ids, progress=False)
    assert again.name == made.name


def calibrate_quietly(*arguments, **options):
    """`calibrate`, whose warning of a small sample is expected."""
    with pytest.warns(QnetWarning, match="too few spectra to calibrate"):
        return calibrate(*arguments, **options)


def test_quasars_alone_leave_the_probability_of_the_class(parent, bare, files):
    truth = qnet.io.read_truth(files[1])
    quasars = [number for number, record in truth.items() if record.class_person in (3, 30)]
    made = calibrate_quietly(parent, *files, targetids=quasars, progress=False)
    assert made.calibration.p_qso == parent.calibration.p_qso
    assert made.calibration.mix == parent.calibration.mix
    with pytest.raises(InputError, match="a sample needs 20 quasars and 20 other objects"):
        calibrate(bare, *files, targetids=quasars, progress=False)
    with pytest.raises(InputError, match=r"no spectrum of .*own\.fits can be used"):
        calibrate(parent, *files, targetids=[1], progress=False)


def test_the_same_seed_gives_the_same_calibration(parent, files):
    ids = qnet.read_spectra(files[0]).ids["TARGETID"][:60]
    options = {"targetids": ids, "progress": False}
    first, second, other = (
        calibrate_quietly(parent, *files, seed=seed, **options) for seed in (1, 1, 2)
    )
    assert first.calibration == second.calibration
    assert first.calibration.p_qso != other.calibration.p_qso


def test_errors_of_repeats_are_those_of_the_noise(parent, files, monkeypatch):
    """Of a second stage whose redshift is a pixel's flux, repeats scatter by that pixel's error."""
    from qnet.training import laws

    rng = np.random.default_rng(4)
    pairs = []

    def pulls(repeats, exponent):
        pairs.append(repeats)
        return laws_pulls(repeats, exponent)

    laws_pulls = laws._noise_pulls
    monkeypatch.setattr(laws, "_noise_pulls", pulls)

    def choose(self, exponent):
        chosen = original(self, exponent)
        if set(np.unique(self.change)) != {0, 1} or not self.quasar.all():
            return chosen
        z = self.z + 0.5e-3 * rng.standard_normal(len(self)) * (1 + self.z)
        return dataclasses.replace(
            chosen, z=z, zerr=1e-3 * (1 + self.z), ok=np.ones(len(self), bool)
        )

    original = Sample.choose
    monkeypatch.setattr(Sample, "choose", choose)
    made = calibrate_quietly(
        qnet.Model(
            dataclasses.replace(
                parent.weights,
                calibration=dataclasses.replace(parent.calibration, zerr_noise=None),
            )
        ),
        *files,
        progress=False,
    )
    (repeats,) = pairs
    assert repeats.quasar.all()
    table = made.calibration.zerr_noise
    assert nmad(np.concatenate(table.values)) < 0.2
    assert np.median(table.values) == pytest.approx(0.5, rel=0.2)
