"""Truth tables of other surveys, made from their published layouts, and tables of any other."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

import qnet
import qnet.io
from makers import make_spectra, prepared, primary, table, write
from qnet.core.errors import FileError, InputError, QnetWarning
from qnet.core.grid import QUASARNET_GRID
from qnet.io.truth import TruthRecord, read_truth_columns
from shell import errors, run


def vi_results():
    """`boss_vi_results` of SDSS-V (DR20): its 13 columns, lower case, with their types."""
    z = np.float32([2.1, 2.101, 0.4, np.nan, 0.0, 0.9, 0.95, 0.9])
    sure = np.int16([3, 3, 3, 1, 3, 3, 3, 3])
    inspected = np.array([True, True, True, True, False, True, True, True])
    return {
        "field": np.int32([15000] * 8),
        "mjd": np.int32([59300, 59301, 59300, 59300, 59300, 59300, 59400, 59302]),
        "catalogid": np.int64([11, 11, 12, 13, 14, 15, 15, 15]) + 2**54,
        "sdss_id": np.int64([1, 1, 2, 3, 4, 5, 5, 5]),
        "z_pipe": np.float32([2.1, 2.101, 0.4, 0.3, 0.0, 0.9, 0.95, 0.9]),
        "has_vi": inspected,
        "z_vi": np.where(inspected, z, np.float32(np.nan)),
        "z_conf_vi": np.where(inspected, sure, np.int16(-1)),
        "z_best": z,
        "z_conf_best": sure,
        "class_best": np.array(
            ["QSO", "QSO", "GALAXY", "UNKNOWN", "STAR", "QSO_BAL", "QSO_BAL", "QSO_BAL"], "S15"
        ),
        "z_pipe_reliable": np.ones(8, bool),
        "z_best_reliable": sure == 3,
    }


def properties(ids):
    """The first columns of DR16Q_prop and DR20Q_prop that matter, with their types."""
    return {
        **ids,
        "RA": np.array([10.0, 11.0, 12.0]),
        "DEC": np.array([0.0, 1.0, 2.0]),
        "Z_FIT": np.array([1.0, 2.0, np.nan]),
        "Z_SYS": np.array([1.01, 2.02, np.nan]),
        "Z_SYS_ERR": np.array([0.001, -1.0, np.nan]),
        "CONTI_PARA": np.zeros((3, 5)),
    }


PLATES = {
    "PLATE": np.int64([7102, 7102, 266]),
    "MJD": np.int64([56666, 56666, 51602]),
    "FIBERID": np.int64([1, 1000, 9]),
}


def fits(path, columns, name="", *before):
    return write(path, [primary(), *before, table(columns, name)])


def test_the_inspection_of_sdss_v(tmp_path):
    truth = qnet.io.read_truth(fits(tmp_path / "vi.fits", vi_results(), "VI_RESULTS"))
    first = 2**54 + 11
    assert sorted(truth) == [first + i for i in range(5)]
    # Two sure spectra agree.
    assert truth[first].z_vi == pytest.approx(2.1, abs=1e-6)
    assert truth[first][1:4] == (3, 3, 0)
    assert truth[first + 1][1:3] == (4, 3)
    assert truth[first + 2][1:3] == (0, 1)
    assert np.isnan(truth[first + 2].z_vi)
    # The pipeline's own answer, that nobody looked at, is no inspection.
    assert truth[first + 3][1:3] == (0, 0)
    # Two sure spectra of a BAL quasar disagree by 7000 km/s: a third one decides nothing.
    assert truth[first + 4][1:4] == (30, 1, 1)
    by_sdss_id = qnet.io.read_truth(
        fits(tmp_path / "all.fits", {k: v[2:5] for k, v in vi_results().items()}, "VI_RESULTS"),
        columns={"id": "sdss_id", "z": "z_best", "class": "class_best"},
    )
    assert [(key, r.class_person, r.z_conf_person) for key, r in by_sdss_id.items()] == [
        *((2, 4, 3), (3, 0, 1), (4, 1, 3))
    ]


def test_the_order_of_spectra_of_an_object_does_not_matter(tmp_path):
    columns = vi_results()
    whole = qnet.io.read_truth(fits(tmp_path / "a.fits", columns, "VI_RESULTS"))
    turned = {name: column[::-1] for name, column in columns.items()}
    other = qnet.io.read_truth(fits(tmp_path / "b.fits", turned, "VI_RESULTS"))
    assert {k: r.z_conf_person for k, r in whole.items()} == {
        k: r.z_conf_person for k, r in other.items()
    }


def test_systemic_redshifts_of_sdss_v(tmp_path):
    ids = {"FIELD": np.int64([1, 2, 3]), "CATALOGID": np.int64([4, 5, 6])}
    truth = qnet.io.read_truth(fits(tmp_path / "p.fits", properties(ids)))
    assert [(key, r.z_vi, r.z_conf_person) for key, r in truth.items()][:2] == [
        *((4, 1.01, 3), (5, 2.0, 3))
    ]
    assert truth[6].z_conf_person == 1
    assert {r.class_person for r in truth.values()} == {3}


@pytest.mark.parametrize("kind", ["DR16Q_prop", "Hewett & Wild"])
def test_redshifts_by_plate_mjd_and_fibre(tmp_path, kind):
    path = tmp_path / "z.fits"
    z = [1.01, 2.0, 0.5]
    if kind == "DR16Q_prop":
        fits(path, properties(PLATES) | {"Z_FIT": np.array([1.0, 2.0, 0.5])})
    else:
        renamed = {"FIBER" if name == "FIBERID" else name: x for name, x in PLATES.items()}
        fits(path, renamed | {"z": np.array(z), "e_z": np.full(3, 0.001)})
    truth = qnet.io.read_truth(path)
    assert list(truth) == [7102566660001, 7102566661000, 266516020009]
    assert [r.z_vi for r in truth.values()] == z
    # A catalogue of these spectra is joined, whatever its TARGETIDs.
    found = Table({"TARGETID": [3, -1, 5], "ZBEST": z[::-1], "IS_QSO": [True, True, False]})
    for name, column in PLATES.items():
        found[name] = column[::-1]
    evaluation = qnet.evaluate(found, path)
    assert evaluation.sample.counts["objects of the truth without a row"] == 0
    assert evaluation.metric("completeness").value == pytest.approx(2 / 3)
    assert evaluation.sample.z.tolist() == z[::-1]
    del found["FIBERID"]
    with pytest.raises(InputError, match="none of its 3 rows has truth"):
        qnet.evaluate(found, path)


def test_catalogues_for_picca(tmp_path):
    quasars = {"TARGETID": np.int64([7, 8]), "Z": np.array([2.2, 3.1]), "BI_CIV": [0.0, 900.0]}
    other = table({"TARGETID": np.int64([1])}, "EXTRA")
    truth = qnet.io.read_truth(fits(tmp_path / "q.fits", quasars, "QSO_CAT", other))
    assert truth == {7: TruthRecord(2.2, 3, 3, 0, 0.0), 8: TruthRecord(3.1, 3, 3, 1, 900.0)}
    pipeline = {"TARGETID": np.int64([7, 8, 9]), "Z": np.array([2.2, 0.3, 1.1])}
    pipeline |= {"SPECTYPE": np.array(["QSO", "GALAXY", "QSO"]), "ZWARN": np.int64([0, 0, 4])}
    truth = qnet.io.read_truth(fits(tmp_path / "z.fits", pipeline, "ZCATALOG"))
    assert [(r.class_person, r.z_conf_person) for r in truth.values()] == [(3, 3), (4, 3), (3, 1)]
    # Two columns do not make a catalogue of quasars: the name of the HDU does.
    with pytest.raises(
        FileError, match="it lacks HDU QSO_CAT or ZCATALOG of a catalogue for picca"
    ):
        qnet.io.read_truth(fits(tmp_path / "n.fits", pipeline, "OTHER"))


OWN = {"Name": [7, 8, 9, 10], "redshift": [2.1, 0.3, 0.0, 1.0]}
OWN |= {"Kind": ["quasar", "Galaxy", "star", "blob"], "RMAG": [20.0, 21.0, 18.0, 19.0]}


@pytest.mark.parametrize("suffix", ["csv", "ecsv", "parquet", "fits"])
def test_a_table_with_named_columns(tmp_path, suffix):
    path = tmp_path / f"own.{suffix}"
    Table(OWN).write(path)
    names = {"id": "name", "z": "REDSHIFT", "class": "kind"}
    with pytest.warns(QnetWarning, match="column KIND holds BLOB, which are none of the classes"):
        truth = qnet.io.read_truth(path, columns=names)
    expected = [(2.1, 3, 3), (0.3, 4, 3), (0.0, 1, 3), (1.0, 0, 1)]
    assert [r[:3] for r in truth.values()] == expected
    ids, columns = read_truth_columns(path, names)
    assert (ids.tolist(), columns["RMAG"].tolist()) == (OWN["Name"], OWN["RMAG"])
    quasars = qnet.io.read_truth(path, columns={"id": "name", "z": "redshift"})
    assert {r[1:3] for r in quasars.values()} == {(3, 3)}


def test_columns_that_are_not_there_or_not_known(tmp_path):
    Table(OWN).write(tmp_path / "own.csv")
    with pytest.raises(FileError, match=r"own\.csv: lacks the column\(s\) ZED that columns names"):
        qnet.io.read_truth(tmp_path / "own.csv", columns={"id": "name", "z": "zed"})
    for wrong in ({"id": "name"}, {"id": "name", "z": "redshift", "mag": "x"}, {}, ["name"], 3):
        with pytest.raises(InputError, match="columns must name the columns of 'id', 'z' and"):
            qnet.io.read_truth(tmp_path / "own.csv", columns=wrong)
    record = {7: TruthRecord(2.1, 3, 3, 0, 0.0)}
    rows = Table({"TARGETID": [7], "ZBEST": [2.1], "IS_QSO": [True]})
    with pytest.raises(InputError, match="truth_columns goes with truth tables"):
        qnet.evaluate(rows, record, truth_columns={"id": "name", "z": "redshift"})


def test_the_commands_take_named_columns(tmp_path):
    Table({name: column[:3] for name, column in OWN.items()}).write(tmp_path / "own.csv")
    names = ("--truth-columns", "id=Name", "z=redshift", "class=Kind")
    # A truth file of it serves training and all else; preparation takes the table itself.
    done = run("truth", "--superset", "own.csv", *names, "-o", "truth.fits", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    built = qnet.io.read_truth(tmp_path / "truth.fits")
    assert [(key, *r[:3]) for key, r in built.items()] == [
        *((7, 2.1, 3, 3), (8, 0.3, 4, 3), (9, 0.0, 1, 3))
    ]
    flux, ivar = make_spectra(QUASARNET_GRID.wave, [2.1, 1.0])
    hdus = prepared(flux, ivar, {"TARGETID": np.array([7, 99])})
    write(tmp_path / "data.fits", hdus)
    command = ("prepare", "data.fits", "-o", "out.fits", *names)
    done = run(*command, "--truth", "own.csv", cwd=tmp_path)
    assert done.returncode == 0
    assert qnet.io.read_data(tmp_path / "out.fits")[0].tolist() == [7]
    done = run(*command, "--overwrite", cwd=tmp_path)
    assert (done.returncode, "--truth-columns goes with --truth" in errors(done)[0]) == (2, True)
    rows = {"TARGETID": [7, 8, 9], "ZBEST": [2.1, 2.0, 1.0], "IS_QSO": [True, True, False]}
    Table(rows).write(tmp_path / "mine.csv")
    command = ("evaluate", "mine.csv", "--truth", "own.csv", "--truth-columns", "id=Name")
    done = run(*command, "z=redshift", "class=Kind", "--json", "out.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    names = {"id": "Name", "z": "redshift", "class": "Kind"}
    expected = qnet.evaluate(tmp_path / "mine.csv", tmp_path / "own.csv", truth_columns=names)
    assert expected.metric("purity").value == 0.5
    assert '"purity"' in (tmp_path / "out.json").read_text()
    done = run(*command, "z", cwd=tmp_path)
    assert done.returncode == 2
    assert "takes each part once, as in id=NAME, not id=Name z" in errors(done)[0]
