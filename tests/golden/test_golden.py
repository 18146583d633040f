"""The numerical contract against QuasarNET's own weights and real spectra."""

from __future__ import annotations

import numpy as np
import pytest

import qnet
from qnet.preprocess.normalisation import preprocess

WEIGHTS = ["quasarnet_4layer_25filter", "quasarnet_6layer_100filter"]

#: Single precision of the answers, in confidence and in (1 + z).
ATOL = 2e-5


@pytest.fixture(params=WEIGHTS)
def weights(request, shared_data):
    return shared_data / "quasarnet_weights" / f"{request.param}.h5"


@pytest.fixture
def model(weights):
    return qnet.load_model(weights)


@pytest.fixture
def expected(weights, golden):
    return golden(weights)


def boss_files(shared_data, expected):
    files = sorted((shared_data / "boss_dr12").glob("spec-*.fits"))
    fibers = {int(path.stem.split("-")[-1]): path for path in files}
    return [fibers[int(fiber)] for fiber in expected["boss_fiberid"]]


def desi_file(shared_data):
    return next((shared_data / "desi_everest").glob("coadd-*.fits"))


@pytest.mark.parametrize("sample", ["boss", "desi"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-10)])
def test_predictions_equal_the_golden_ones(model, expected, sample, dtype, tolerance):
    found = model.predict(expected[f"{sample}_X"], dtype=dtype)
    np.testing.assert_allclose(found, expected[f"{sample}_pred"], rtol=0, atol=tolerance)


@pytest.mark.parametrize("sample", ["boss", "desi"])
def test_decoded_predictions_equal_the_golden_ones(model, expected, sample):
    found = model.decode(list(expected[f"{sample}_pred"]))
    _assert_decoded(model, expected, sample, found, atol=1e-9)


@pytest.mark.filterwarnings("ignore:.*no FIBERMAP:qnet.QnetWarning")
def test_spectra_equal_the_golden_ones(shared_data, model, expected):
    boss = [
        preprocess(qnet.read_spectra(path).cameras, model.grid).X[0]
        for path in boss_files(shared_data, expected)
    ]
    np.testing.assert_allclose(boss, expected["boss_X"], rtol=0, atol=3e-6)
    desi = preprocess(qnet.read_spectra(desi_file(shared_data)).cameras, model.grid).X
    np.testing.assert_allclose(desi[expected["desi_rows"]], expected["desi_X"], rtol=0, atol=3e-6)


@pytest.mark.filterwarnings("ignore:.*no FIBERMAP:qnet.QnetWarning")
@pytest.mark.parametrize("sample", ["boss", "desi"])
def test_catalogue_equals_the_golden_values(shared_data, model, expected, sample):
    files = boss_files(shared_data, expected) if sample == "boss" else desi_file(shared_data)
    table = qnet.classify(files, model=model)
    if sample == "desi":
        rest = np.setdiff1d(np.arange(len(table)), expected["desi_rows"])
        assert (table["QN_FLAG"][rest] & qnet.QNFlag.NODATA).all()
        assert np.isnan(table["ZBEST"][rest]).all()
        table = table[expected["desi_rows"]]
    found = qnet.Predictions(
        model.lines,
        model.lines_bal,
        *(np.asarray(table[name]).T for name in ("C_LINES", "Z_LINES", "ZBEST")),
        *(np.asarray(table[name]).T for name in ("C_LINES_BAL", "Z_LINES_BAL")),
    )
    _assert_decoded(model, expected, sample, found, atol=ATOL)


def test_real_boss_quasars_are_found_and_nothing_else(shared_data, four_layer):
    from qnet.io.fits.file import FitsFile

    with FitsFile(shared_data / "boss_dr12" / "truth_superset.fits") as file:
        truth = file.table(1, ["THING_ID", "Z_VI", "CLASS_PERSON"])
    truth_row = {thing_id: row for row, thing_id in enumerate(truth["THING_ID"].tolist())}
    files = sorted((shared_data / "boss_dr12").glob("spec-*.fits"))
    table = qnet.classify(files, model=four_layer, c_threshold=0.5, min_lines=1)
    rows = [truth_row[targetid] for targetid in table["TARGETID"].tolist()]
    is_quasar = np.isin(truth["CLASS_PERSON"][rows], [3, 30])
    assert (is_quasar.sum(), (~is_quasar).sum()) == (25, 15)
    np.testing.assert_array_equal(table["IS_QSO"], is_quasar)
    z = truth["Z_VI"][rows]
    error = np.abs(table["ZBEST"] - z) / (1 + z)
    assert error[is_quasar].max() < 0.02


def _assert_decoded(model, expected, sample, found, atol):
    """All five arrays agree, redshifts past the grid's ends excepted, where QuasarNP clamps."""
    for name in ("c_line", "c_line_bal"):
        np.testing.assert_allclose(
            getattr(found, name), expected[f"{sample}_{name}"], rtol=0, atol=atol, err_msg=name
        )
    inside = {
        "z_line": _inside(model, model.lines, expected[f"{sample}_z_line"]),
        "z_line_bal": _inside(model, model.lines_bal, expected[f"{sample}_z_line_bal"]),
    }
    best = expected[f"{sample}_c_line"].argmax(axis=0)
    inside["zbest"] = inside["z_line"][best, np.arange(len(best))]
    for name, rows in inside.items():
        golden = expected[f"{sample}_{name}"]
        assert rows.mean() > 0.9
        # The tolerance is on the offset, a share of a box: about a tenth of that in (1 + z).
        error = np.abs(getattr(found, name) - golden) / (1 + golden)
        assert error[rows].max() < atol, name


def _inside(model, lines, z):
    """Lines whose golden place is not at an end of the grid."""
    place = np.array([model.rest[line] for line in lines])[:, None] * (1 + z)
    edges = model.wave
    return (place > edges[0] * (1 + 1e-9)) & (place < edges[-1] * (1 - 1e-9))
