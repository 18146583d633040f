"""QuasarNP's names give what DESI's pipeline gets from QuasarNP."""

from __future__ import annotations

import importlib.util
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from makers import desi_cframe, desi_set, fibermap, write
from qnet import compat
from qnet.core.grid import QUASARNET_GRID
from qnet.io.fits.file import FitsFile
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL, absorber_IGM
from qnet.postprocess.decoding import decode

SHORT = ["LYA", "CIV", "CIII", "MgII", "Hbeta", "Halpha"]


@pytest.fixture(scope="module")
def afterburner(shared_data):
    """Folder with a coadd and what the pipeline's quasar afterburner makes of it with QuasarNP."""
    return shared_data / "desi_afterburner"


@pytest.fixture(scope="module")
def pipeline_table(afterburner):
    with FitsFile(afterburner / "qso_qn-x-golden.fits") as file:
        return file.table("QN_RR", file.columns("QN_RR"))


def test_signatures_and_shapes(afterburner, four_layer):
    model, wave = compat.load_model(four_layer)
    rows = np.ones(25, dtype=bool)
    rows[[0, 4]] = False
    X, index = compat.load_desi_coadd(str(afterburner / "coadd-x.fits"), rows, out_grid=wave)
    # One of the 25 spectra (row 11) has no weight: it is left out, as in QuasarNP, and the index
    # counts among the rows asked for.
    assert X.shape == (22, len(wave))
    kept = np.flatnonzero(rows)[index]
    assert sorted(set(range(25)) - set(kept.tolist())) == [0, 4, 11]
    preds = model.predict(X[:, :, None])
    assert [pred.shape for pred in preds] == [(22, 26)] * 7
    c_line, z_line, zbest, c_bal, z_bal = compat.process_preds(
        preds, list(QUASARNET_LINES), list(QUASARNET_LINES_BAL), verbose=False, wave=wave
    )
    assert c_line.shape == z_line.shape == (6, 22)
    assert c_bal.shape == z_bal.shape == (1, 22)
    assert zbest.shape == (22,)


def test_redshifts_are_clamped_at_the_ends_of_the_grid(golden, four_layer):
    expected = golden(four_layer)
    for sample in ("boss", "desi"):
        found = compat.process_preds(
            expected[f"{sample}_pred"], QUASARNET_LINES, QUASARNET_LINES_BAL, verbose=False
        )
        names = ("c_line", "z_line", "zbest", "c_line_bal", "z_line_bal")
        for name, values in zip(names, found, strict=True):
            golden_values = expected[f"{sample}_{name}"]
            np.testing.assert_allclose(values, golden_values, rtol=0, atol=1e-9, err_msg=name)


def test_the_afterburner_columns(afterburner, four_layer, pipeline_table):
    model, wave = compat.load_model(four_layer)
    X, index = compat.load_desi_coadd(afterburner / "coadd-x.fits", out_grid=wave)
    c_line, z_line, zbest, *_ = compat.process_preds(
        model.predict(X[:, :, None]), QUASARNET_LINES, QUASARNET_LINES_BAL, False, wave
    )
    np.testing.assert_allclose(zbest, pipeline_table["Z_QN"][index], rtol=0, atol=2e-5)
    for line, name in enumerate(SHORT):
        for prefix, found in (("C", c_line), ("Z", z_line)):
            np.testing.assert_allclose(
                found[line], pipeline_table[f"{prefix}_{name.upper()}"][index], rtol=0, atol=2e-5
            )
    is_qso = (c_line > 0.5).any(axis=0)
    np.testing.assert_array_equal(is_qso, pipeline_table["IS_QSO_QN_NEW_RR"][index])
    assert is_qso.sum() == 6


def test_an_exposure_of_cframes(tmp_path):
    folder = tmp_path / "00071246"
    folder.mkdir()
    ids = fibermap(np.arange(500) + 10**15, status_name="FIBERSTATUS")
    for name, (wave, flux, ivar) in desi_set(np.linspace(0.5, 3, 500)).items():
        frame = desi_cframe(f"{name.lower()}3", wave, flux, ivar, ids, EXPID=71246)
        write(folder / f"cframe-{name.lower()}3-00071246.fits", frame)
    fibers = np.zeros(500, dtype=bool)
    fibers[[2, 7, 499]] = True
    X, index = compat.load_desi_exposure(folder, 3, fibers)
    everything, all_index = compat.load_desi_exposure(folder, 3)
    assert index.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(X, everything[[2, 7, 499]])
    assert len(all_index) == 500
    with pytest.raises(ValueError, match="spec_number must be at most 9, not 12"):
        compat.load_desi_exposure(folder, 12)
    with pytest.raises(ValueError, match="fibers must be 500 booleans"):
        compat.load_desi_exposure(folder, 3, fibers[:10])


