"""One catalogue of many: the rows, their order, duplicates, the formats, and what is refused."""

from __future__ import annotations

import dataclasses
import resource
import sys

import numpy as np
import pytest
from astropy.table import Table

import qnet
from qnet.core.flags import QNFlag
from qnet.io.catalogue import Catalogue
from qnet.io.fits.writer import Card
from qnet.survey.folder import Folder, Input, add_inputs, settle_settings
from qnet.survey.journal import Journal, Record
from qnet.survey.merging import merge, merge_catalogues

HEADER = {"MODEL": "m@1", "MODELSHA": "abc", "LINE0": "LYA", "LINE1": "CIV(1548)"}


def catalogue(ids, *, name="a", survey="main", **changes):
    """A small catalogue of one input, whose positions and numbers follow from the ids."""
    ids = np.asarray(ids)
    rng = np.random.default_rng(int(ids.sum()) if ids.size else 0)
    columns = {
        "TARGETID": ids.astype(np.int64),
        "IS_QSO": rng.random(len(ids)) > 0.5,
        "ZBEST": rng.uniform(0, 4, len(ids)),
        "QN_FLAG": np.zeros(len(ids), np.int32),
        "C_LINES": rng.random((len(ids), 2)).astype(np.float32),
        "SNR": rng.uniform(0, 9, len(ids)).astype(np.float32),
        "TARGET_RA": rng.uniform(0, 360, len(ids)),
        "TARGET_DEC": rng.uniform(-90, 90, len(ids)),
        "SURVEY": np.full(len(ids), survey),
        "INPUT_INDEX": np.zeros(len(ids), np.int32),
        "INPUT_ROW": np.arange(len(ids), dtype=np.int32),
    }
    cards = {**HEADER, "DEPNAM00": "qnet", "DEPVER00": "1", "IN000000": f"{name}.fits"}
    columns = {key: x for key, x in {**columns, **changes}.items() if x is not None}
    return Catalogue(columns, tuple(Card(*pair) for pair in cards.items()))


def written(folder, *catalogues, suffix=".fits"):
    """Files of catalogues."""
    paths = [folder / f"part{number:03d}{suffix}" for number in range(len(catalogues))]
    for path, each in zip(paths, catalogues, strict=True):
        qnet.write_catalogue(each, path)
    return paths


@pytest.fixture
def three(tmp_path):
    """Catalogues of other text widths and columns, one of them without rows."""
    more = {"TILEID": np.array([4, 5], np.int32)}
    parts = [
        catalogue([5, 3, -1], name="a", survey="sv1"),
        catalogue([], name="b"),
        catalogue([4, 3], name="c", survey="special", **more),
    ]
    return written(tmp_path, *parts)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".csv", ".ecsv", ".parquet"])
def test_all_rows_in_their_order_in_each_format(three, tmp_path, suffix):
    path = tmp_path / f"all{suffix}"
    merged = merge_catalogues(three, path)
    table = qnet.read_catalogue(path)
    parts = [qnet.read_catalogue(part) for part in three]
    assert (merged.rows, merged.quasars) == (5, sum(part["IS_QSO"].sum() for part in parts))
    for name in parts[0].colnames:
        expected = np.concatenate([part[name] for part in parts])
        if name == "INPUT_INDEX":
            expected = [0, 0, 0, 2, 2]
        np.testing.assert_array_equal(table[name], expected, name)
    assert table["TILEID"].tolist() == [-1, -1, -1, 4, 5]
    assert table["C_LINES"].shape == (5, 2)
    assert table.colnames[-2:] == ["INPUT_INDEX", "INPUT_ROW"]
    if suffix != ".csv":  # which has no header
        assert [table.meta[f"IN{n:06d}"] for n in range(3)] == ["a.fits", "b.fits", "c.fits"]
        assert table.meta["MODELSHA"] == "abc"
        assert table["TARGET_RA"].unit == "deg"
    assert sorted(part.name for part in tmp_path.iterdir() if "part" not in part.name) == [
        path.name
    ]


@pytest.mark.filterwarnings("ignore:.*have no TARGETID:qnet.QnetWarning")
@pytest.mark.parametrize("to", ["picca", "desi", "redrock", "votable"])
def test_formats_of_other_programs_are_those_of_the_whole(three, tmp_path, to):
    suffix = ".vot" if to == "votable" else ".fits"
    merge_catalogues(three, tmp_path / "all.fits")
    merge_catalogues(three, tmp_path / f"made{suffix}", to=to)
    qnet.io.export(qnet.read_catalogue(tmp_path / "all.fits"), tmp_path / f"whole{suffix}", to=to)
    for hdu in (1, 2) if to == "redrock" else (1,):
        options = {} if to == "votable" else {"hdu": hdu}
        made, whole = (Table.read(tmp_path / f"{x}{suffix}", **options) for x in ("made", "whole"))
        assert made.colnames == whole.colnames
        for name in made.colnames:
            np.testing.assert_array_equal(made[name], whole[name])


