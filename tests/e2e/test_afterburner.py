"""DESI's quasar afterburner: the table that it writes, and redrock run again."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import qnet
from makers import image, primary, table, write
from qnet import cli
from qnet.redrock import run_afterburner, write_priors
from qnet.simulation import write_simulation

#: A command that takes redrock's options and gives back the middle of each window.
REDROCK = """\
#!{python}
import argparse
import numpy as np
from astropy.table import Table

parser = argparse.ArgumentParser()
for name in ("--infiles", "--templates"):
    parser.add_argument(name, nargs="+", required=True)
for name in ("--targetids", "--priors", "--outfile"):
    parser.add_argument(name, required=True)
given = parser.parse_args()
ids = np.array(given.targetids.split(","), dtype=int)
priors = Table.read(given.priors, hdu="PRIORS")
assert set(priors["FUNCTION"]) == {{"tophat"}}
rows = priors[np.isin(priors["TARGETID"], ids)][::-1]
if {fault!r}:
    raise RuntimeError({fault!r})
n = len(rows)
found = Table({{
    "TARGETID": rows["TARGETID"], "Z": rows["Z"], "ZERR": rows["SIGMA"],
    "ZWARN": np.zeros(n, int), "CHI2": np.zeros(n), "COEFF": np.zeros((n, 4)),
    "SPECTYPE": np.full(n, {spectype!r}), "SUBTYPE": np.full(n, ""), "DELTACHI2": np.zeros(n),
}}, meta={{"EXTNAME": "REDSHIFTS", "RRVER": "0.21.0"}})
found.write(given.outfile, format="fits")
"""


def stand_in(path, *, spectype="QSO", fault=""):
    path.write_text(REDROCK.format(python=sys.executable, spectype=spectype, fault=fault))
    path.chmod(0o755)
    return str(path)


def templates(folder, *ranges):
    """Templates of quasars that hold only their redshifts."""
    folder.mkdir()
    for number, (low, high) in enumerate(ranges):
        grid = 10 ** np.arange(np.log10(1 + low), np.log10(1 + high), 5e-4) - 1
        write(folder / f"rrtemplate-QSO-{number}.fits", [primary(), image(grid, "REDSHIFTS")])
    return folder


@pytest.fixture(scope="module")
def coadd(tmp_path_factory):
    """A coadd of bright quasars and a sky fibre, and the catalogue of it."""
    path = tmp_path_factory.mktemp("coadd") / "coadd.fits"
    simulation = qnet.simulate(12, seed=3, survey="desi", mix={"quasar": 0.9, "sky": 0.1})
    write_simulation(simulation, path, path.with_name("truth.csv"), format="coadd")
    with fits.open(path, mode="update") as hdus:
        hdus["FIBERMAP"].data["TARGETID"][0] *= -1  # as of a stuck positioner
    return path, qnet.classify(path)


def redrock_file(path, catalogue, *, z=None, spectype="QSO", keep=slice(None)):
    """What redrock's first run might have written, in another order than the coadd."""
    rows = Table({
        "TARGETID": catalogue["TARGETID"],
        "Z": catalogue["ZBEST"] if z is None else np.full(len(catalogue), z),
        "ZWARN": np.zeros(len(catalogue), int),
        "SPECTYPE": np.full(len(catalogue), spectype),
    })  # fmt: skip
    return write(path, [primary(), table(rows[keep][::-1], "REDSHIFTS")])


def test_the_table_of_desispec(shared_data, four_layer, tmp_path):
    """The golden table of desispec and QuasarNP, with redrock stood in for as in that."""
    data = shared_data / "desi_afterburner"
    output, priors = tmp_path / "qso_qn.fits", tmp_path / "priors.fits"
    words = ["afterburner", data / "coadd-x.fits", data / "redrock-x.fits", "-o", output]
    words += ["--model", four_layer, "--templates", shared_data / "templates" / "redrock"]
    words += ["--rrdesi", stand_in(tmp_path / "rrdesi", spectype=""), "--priors", priors]
    assert cli.main(list(map(str, words))) == 0
    found, golden = (
        fits.getdata(path, "QN_RR") for path in (output, data / "qso_qn-x-golden.fits")
    )
    names = golden.dtype.names
    assert found.dtype.names[: len(names)] == names
    for name in names:
        assert found.dtype[name] == golden.dtype[name], name
        if golden.dtype[name].base.kind == "f":
            np.testing.assert_allclose(found[name], golden[name], rtol=0, atol=5e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], golden[name], err_msg=name)
    header = fits.getheader(output, "QN_RR")
    described = {header[f"TTYPE{n}"]: header.get(f"TCOMM{n}") for n in range(1, header["TFIELDS"])}
    assert all(described[name] for name in names if name[:2] not in ("C_", "Z_")), described
    assert header["TUCD1"] == "meta.id;meta.main"
    rows = found[found["IS_QSO_QN_NEW_RR"]]
    written = fits.getdata(priors, "PRIORS")
    np.testing.assert_array_equal(written["TARGETID"], rows["TARGETID"])
    np.testing.assert_allclose(written["SIGMA"], rows["PRIOR_WIDTH"])