@pytest.fixture
def pipeline(monkeypatch):
    """DESI's afterburner with its two import lines pointed at qnet.compat.

    The second run of redrock is stood in for by what the golden table was made with; where redrock
    is not installed, so are the names that the afterburner imports from it.
    """
    scripts = pytest.importorskip("desispec.scripts")
    if importlib.util.find_spec("redrock") is None:
        for name in ("redrock", "redrock.templates", "redrock.external", "redrock.external.desi"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        monkeypatch.setattr(sys.modules["redrock.templates"], "find_templates", list, raising=False)
        monkeypatch.setattr(sys.modules["redrock.external.desi"], "rrdesi", None, raising=False)
    code = (Path(scripts.__file__).parent / "qsoqn.py").read_text()
    code, replaced = re.subn(
        r"^from quasarnp\.\w+ import", "from qnet.compat import", code, flags=re.M
    )
    assert replaced == 2
    assert "quasarnp" not in code
    qsoqn = types.ModuleType("qsoqn")
    exec(compile(code, "qsoqn.py", "exec"), vars(qsoqn))

    def second_run(spectra_name, targetid, z_qn, z_prior, param_RR, comm=None):
        count = len(targetid)
        return {
            "TARGETID": np.asarray(targetid),
            "Z": z_qn,
            "ZERR": z_prior,
            "ZWARN": np.zeros(count, int),
            "SPECTYPE": np.full(count, ""),
            "SUBTYPE": np.full(count, ""),
            "CHI2": np.zeros(count),
            "DELTACHI2": np.zeros(count),
            "COEFF": np.zeros((count, 4)),
        }

    monkeypatch.setattr(qsoqn, "collect_redshift_with_new_RR_run", second_run)
    return qsoqn


@pytest.mark.filterwarnings("ignore")  # the pipeline's own warnings are not ours
def test_the_pipeline_itself_runs_on_compat(
    pipeline, afterburner, four_layer, pipeline_table, tmp_path, monkeypatch
):
    monkeypatch.setenv("QN_MODEL_FILE", str(four_layer))
    output = tmp_path / "qso_qn.fits"
    pipeline.main(
        [
            "--coadd",
            str(afterburner / "coadd-x.fits"),
            "--redrock",
            str(afterburner / "redrock-x.fits"),
            "--output",
            str(output),
            "--target_selection",
            "all",
            "--save_target",
            "all",
            "--templates",
            "none",
        ]
    )
    with FitsFile(output) as file:
        found = file.table("QN_RR", file.columns("QN_RR"))
    assert found.keys() == pipeline_table.keys()
    for name, expected in pipeline_table.items():
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(found[name], expected, rtol=0, atol=5e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_rest_wavelengths_of_a_network_of_qnet():
    grid, lines, bal = QUASARNET_GRID, list(QUASARNET_LINES), list(QUASARNET_LINES_BAL)
    rest = {**absorber_IGM, "Halpha": 6564.61}
    preds = np.random.default_rng(2).uniform(size=(len(lines) + len(bal), 40, 26))
    wanted = decode(preds, lines, bal, grid, rest)
    c_line, z_line, *_ = compat.process_preds(preds, lines, bal, rest=rest)
    np.testing.assert_array_equal(c_line, wanted.c_line)
    # What is not clamped at an end of the grid is the same.
    places = (1 + z_line) * np.array([rest[line] for line in lines])[:, None]
    inside = (places > 1.0001 * grid.wave[0]) & (places < 0.9999 * grid.wave[-1])
    assert inside.mean() > 0.9
    np.testing.assert_allclose(z_line[inside], wanted.z_line[inside], rtol=1e-12)
    assert (z_line != compat.process_preds(preds, lines, bal)[1])[-1].all()