@pytest.mark.parametrize("order", ["input", "sorted", "best"])
def test_many_blocks(tmp_path, order, monkeypatch):
    """More rows than a block, from files of all sizes: none lost, none doubled, none moved."""
    for module in ("merging", "scratch"):
        monkeypatch.setattr(f"qnet.survey.{module}.BLOCK", 100)
    rng = np.random.default_rng(1)
    sizes = (105, 1, 0, 3, 50, 433)
    parts = [catalogue(rng.integers(-5, 400, size)) for size in sizes]
    paths = written(tmp_path, *parts)
    path = tmp_path / "all.fits"
    options = {} if order == "input" else {"sort": "ZBEST"}
    merged = merge_catalogues(
        paths, path, duplicates="best" if order == "best" else "keep", **options
    )
    ids, z, snr = (
        np.concatenate([part.columns[name] for part in parts])
        for name in ("TARGETID", "ZBEST", "SNR")
    )
    expected = np.arange(len(ids)) if order == "input" else np.argsort(z, kind="stable")
    if order == "best":
        best = {}
        for row, (targetid, value) in enumerate(zip(ids.tolist(), snr.tolist(), strict=True)):
            key = targetid if targetid > 0 else f"none {row}"
            if key not in best or value > snr[best[key]]:
                best[key] = row
        expected = expected[np.isin(expected, list(best.values()))]
    table = qnet.read_catalogue(path)
    np.testing.assert_array_equal(table["ZBEST"], z[expected])
    np.testing.assert_array_equal(table["TARGETID"], ids[expected])
    assert merged.rows == len(expected)
    assert merged.duplicates == len(ids) - len(expected)


def test_best_of_duplicates(tmp_path):
    """The largest SNR of rows that may be quasars; the first of equals; ids that are none stay."""
    flags = np.array([QNFlag.BAD_FIBER, 0, 0, 0, 0, 0, QNFlag.NODATA, 0], np.int32)
    snr = np.float32([9, 2, 2, 1, 1, 1, np.nan, np.nan])
    part = catalogue([7, 7, 7, 0, -1, -1, 8, 8], QN_FLAG=flags, SNR=snr)
    merged = merge_catalogues(written(tmp_path, part), tmp_path / "all.fits", duplicates="best")
    rows = qnet.read_catalogue(tmp_path / "all.fits")["INPUT_ROW"].tolist()
    assert (rows, merged.duplicates) == ([1, 3, 4, 5, 7], 3)


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_folder_of_partitions_is_read_by_lsdb(tmp_path):
    pytest.importorskip("astropy_healpix")
    lsdb = pytest.importorskip("lsdb")
    parts = [catalogue(np.arange(1, 300)), catalogue(np.arange(200, 400))]
    parts[1].columns["TARGET_RA"][3] = np.nan
    parts.append(catalogue([1, 2], TARGET_RA=None, TARGET_DEC=None))
    path = tmp_path / "sky"
    with pytest.warns(qnet.QnetWarning, match="3 of 501 rows have no position"):
        merged = merge_catalogues(written(tmp_path, *parts), path, healpix_order=1)
    assert (merged.rows, merged.unplaced) == (498, 3)
    assert 40 < merged.partitions <= 48
    opened = lsdb.open_catalog(path)
    assert len(opened) == 498
    frame = opened.compute(progress_bar=False)
    expected = sorted([*range(1, 300), *range(200, 203), *range(204, 400)])
    assert sorted(frame["TARGETID"]) == expected
    assert {"C_LYA", "C_CIV"} <= set(frame.columns)
    cone = opened.cone_search(ra=120, dec=30, radius_arcsec=30 * 3600)
    found = cone.compute(progress_bar=False)["TARGETID"]
    ra, dec = np.radians(frame["TARGET_RA"]), np.radians(frame["TARGET_DEC"])
    cos = np.sin(dec) * 0.5 + np.cos(dec) * np.cos(np.radians(30)) * np.cos(ra - np.radians(120))
    assert sorted(found) == sorted(frame["TARGETID"][np.degrees(np.arccos(cos)) < 30])


def test_pixels_are_those_of_healpy(tmp_path):
    pytest.importorskip("astropy_healpix")
    healpy = pytest.importorskip("healpy")
    from qnet.io.hats import find_pixels, to_order

    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    for order in (0, 3, 12):
        expected = healpy.ang2pix(1 << order, ra, dec, nest=True, lonlat=True)
        np.testing.assert_array_equal(to_order(find_pixels(ra, dec), order), expected)
    none = find_pixels(np.array([np.nan, 1.0, 1.0]), np.array([0.0, np.inf, 91.0]))
    assert none.tolist() == [-1, -1, -1]


