"""Columns of a model with a second stage and a calibration, row by row."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import qnet
from makers import boss_spec, make_spectra, write
from networks import (
    columns_of,
    full_model,
    random_weights,
    refine_architecture,
    small_calibration,
    verifying_model,
)
from qnet.classification.columns import compute_columns
from qnet.classification.criterion import choose_criterion
from qnet.classification.refinement import refine_candidates
from qnet.core.errors import InputError
from qnet.core.flags import QNFlag
from qnet.lines import SPEED_OF_LIGHT
from qnet.model.calibration import rescale
from qnet.model.laws import Evidence, Logistic, Table
from qnet.model.refiner import Refiner
from qnet.postprocess.candidates import find_candidates, quasar_probability, second_redshift
from qnet.postprocess.features import compute_features, log_snr, logit
from qnet.preprocess.rebinning import rebin

WAVE = np.arange(3700.0, 9500.0, 2.0)
NSPEC = 60


@pytest.fixture(scope="module")
def spectra():
    flux, ivar = make_spectra(WAVE, np.linspace(0.3, 3.5, NSPEC), seed=3)
    ivar[::7, 300:1200] = 0
    return qnet.io.from_arrays(WAVE, flux, ivar, targetid=np.arange(NSPEC))


@pytest.fixture(scope="module")
def decoded(spectra, two_stage_model):
    """Preprocessed spectra, raw and decoded predictions."""
    data = two_stage_model.preprocess(spectra)
    preds = two_stage_model.predict(data.X)
    return data, preds, two_stage_model.decode(preds)


def has(columns, flag):
    return (columns["QN_FLAG"] & flag) != 0


def test_a_quasar_is_what_has_p_qso_above_the_threshold(spectra, two_stage_model, decoded):
    data, _, found = decoded
    calibration = two_stage_model.calibration
    columns = columns_of(spectra, two_stage_model)
    p_qso = calibration.p_qso.probability(
        compute_features(calibration.p_qso.names, found, data.snr)
    )
    np.testing.assert_allclose(columns["P_QSO"], p_qso, rtol=1e-6)
    np.testing.assert_array_equal(columns["IS_QSO"], columns["P_QSO"] > 0.6)
    assert 0 < columns["IS_QSO"].sum() < NSPEC
    for threshold in (0.0, 0.8, 1.0):
        other = columns_of(spectra, two_stage_model, p_threshold=threshold)
        np.testing.assert_array_equal(other["IS_QSO"], other["P_QSO"] > threshold)


def test_quasarnets_criterion_on_request(spectra, two_stage_model):
    for options in ({"c_threshold": 0.7}, {"min_lines": 2}):
        columns = columns_of(spectra, two_stage_model, **options)
        threshold, number = options.get("c_threshold", 0.5), options.get("min_lines", 1)
        expected = (columns["C_LINES"] > threshold).sum(axis=1) >= number
        np.testing.assert_array_equal(columns["IS_QSO"], expected)
        bal = expected & (columns["C_LINES_BAL"] > threshold).any(axis=1)
        np.testing.assert_array_equal(columns["IS_BAL"], bal)
        assert np.isfinite(columns["P_QSO"]).all()


def test_another_mix_rescales_the_odds(spectra, two_stage_model):
    plain = columns_of(spectra, two_stage_model)
    rare = columns_of(spectra, two_stage_model, prior_qso=0.05)
    np.testing.assert_allclose(
        rare["P_QSO"], rescale(plain["P_QSO"].astype(float), 0.05, 0.4), rtol=1e-5
    )
    np.testing.assert_array_equal(rare["IS_QSO"], rare["P_QSO"] > 0.6)
    assert rare["IS_QSO"].sum() < plain["IS_QSO"].sum()
    same = columns_of(spectra, two_stage_model, prior_qso=0.4)
    np.testing.assert_allclose(same["P_QSO"], plain["P_QSO"], rtol=1e-6)


def test_p_bal_is_given_where_the_line_is_covered(spectra, two_stage_model, decoded):
    data, _, found = decoded
    law = two_stage_model.calibration.p_bal
    columns = columns_of(spectra, two_stage_model)
    expected = law.probability(compute_features(law.names, found, data.snr))
    place = 1548.2049 * (1 + found.zbest)
    edges = two_stage_model.grid.wave
    for row in range(NSPEC):
        seen = np.flatnonzero(data.observed[row])
        inside = edges[seen[0]] <= place[row] < edges[seen[-1] + 1]
        if inside:
            assert columns["P_BAL"][row] == pytest.approx(expected[row], rel=1e-5)
        else:
            assert np.isnan(columns["P_BAL"][row])
    bal = columns["IS_QSO"] & (np.nan_to_num(columns["P_BAL"]) > 0.5)
    np.testing.assert_array_equal(columns["IS_BAL"], bal)
    assert np.isnan(columns["P_BAL"]).any()
    assert 0 < bal.sum() < columns["IS_QSO"].sum()


def test_candidates_are_refined_and_the_others_are_not(spectra, small_model):
    calibration = small_calibration(refine_floor=0.5, p_threshold=0.6)
    model = full_model(small_model, calibration=calibration)
    columns = columns_of(spectra, model)
    found = model.decode(model.predict(model.preprocess(spectra).X))
    candidate = columns["P_QSO"] > 0.5
    assert (candidate & ~columns["IS_QSO"]).any()
    assert 0 < candidate.sum() < NSPEC
    np.testing.assert_array_equal(np.isfinite(columns["ZERR"]), candidate)
    np.testing.assert_array_equal(columns["ZBEST"][~candidate], found.zbest[~candidate])
    assert (columns["ZBEST"][candidate] != found.zbest[candidate]).all()
    np.testing.assert_allclose(columns["Z_LINES"], found.z_line.T, rtol=1e-5)
    camera = spectra.cameras[0]
    flux, ivar = rebin(WAVE, camera.flux, camera.ivar, model.refiner.arch.window.grid)
    z, zerr, ok, *_ = model.refiner.refine(flux[candidate], ivar[candidate], found.zbest[candidate])
    assert ok.all()
    np.testing.assert_allclose(columns["ZBEST"][candidate], z, atol=1e-5)
    factor = calibration.zerr(log_snr(columns["SNR"][candidate]), z)
    np.testing.assert_allclose(columns["ZERR"][candidate], factor * zerr, rtol=1e-3)
    # By QuasarNET's criterion too, its quasars are candidates.
    strict = columns_of(spectra, model, c_threshold=0.9995)
    both = strict["IS_QSO"] | candidate
    assert (strict["IS_QSO"] & ~candidate).any()
    np.testing.assert_array_equal(np.isfinite(strict["ZERR"]), both)


def test_the_second_redshift_is_away_from_the_first(spectra, two_stage_model, decoded):
    _, preds, _ = decoded
    columns = columns_of(spectra, two_stage_model)
    z2, p2 = second_redshift(
        preds,
        two_stage_model.lines,
        two_stage_model.grid,
        two_stage_model.rest,
        columns["ZBEST"],
    )
    np.testing.assert_allclose(columns["Z2"], z2, rtol=1e-5)
    np.testing.assert_allclose(columns["P2"], p2, rtol=1e-5)
    velocity = SPEED_OF_LIGHT * np.abs(columns["Z2"] - columns["ZBEST"]) / (1 + columns["ZBEST"])
    assert (velocity > 6000).all()
    np.testing.assert_array_equal(has(columns, QNFlag.AMBIGUOUS), columns["P2"] > 0.9995)
    assert 0 < has(columns, QNFlag.AMBIGUOUS).sum() < NSPEC


def test_errors_of_lines_come_from_their_tables(spectra, two_stage_model):
    columns = columns_of(spectra, two_stage_model)
    expected = 500 / SPEED_OF_LIGHT * (1 + columns["Z_LINES"][:, 0])
    np.testing.assert_allclose(columns["ZERR_LINES"][:, 0], expected, rtol=1e-6)
    assert np.isnan(columns["ZERR_LINES"][:, 1:]).all()
    table = Table((-14, 0, 14), (-2, 2), ((900.0,), (300.0,)))
    model = full_model(two_stage_model, calibration=small_calibration(zerr_lines={"Hbeta": table}))
    columns = columns_of(spectra, model)
    velocity = table(logit(columns["C_LINES"][:, 4]), 0.0)
    np.testing.assert_allclose(
        columns["ZERR_LINES"][:, 4],
        velocity / SPEED_OF_LIGHT * (1 + columns["Z_LINES"][:, 4]),
        rtol=1e-4,
    )


def test_flags_follow_the_calibration(spectra, small_model):
    joints = ((3860.0, 3866.0), (5000.0, 6100.0))
    calibration = small_calibration(
        joints=joints, skylines=((3865.0, 3900.0),), z_range=(1.0, 2.0), outlier_threshold=6.5
    )
    model = full_model(small_model, calibration=calibration)
    columns = columns_of(spectra, model)
    z = columns["ZBEST"]
    rest = np.array([model.rest[line] for line in model.lines])
    place = rest[columns["C_LINES"].argmax(axis=1)] * (1 + z)
    distance = model.forward(model.preprocess(spectra).X).distance
    expected = {
        QNFlag.JOINT: ((place >= 3860) & (place <= 3866)) | ((place >= 5000) & (place <= 6100)),
        QNFlag.SKYLINE: (place >= 3865) & (place <= 3900),
        QNFlag.ZRANGE: (z < 1) | (z > 2),
        QNFlag.OUTLIER: distance > 6.5,
        QNFlag.NOREFINE: np.zeros(NSPEC, bool),
    }
    for flag, rows in expected.items():
        np.testing.assert_array_equal(has(columns, flag), rows, err_msg=str(flag))
        assert rows.sum() < NSPEC, flag
        assert rows.any() or flag is QNFlag.NOREFINE, flag


def test_the_best_line_is_one_that_agrees_with_the_redshift(spectra, small_model):
    """ZBEST may come from another line than the most confident one: the flags follow ZBEST."""
    model = verifying_model(small_model)
    columns = columns_of(spectra, model)
    c, z_line, zbest = columns["C_LINES"], columns["Z_LINES"], columns["ZBEST"][:, None]
    rest = np.array([model.rest[line] for line in model.lines])
    agrees = SPEED_OF_LIGHT * np.abs(z_line - zbest) / (1 + zbest) <= 6000
    best = np.where(agrees.any(axis=1), np.where(agrees, c, 0).argmax(axis=1), c.argmax(axis=1))
    other = best != c.argmax(axis=1)
    assert 0 < other.sum() < NSPEC
    wave = rest[best] * (1 + zbest[:, 0])
    joints = tuple((float(x) - 1, float(x) + 1) for x in wave[other])
    flagged = columns_of(spectra, verifying_model(small_model, calibration={"joints": joints}))
    expected = [any(low <= x <= high for low, high in joints) for x in wave]
    np.testing.assert_array_equal(has(flagged, QNFlag.JOINT), expected)


def test_the_distance_is_that_of_mahalanobis(small_model, spectra):
    model = full_model(small_model)
    rng = np.random.default_rng(0)
    units = model.architecture.units
    arrays = dict(model.weights.arrays)
    mean, covariance = rng.normal(size=units), np.cov(rng.normal(size=(units, 50)))
    whiten = np.linalg.cholesky(np.linalg.inv(covariance))
    arrays["outlier_mean"], arrays["outlier_scale"] = mean, whiten
    model = qnet.Model(dataclasses.replace(model.weights, arrays=arrays))
    X = model.preprocess(spectra).X.copy()
    X[4] = np.nan
    output = model.forward(X)
    distance = output.distance
    np.testing.assert_array_equal(output.preds, model.predict(X))
    _, common, _ = model._network(np.dtype("f4")).run(X)
    away = common[0] - mean
    expected = np.sqrt(away @ np.linalg.inv(covariance) @ away)
    assert distance[0] == pytest.approx(expected, rel=1e-5)
    assert np.isnan(distance).tolist() == [row == 4 for row in range(NSPEC)]


def test_a_second_stage_that_fails_leaves_the_redshift_of_the_line(spectra, small_model):
    model = full_model(small_model, refine=refine_architecture(max_dv=1e-6))
    columns = columns_of(spectra, model)
    found = model.decode(model.predict(model.preprocess(spectra).X))
    candidate = columns["P_QSO"] > model.calibration.refine_floor
    np.testing.assert_array_equal(has(columns, QNFlag.NOREFINE), candidate)
    np.testing.assert_array_equal(columns["ZBEST"], found.zbest)
    assert np.isnan(columns["ZERR"]).all()


def test_rows_that_cannot_be_classified_stay_nan_where_they_were(spectra, two_stage_model):
    clean = columns_of(spectra, two_stage_model)
    camera = spectra.cameras[0]
    flux, ivar = camera.flux.copy(), camera.ivar.copy()
    flux[3], ivar[8], flux[20] = np.nan, 0, 4.2
    damaged = qnet.io.from_arrays(WAVE, flux, ivar, targetid=np.arange(NSPEC))
    asked = np.arange(NSPEC) != 30
    columns = compute_columns(damaged, two_stage_model, choose_criterion(two_stage_model), asked)
    bad = [3, 8, 20, 30]
    for name in ("ZBEST", "ZERR", "Z2", "P2", "P_QSO", "P_BAL"):
        assert np.isnan(columns[name][bad]).all(), name
    assert np.isnan(columns["ZERR_LINES"][bad]).all()
    assert not columns["IS_QSO"][bad].any()
    silent = QNFlag.NOREFINE | QNFlag.ZRANGE | QNFlag.OUTLIER | QNFlag.AMBIGUOUS
    assert not (columns["QN_FLAG"][bad] & (silent | QNFlag.JOINT | QNFlag.SKYLINE)).any()
    kept = np.setdiff1d(np.arange(NSPEC), bad)
    for name, values in columns.items():
        np.testing.assert_allclose(values[kept], clean[name][kept], rtol=2e-4, err_msg=name)


def test_a_row_is_the_same_alone(spectra, two_stage_model):
    everything = columns_of(spectra, two_stage_model)
    for row in (0, 7, 33):
        alone = columns_of(spectra.select([row]), two_stage_model)
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], everything[name][row], rtol=2e-4, err_msg=name)


def test_a_second_stage_without_a_calibration_refines_its_quasars(spectra, two_stage_model):
    model = qnet.Model(dataclasses.replace(two_stage_model.weights, calibration=None))
    columns = columns_of(spectra, model)
    np.testing.assert_array_equal(columns["IS_QSO"], (columns["C_LINES"] > 0.5).sum(axis=1) >= 1)
    np.testing.assert_array_equal(np.isfinite(columns["ZERR"]), columns["IS_QSO"])
    for name in ("P_QSO", "P_BAL", "Z2", "P2", "ZERR_LINES"):
        assert np.isnan(columns[name]).all(), name


def test_a_calibration_without_a_second_stage(spectra, two_stage_model):
    calibration = dataclasses.replace(
        two_stage_model.calibration, p_bal=None, outlier_threshold=None
    )
    weights = dataclasses.replace(two_stage_model.weights, refine=None, calibration=calibration)
    columns = columns_of(spectra, qnet.Model(weights))
    full = columns_of(spectra, two_stage_model)
    np.testing.assert_array_equal(columns["P_QSO"], full["P_QSO"])
    for name in ("ZERR", "P_BAL"):
        assert np.isnan(columns[name]).all(), name
    bal = columns["IS_QSO"] & (columns["C_LINES_BAL"] > 0.5).any(axis=1)
    np.testing.assert_array_equal(columns["IS_BAL"], bal)
    assert not has(columns, QNFlag.OUTLIER | QNFlag.NOREFINE).any()


def test_the_lines_do_not_change_with_what_follows_them(spectra, small_model, two_stage_model):
    """A model without calibration is what it was; the first stage of another is the same."""
    plain, full = (columns_of(spectra, model) for model in (small_model, two_stage_model))
    for name in ("C_LINES", "Z_LINES", "C_LINES_BAL", "Z_LINES_BAL", "SNR", "GOODFRAC"):
        np.testing.assert_array_equal(plain[name], full[name])
    for name in ("ZERR", "Z2", "P2", "P_QSO", "P_BAL", "ZERR_LINES"):
        assert np.isnan(plain[name]).all(), name


def test_the_header_has_what_the_columns_mean(spectra, two_stage_model):
    meta = qnet.classify(spectra, model=two_stage_model, prior_qso=0.1).meta
    assert meta["MODEL"] == "full@1.2"
    assert meta["STAGES"] == "lines, refine"
    assert meta["STRATEGY"] == "qnet@1: P_QSO > 0.6"
    assert meta["PTHRESH"] == 0.6
    assert meta["PMIX"] == "QSO 0.4, STAR 0.25, GALAXY 0.25, SKY 0.1"
    assert meta["PRIORQSO"] == 0.1
    assert (meta["ZTRAIN0"], meta["ZTRAIN1"]) == (0.05, 3.5)
    meta = qnet.classify(spectra, model=two_stage_model, min_lines=2).meta
    assert meta["STRATEGY"] == "QuasarNET: at least 2 line(s) with c > 0.5"
    assert "PTHRESH" not in meta
    assert meta["PRIORQSO"] == 0.4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p_threshold": 1.5}, r"p_threshold must be in 0 \.\. 1, not 1.5"),
        ({"prior_qso": 0.0}, "prior_qso must be between 0 and 1, not 0.0"),
        ({"prior_qso": 1}, "prior_qso must be between 0 and 1"),
        ({"p_threshold": 0.5, "c_threshold": 0.5}, "choose a criterion"),
    ],
)
def test_options_that_are_not_legal(spectra, two_stage_model, options, message):
    with pytest.raises(InputError, match=message):
        qnet.classify(spectra, model=two_stage_model, **options)


def test_a_prior_needs_a_probability(spectra, small_model):
    with pytest.raises(InputError, match="prior_qso needs a model with a calibrated P_QSO"):
        qnet.classify(spectra, model=small_model, prior_qso=0.5)


def test_several_processes_and_a_file_give_the_same(tmp_path, two_stage_model):
    loglam = 3.5563 + 4e-4 * np.arange(1100)
    flux, ivar = make_spectra(10**loglam, np.linspace(1, 3, 4))
    files = [
        write(tmp_path / f"spec-{row}.fits", boss_spec(loglam, flux[row], ivar[row]))
        for row in range(4)
    ]
    saved = two_stage_model.save(tmp_path / "full.safetensors")
    one = qnet.classify(files, model=two_stage_model)
    two = qnet.classify(files, model=saved, workers=2)
    assert np.isfinite(one["ZERR"]).any()
    for name in one.colnames:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_prepared_data_are_refined_as_the_spectra_they_are_of(small_model):
    """On a grid of coarse pixels the second stage sees the same spectrum, not a shifted one."""
    arch = refine_architecture(clip=50.0)
    model = full_model(small_model, refine=arch)
    wave = 10 ** np.arange(np.log10(3600.5), np.log10(9990), 1e-4)
    flux = 2 + np.sin(np.log(wave) * 40)[None] * np.ones((3, 1))
    ivar = np.full(flux.shape, 4.0)
    native = qnet.io.from_arrays(wave, flux, ivar, targetid=[1, 2, 3])
    grid = model.grid
    binned = rebin(wave, flux, ivar, grid)
    camera = qnet.Camera("a", grid.wave, *binned, edges=True)
    renamed = dataclasses.replace(camera, name="prepared")
    first, second, third = (
        columns_of(dataclasses.replace(native, cameras=(one,)), model, p_threshold=0.0)
        for one in (native.cameras[0], camera, renamed)
    )
    np.testing.assert_array_equal(second["ZBEST"], third["ZBEST"])
    table = qnet.classify(grid.wave, *binned, model=model, p_threshold=0.0, edges=True)
    np.testing.assert_array_equal(second["ZBEST"], table["ZBEST"])
    velocity = SPEED_OF_LIGHT * (first["ZBEST"] - second["ZBEST"]) / (1 + first["ZBEST"])
    assert (np.abs(velocity) < 30).all()
    assert np.isfinite(first["ZERR"]).all()


def test_the_refiner_is_made_once(two_stage_model):
    assert two_stage_model.refiner is two_stage_model.refiner
    assert isinstance(two_stage_model.refiner, Refiner)
    assert set(random_weights(two_stage_model.weights.refine.shapes())) <= set(
        two_stage_model.weights.arrays
    )


@pytest.fixture(scope="module")
def verifying(small_model):
    return verifying_model(small_model)


def test_the_second_stage_chooses_among_the_candidates_of_the_first(spectra, verifying):
    columns = columns_of(spectra, verifying)
    data = verifying.preprocess(spectra)
    output = verifying.forward(data.X)
    bins, calibration = verifying.architecture.redshifts, verifying.calibration
    np.testing.assert_allclose(output.posterior.sum(axis=1), 1, rtol=1e-5)
    quasar = quasar_probability(output.posterior, bins)
    found = verifying.decode(output.preds)
    given = compute_features(calibration.p_qso.names, found, data.snr, quasar=quasar)
    p_first = calibration.p_qso.probability(given)
    rows = np.flatnonzero(p_first > calibration.refine_floor)
    assert 0 < len(rows) < NSPEC
    z, probability = find_candidates(output.posterior, bins, 3)
    refined = refine_candidates(
        spectra.select(rows),
        verifying.refiner,
        z[rows],
        probability[rows],
        calibration.candidate_floor,
    )
    chosen = refined.choose(calibration.fraction_exponent)
    assert (chosen.z != refined.z[:, 0]).any()
    np.testing.assert_array_equal(columns["ZBEST"][rows], chosen.z)
    others = np.setdiff1d(np.arange(NSPEC), rows)
    np.testing.assert_array_equal(columns["ZBEST"][others], z[others, 0])
    np.testing.assert_allclose(columns["P_QSO"][others], p_first[others], rtol=1e-6)
    law = calibration.p_candidate
    p_qso = law.probability(
        compute_features(
            law.names, found.select(rows), data.snr[rows], quasar=quasar[rows], chosen=chosen
        )
    )
    np.testing.assert_allclose(columns["P_QSO"][rows], p_qso, rtol=1e-6)
    np.testing.assert_array_equal(columns["IS_QSO"], columns["P_QSO"] > 0.5)
    np.testing.assert_array_equal(columns["Z2"][rows], chosen.z2)
    known = np.isfinite(chosen.z2)
    assert known.any()
    expected = p_qso * chosen.odds2 / (1 + chosen.odds2)
    np.testing.assert_allclose(columns["P2"][rows[known]], expected[known], rtol=1e-5)
    assert (columns["P2"][rows[known]] <= columns["P_QSO"][rows[known]] / 2 + 1e-6).all()


#: Laws of the redshifts.
OF_REDSHIFTS = {
    "p_z": Logistic(
        ("score", "log_zerr", "lines_seen"),
        (0.0, -2.0, 3.0), (1.0,) * 3, (-99.0,) * 3, (99.0,) * 3, (0.2, 0.7, -0.4, 0.3), 1,
    ),
    "p_z2": Logistic(("log_odds2",), (0.0,), (1.0,), (-99.0,), (99.0,), (0.5, 0.2), 1),
    "zerr_noise": Table((-1.0, 1.0), (0.0, 1.0, 7.0), ((0.25, 0.5),)),
}  # fmt: skip


def test_the_probabilities_of_the_redshifts_are_those_of_their_laws(spectra, small_model):
    model = verifying_model(small_model, calibration=OF_REDSHIFTS)
    columns = columns_of(spectra, model)
    plain = columns_of(spectra, verifying_model(small_model))
    for name in ("ZBEST", "Z2", "P_QSO", "ZERR"):
        np.testing.assert_array_equal(columns[name], plain[name])
    assert np.isnan([plain["P_Z"], plain["ZERR_NOISE"]]).all()
    rows = np.flatnonzero(np.isfinite(columns["ZERR"]) | has(columns, QNFlag.NOREFINE))
    assert 0 < len(rows) < NSPEC
    assert np.isnan(columns["P_Z"][np.setdiff1d(np.arange(NSPEC), rows)]).all()
    data = model.preprocess(spectra)
    output = model.forward(data.X)
    z, probability = find_candidates(output.posterior, model.architecture.redshifts, 3)
    chosen = refine_candidates(
        spectra.select(rows), model.refiner, z[rows], probability[rows], 0.02
    ).choose(0.5)
    lines = np.array([model.rest[name] for name in model.lines])
    pixel = model.grid.bins(lines * (1 + chosen.z[:, None]))
    seen = (data.observed[rows[:, None], pixel] & (pixel >= 0)).sum(axis=1)
    error = np.where(chosen.ok, np.clip(chosen.zerr / (1 + chosen.z), 1e-5, 0.1), 0.1)
    score = np.clip(np.where(chosen.ok, chosen.score, -12), -12, 12)
    p_z = OF_REDSHIFTS["p_z"].probability(np.stack([score, np.log10(error), seen], axis=1))
    np.testing.assert_allclose(columns["P_Z"][rows], p_z, rtol=1e-6)
    assert (seen > 0).all()
    odds = np.log(np.clip(chosen.odds2, np.exp(-12), 1))[:, None]
    expected = np.where(
        np.isfinite(chosen.z2), (1 - p_z) * OF_REDSHIFTS["p_z2"].probability(odds), np.nan
    )
    np.testing.assert_allclose(columns["P2"][rows], expected, rtol=1e-5)
    assert np.isfinite(expected).any()
    factor = OF_REDSHIFTS["zerr_noise"](log_snr(data.snr[rows]), chosen.z)
    np.testing.assert_allclose(columns["ZERR_NOISE"][rows], factor * chosen.zerr, rtol=1e-6)
    assert np.isfinite(factor * chosen.zerr).any()


@pytest.mark.parametrize(
    ("of_odds", "of_confidence", "lines"), [(0.6, 0.7, 6), (1.0, 0.0, 6), (0.0, 1.0, 6), (1, 1, 3)]
)
def test_without_evidence_no_spectrum_is_called(
    spectra, small_model, of_odds, of_confidence, lines
):
    plain = columns_of(spectra, verifying_model(small_model), p_threshold=0.1)
    data = small_model.preprocess(spectra)
    rest = np.array([small_model.rest[name] for name in small_model.lines])
    pixel = small_model.grid.bins(rest * (1 + plain["Z_LINES"].astype(float)))
    seen = data.observed[np.arange(NSPEC)[:, None], pixel] & (pixel >= 0)
    largest = np.where(seen, plain["C_LINES"], 0).max(axis=1)
    change = np.abs(logit(plain["P_QSO"].astype(float)) - logit(0.4))
    # Of the rows, these fractions are below the thresholds.
    fractions = ((change, of_odds), (largest, of_confidence))
    thresholds = [0.999 * np.quantile(x, q) if q else 0.0 for x, q in fractions]
    few = plain["LINE_OBSERVED"][:, None] >> np.arange(6) & 1
    lacking = (change < thresholds[0]) & (largest < thresholds[1]) & (few.sum(axis=1) <= lines)
    evidence = Evidence(*map(float, thresholds), lines)
    options = {"evidence": evidence, "p_threshold": 0.1}
    model = verifying_model(small_model, calibration=options)
    columns = columns_of(spectra, model)
    np.testing.assert_array_equal(has(columns, QNFlag.NO_EVIDENCE), lacking)
    np.testing.assert_array_equal(columns["IS_QSO"], plain["IS_QSO"] & ~lacking)
    np.testing.assert_array_equal(columns["P_QSO"], plain["P_QSO"])
    if lines == 6 and of_odds * of_confidence:
        assert 0 < (lacking & plain["IS_QSO"]).sum() < plain["IS_QSO"].sum()
    # What is known of a spectrum does not depend on what is asked; lines are a criterion alone.
    rare = columns_of(spectra, model, prior_qso=0.01)
    np.testing.assert_array_equal(has(rare, QNFlag.NO_EVIDENCE), lacking)
    assert not has(columns_of(spectra, model, c_threshold=0.1), QNFlag.NO_EVIDENCE).any()


def test_another_mix_rescales_the_odds_after_the_second_stage(spectra, verifying):
    plain = columns_of(spectra, verifying)
    rare = columns_of(spectra, verifying, prior_qso=0.05)
    expected = rescale(plain["P_QSO"].astype(float), 0.05, verifying.calibration.quasar_fraction)
    np.testing.assert_allclose(rare["P_QSO"], expected, rtol=1e-4)
    for name in ("ZBEST", "ZERR", "Z2"):
        np.testing.assert_array_equal(rare[name], plain[name])


def test_all_that_are_called_quasars_are_refined_whatever_the_mix(spectra, small_model):
    model = verifying_model(small_model, calibration={"refine_floor": 0.9})
    for prior in (0.05, 0.4, 0.999):
        columns = columns_of(spectra, model, prior_qso=prior)
        refined = np.isfinite(columns["ZERR"]) | has(columns, QNFlag.NOREFINE)
        assert refined[columns["IS_QSO"]].all()
        known = refined & np.isfinite(columns["P2"])
        assert known.any()
        assert (columns["P2"][known] <= columns["P_QSO"][known] / 2 + 1e-6).all()


def test_rows_that_are_not_refined_keep_the_redshifts_of_the_first_stage(spectra, verifying):
    columns = columns_of(spectra, verifying)
    output = verifying.forward(verifying.preprocess(spectra).X)
    z, probability = find_candidates(output.posterior, verifying.architecture.redshifts, 3)
    others = np.isnan(columns["ZERR"]) & ~has(columns, QNFlag.NOREFINE)
    assert others.any()
    np.testing.assert_allclose(columns["Z2"][others], z[others, 1])
    quasar = quasar_probability(output.posterior, verifying.architecture.redshifts)
    expected = columns["P_QSO"][others] * probability[others, 1] / quasar[others]
    np.testing.assert_allclose(columns["P2"][others], expected, rtol=1e-5)
    assert (columns["P2"][others] <= columns["P_QSO"][others] / 2 + 1e-6).all()


def test_p_bal_comes_from_the_second_stage_where_that_measures_absorption(spectra, small_model):
    law = Logistic(("score_bal",), (0.0,), (1.0,), (-99.0,), (99.0,), (0.1, 0.7), 1)
    # Weights that put the spectra where CIV is on the grid.
    calibration = {"p_bal": law, "refine_floor": 0.1}
    model = verifying_model(small_model, bal=True, seed=11, calibration=calibration)
    columns = columns_of(spectra, model)
    refined = np.isfinite(columns["ZERR"])
    assert 0 < refined.sum() < NSPEC
    assert np.isnan(columns["P_BAL"][~refined]).all()
    output = model.forward(model.preprocess(spectra).X)
    z, probability = find_candidates(output.posterior, model.architecture.redshifts, 3)
    refined_all = refine_candidates(spectra, model.refiner, z, probability, 0.02)
    chosen = refined_all.choose(model.calibration.fraction_exponent)
    seen = refined & np.isfinite(columns["P_BAL"])
    assert seen.any()
    expected = law.probability(np.clip(chosen.bal[seen, None], -12, 12))
    np.testing.assert_allclose(columns["P_BAL"][seen], expected, rtol=1e-5)
    np.testing.assert_array_equal(
        columns["IS_BAL"],
        columns["IS_QSO"] & (columns["P_BAL"] > model.calibration.p_bal_threshold),
    )


def test_without_a_second_stage_the_redshift_is_that_of_the_line(spectra, verifying):
    weights = verifying.weights
    head = {k: v for k, v in weights.arrays.items() if not k.startswith(("refine", "outlier"))}
    model = qnet.Model(dataclasses.replace(weights, arrays=head, refine=None, calibration=None))
    found = model.decode(model.predict(model.preprocess(spectra).X))
    np.testing.assert_array_equal(columns_of(spectra, model)["ZBEST"], found.zbest)


def test_without_a_candidate_the_redshift_is_that_of_the_line(spectra, verifying):
    """Where the posterior of all redshifts is 0 in floating-point numbers."""
    arrays = dict(verifying.weights.arrays)
    bias = arrays["fc_redshift.bias"].copy()
    bias[-1] += 1000
    weights = dataclasses.replace(verifying.weights, arrays=arrays | {"fc_redshift.bias": bias})
    model = qnet.Model(weights)
    output = model.forward(model.preprocess(spectra).X)
    assert (output.posterior[:, : model.architecture.redshifts.nbins] == 0).all()
    columns = columns_of(spectra, model)
    np.testing.assert_array_equal(columns["ZBEST"], model.decode(output.preds).zbest)
    assert not columns["IS_QSO"].any()


def test_a_spectrum_without_data_has_no_candidates(spectra, verifying):
    empty = spectra.select(np.arange(3))
    empty.cameras[0].ivar[1] = 0
    columns = columns_of(empty, verifying)
    assert np.isnan([columns[name][1] for name in ("ZBEST", "P_QSO", "Z2", "P2")]).all()
    assert np.isfinite(columns["ZBEST"][[0, 2]]).all()
    assert not columns["IS_QSO"][1]