def test_redrock_runs_again_only_where_it_disagrees(coadd, tmp_path):
    path, catalogue = coadd
    command = stand_in(tmp_path / "rrdesi")
    folder = templates(tmp_path / "templates", (0.05, 1.6), (1.4, 6.99))
    agreeing = redrock_file(tmp_path / "agrees.fits", catalogue)
    options = {"templates": folder, "rrdesi": command, "strategy": "qnet"}
    found = run_afterburner(path, agreeing, **options)
    quasars = catalogue["IS_QSO"]
    assert quasars.sum() > 5
    assert set(found["RERUN"][quasars]) == {"agrees"}
    assert set(found["RERUN"][~quasars]) == {"no quasar"}
    for name, other in {"galaxy": {"spectype": "GALAXY"}, "z": {"z": 0.01}}.items():
        redrock = redrock_file(tmp_path / f"{name}.fits", catalogue, **other)
        found = run_afterburner(path, redrock, **options)
        np.testing.assert_array_equal(found["IS_QSO_QN_NEW_RR"], quasars)
        # Row for row, whatever the order of redrock's files.
        np.testing.assert_allclose(found["Z_NEW"][quasars], catalogue["ZBEST"][quasars])
        assert np.isnan(found["Z_NEW"][~quasars]).all()
        assert set(found["SPECTYPE_NEW"]) == {"QSO", ""}
        np.testing.assert_array_equal(found["COEFF_NEW"][quasars], 0)
        assert found.meta["STRATEGY"] == "qnet@1"
        assert found.meta["RRVER"] == "0.21.0"


def test_windows_follow_the_errors_and_the_candidates(coadd, tmp_path):
    path, catalogue = coadd
    redrock = redrock_file(tmp_path / "redrock.fits", catalogue, spectype="GALAXY")
    with pytest.warns(qnet.QnetWarning, match="not installed: it does not run again"):
        found = run_afterburner(path, redrock, strategy="qnet", targets="qso", targetids=None)
    quasars = catalogue["IS_QSO"]
    assert set(found["RERUN"][quasars]) == {"not run"}
    assert not found["IS_QSO_QN_NEW_RR"].any()
    z, half = catalogue["ZBEST"], found["PRIOR_WIDTH"] / 2
    least = 3000 / 299792.458 * (1 + z)
    wanted = np.fmin(np.fmax(5 * catalogue["ZERR"], least), np.abs(catalogue["Z2"] - z) / 2)
    refined = np.isfinite(catalogue["ZERR"])
    assert refined.sum() > 5
    np.testing.assert_allclose(half[refined], wanted[refined], rtol=1e-6)


def test_windows_outside_of_the_templates_are_left_out(coadd, tmp_path):
    path, catalogue = coadd
    redrock = redrock_file(tmp_path / "redrock.fits", catalogue, spectype="GALAXY")
    limit = float(np.median(catalogue["ZBEST"][catalogue["IS_QSO"]])) + 1e-4
    options = {"rrdesi": stand_in(tmp_path / "rrdesi"), "strategy": "qnet"}
    options["templates"] = templates(tmp_path / "templates", (limit, 6.99))
    with pytest.warns(qnet.QnetWarning, match="templates do not reach the redshifts of"):
        found = run_afterburner(path, redrock, **options)
    outside = catalogue["IS_QSO"] & (catalogue["ZBEST"] + found["PRIOR_WIDTH"] / 2 < limit)
    assert outside.any()
    assert set(found["RERUN"][outside]) == {"outside templates"}
    assert found["IS_QSO"][outside].all()
    assert np.isnan(found["Z_NEW"][outside]).all()
    np.testing.assert_allclose(found["Z_QSO"][outside], catalogue["ZBEST"][outside])
    assert "done" in found["RERUN"]


def test_faults_are_one_sentence(coadd, tmp_path, capsys):
    path, catalogue = coadd
    redrock = redrock_file(tmp_path / "redrock.fits", catalogue, spectype="GALAXY")
    folder = templates(tmp_path / "templates", (0.05, 6.99))
    output = tmp_path / "out.fits"

    def run(*words, redrock=redrock):
        arguments = ["afterburner", path, redrock, "-o", output, "--strategy", "qnet", *words]
        status = cli.main(list(map(str, arguments)))
        assert not output.exists()
        return status, capsys.readouterr().err

    broken = stand_in(tmp_path / "broken", fault="no fit today")
    status, message = run("--rrdesi", broken, "--templates", folder)
    assert status == 1
    assert "redrock failed with status 1 (RuntimeError: no fit today)" in message
    assert run("--rrdesi", tmp_path / "none")[0] == 2
    assert run("--rrdesi", broken, "--templates", tmp_path)[0] == 1
    other = redrock_file(tmp_path / "other.fits", Table({"TARGETID": [1], "ZBEST": [0.0]}))
    assert "none of the TARGETIDs" in run(redrock=other)[1]
    assert run("--strategy", "none")[0] == 2
    assert run("--priors", output)[0] == 2


def test_priors_are_read_by_redrock(tmp_path):
    priors = pytest.importorskip("redrock.priors")
    path = write_priors(tmp_path / "priors.fits", [-7, 39627866878511337], [2.1, 0.3], [0.1, 0.2])
    read = priors.Priors(str(path))
    assert read._type == "tophat"
    assert read._param[39627866878511337] == {"Z": 0.3, "SIGMA": 0.2}
    for wrong in ([0.1], [0.1, 0.0], [0.1, np.nan]):
        with pytest.raises(qnet.InputError):
            write_priors(path, [1, 2], [2.1, 0.3], wrong, overwrite=True)