WRONG = {
    "another model": ({"header": {"MODELSHA": "def"}}, {}, "MODELSHA is 'def', but 'abc'"),
    "another criterion": ({"header": {"STRATEGY": "x"}}, {}, "STRATEGY is 'x', but None"),
    "other lines": (
        {"C_LINES": np.zeros((2, 3), np.float32)},
        {},
        r"C_LINES has shape \(3,\) in a row, but \(2,\)",
    ),
    "other types": ({"SURVEY": np.array([1, 2])}, {}, "SURVEY holds int64, but <U4"),
    "an unknown column": ({}, {"sort": "SIZE"}, "lacks the column SIZE"),
    "a column of lists": ({}, {"sort": "C_LINES"}, "a number per row, not C_LINES"),
    "no such rule": ({}, {"duplicates": "first"}, "'keep' or 'best', not 'first'"),
    "an order beyond": ({}, {"healpix_order": 13}, "healpix_order"),
    "two orders": ({}, {"to": "hats", "sort": "SNR"}, "in the order of the pixels"),
    "partitions of CSV": ({}, {"to": "csv", "healpix_order": 2}, "to must be 'hats'"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_merged_is_refused(tmp_path, wrong):
    changes, options, message = WRONG[wrong]
    header = changes.pop("header", {}) if "header" in changes else {}
    second = catalogue([1, 2], **changes)
    cards = {card.key: card.value for card in second.header} | header
    second = dataclasses.replace(second, header=tuple(Card(*pair) for pair in cards.items()))
    paths = written(tmp_path, catalogue([1, 2]), second)
    with pytest.raises(qnet.InputError, match=message):
        merge_catalogues(paths, tmp_path / "all.fits", **options)
    assert sorted(tmp_path.iterdir()) == paths


def test_an_existing_output_and_a_damaged_catalogue(three, tmp_path):
    output = tmp_path / "all.fits"
    merge_catalogues(three, output)
    before = output.read_bytes()
    with pytest.raises(qnet.OutputExistsError, match="exists already"):
        merge_catalogues(three, output)
    three[2].write_bytes(three[2].read_bytes()[:9000])
    with pytest.raises(qnet.FileError, match="part002"):
        merge_catalogues(three, output, overwrite=True)
    assert output.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 4


def test_names_of_many_inputs_are_a_table(tmp_path):
    cards = tuple(Card(f"IN{n:06d}", f"folder/input-{n}.fits") for n in range(1200))
    many = dataclasses.replace(catalogue([1, 2]), header=cards)
    many.columns["INPUT_INDEX"][1] = 1199
    paths = written(tmp_path, many, many)
    merge_catalogues(paths, tmp_path / "all.fits")
    table = qnet.read_catalogue(tmp_path / "all.fits")
    names = Table.read(tmp_path / "all.fits", hdu="INPUTS")["INPUT"]
    assert "IN000000" not in table.meta
    assert [names[n] for n in table["INPUT_INDEX"]] == [
        *("folder/input-0.fits", "folder/input-1199.fits") * 2
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of file sizes as Linux has it")
@pytest.mark.parametrize("sort", [None, "ZBEST"])
def test_a_full_disk_is_an_error_that_leaves_nothing(three, tmp_path, sort, limited):
    paths = [path for path in three for _ in range(40)]
    with limited(15_000), pytest.raises(qnet.FileError, match=r"could not be written|no room"):
        merge_catalogues(paths, tmp_path / "all.fits", sort=sort)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.fixture
def limited():
    """Limits the size of files in the process."""
    import contextlib
    import signal

    @contextlib.contextmanager
    def limit(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)

    return limit


def test_a_survey_with_an_input_that_failed(tmp_path):
    """The journal gives the list; what is missing is told, and the rest is merged in its order."""
    folder = Folder(tmp_path / "out")
    folder.prepare()
    hashed = settle_settings(folder, {"options": {}}, overwrite=False)
    inputs = [Input((f"{name}.fits",), f"{name}.fits") for name in "bac"]
    add_inputs(folder, inputs)
    for each, ids in zip(inputs, ([3], [1], [2]), strict=True):
        qnet.write_catalogue(catalogue(ids), folder.path / each.output)
    with Journal(folder, "", hashed) as journal:
        for each in reversed(inputs[:2]):
            journal.done(each.paths, each.output, Record((None,), rows=1))
        journal.failed(inputs[2].paths, qnet.FileError("c.fits: is empty"), Record((None,)))
    with pytest.warns(qnet.QnetWarning, match=r"c.fits: 1 of 3 inputs failed"):
        merged = merge(folder.path, tmp_path / "all.fits")
    assert (merged.rows, merged.missing) == (2, 1)
    assert qnet.read_catalogue(tmp_path / "all.fits")["TARGETID"].tolist() == [3, 1]
    with pytest.raises(qnet.InputError, match="is in the folder of the survey"):
        merge(folder.path, folder.path / "all.fits")
    with pytest.raises(qnet.FileError, match="holds no survey"):
        merge(tmp_path / "other", tmp_path / "all2.fits")
    other = {"options": {}, "reading": {}, "to": "picca"}
    settle_settings(folder, other, overwrite=True)
    with pytest.raises(qnet.InputError, match="have the format picca of another program"):
        merge(folder.path, tmp_path / "all2.fits")
