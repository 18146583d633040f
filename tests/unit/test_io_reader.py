"""Which reader a file or an object gets, and which files are one set."""

from __future__ import annotations

import dataclasses
import gzip
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.table import Table

import qnet
from makers import (
    BOSS_LOGLAM,
    as_spectra,
    boss_set,
    boss_spec,
    desi_cframe,
    desi_coadd,
    desi_set,
    fibermap,
    image,
    make_spectra,
    make_spectrum,
    prepared,
    primary,
    sdss5_spec,
    spcframe,
    spfield,
    spplate,
    table,
    write,
)
from makers_archives import presets
from makers_surveys import SURVEY_LAYOUTS, SURVEY_SINGLE
from qnet.core.errors import FileError, InputError, QnetWarning
from qnet.core.grid import QUASARNET_GRID, QUASARNET_LINEAR_GRID, WavelengthGrid
from qnet.core.kinds import TEXT
from qnet.io import Reader, from_arrays, read_spectra, register
from qnet.io.fits.file import FitsFile
from qnet.io.openfile import OpenFile
from qnet.io.reader import group_frames, read_blocks
from qnet.io.readers import READERS
from qnet.io.readers.registry import refuse
from qnet.io.selection import is_qso_target
from qnet.io.tablefile import TableFile

FLUX, IVAR = boss_set()
CAMERAS = desi_set()

LAYOUTS = {
    "SDSS spec file": boss_spec(BOSS_LOGLAM, FLUX[0], IVAR[0]),
    "SDSS spec file (SDSS-V)": sdss5_spec(BOSS_LOGLAM, FLUX[0], IVAR[0]),
    "SDSS spPlate file": spplate(FLUX, IVAR, fibers=[1, 2, 3]),
    "SDSS-V spField file": spfield(FLUX, IVAR, catalogids=["27021597911984196", "u1+2", "7"]),
    "SDSS spCFrame files": spcframe(np.tile(BOSS_LOGLAM, (3, 1)), FLUX, IVAR, fibers=[1, 2, 3]),
    "DESI coadd or spectra file": desi_coadd(CAMERAS, fibermap([1, 2, 3])),
    "DESI cframe files": desi_cframe("b0", *CAMERAS["B"], fibermap([1, 2, 3])),
    "prepared data file": prepared(FLUX[:, :443], IVAR[:, :443], {"TARGETID": np.arange(3)}),
    **presets(),
    **SURVEY_LAYOUTS,
    "table": [
        primary(VACUUM=True),
        table(
            {
                "wave": np.tile(10**BOSS_LOGLAM, (3, 1)),
                "flux": FLUX,
                "ivar": IVAR,
                "TARGETID": np.arange(3),
            }
        ),
    ],
}

#: Beginnings of the names of layouts that hold one spectrum, not three.
SINGLE = ("SDSS spec", "ESO", "Euclid combined spectrum", "2QZ", "GAMA", "OzDES", *SURVEY_SINGLE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["x.fits", "spPlate-1.fits", "coadd-1.fits", "x.dat", "x"])
def test_layout_is_found_by_the_hdus_not_by_the_name(tmp_path, layout, name):
    path = write(tmp_path / "a.fits", LAYOUTS[layout]).rename(tmp_path / name)
    spectra = read_spectra(str(path), spall={})
    assert spectra.layout == layout.removesuffix(" (SDSS-V)")
    assert spectra.source == (str(path),)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_goes_through_the_network(tmp_path, layout, small_model):
    path = write(tmp_path / "a.fits", LAYOUTS[layout])
    catalogue = qnet.classify(path, model=small_model, spall={})
    assert np.isfinite(catalogue["ZBEST"]).all()
    assert catalogue["TARGETID"].dtype == np.int64
    direct = qnet.classify(read_spectra(path, spall={}), model=small_model)
    np.testing.assert_array_equal(catalogue["Z_LINES"], direct["Z_LINES"])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".fits.fz"])
def test_every_reader_recognises_its_own_layout_and_no_other(tmp_path, layout, suffix):
    path = write(tmp_path / f"a{suffix}", LAYOUTS[layout])
    with FitsFile(path) as fits:
        last = layout == "table"
        readers = [r for r in READERS if isinstance(fits, r.opens) and r.fallback == last]
        found = [reader for reader in readers if reader.detect(fits)]
        assert [reader.name for reader in found] == [layout.removesuffix(" (SDSS-V)")]
        assert found[0].count(fits) == (1 if layout.startswith(SINGLE) else 3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_readers_do_what_they_declare(tmp_path, layout):
    (reader,) = (r for r in READERS if r.name == layout.removesuffix(" (SDSS-V)"))
    path = write(tmp_path / "a.fits", LAYOUTS[layout])
    spectra = read_spectra(path, spall={})
    assert (spectra.survey, spectra.layout) == (reader.survey, reader.name)
    bits = {name for name in spectra.ids if "_TARGET" in name}
    assert set(spectra.ids) - bits <= {*reader.ids, "TARGETID"}
    assert not bits or "target bits" in reader.ids
    assert spectra.cameras[0].edges == ("left edges" in reader.wavelengths)
    blocks = len(list(read_blocks([path], nrows=2, spall={})))
    assert blocks == (1 if reader.whole or layout.startswith(SINGLE) else 2)
    if reader.fibers is None:
        with pytest.raises(InputError, match=f"is a {reader.name}; fibers is for SDSS spCFrame"):
            read_spectra(path, fibers=[1])
    else:
        assert read_spectra(path, fibers=[3, 1], spall={}).ids["FIBERID"].tolist() == [3, 1]


def test_every_layout_is_registered_and_made_here():
    read = {
        r.name for r in READERS if r.opens in (FitsFile, (FitsFile, TableFile)) and not r.refused
    }
    assert read == {name.removesuffix(" (SDSS-V)") for name in LAYOUTS}


def test_a_reader_that_is_registered_is_used(tmp_path):
    def read(files, request):
        spectra = from_arrays([4e3, 4001], np.ones((2, 2)), np.ones((2, 2)), targetid=[5, 6])
        return spectra if request.rows is None else spectra.select(request.rows)

    mine = Reader(
        name="file of mine",
        survey="MINE",
        hdus="an image MINE",
        targetid="the row number",
        wavelengths="vacuum, centres",
        no_weight="",
        detect=lambda fits: "MINE" in fits,
        count=lambda fits: 2,
        read=read,
        whole=True,
        ids=("TARGETID",),
        qso_targets={"MY_TARGET": 8},
    )
    path = write(tmp_path / "m.fits", [primary(), image(np.ones((2, 2)), "MINE")])
    with pytest.raises(FileError, match="holds no spectra"):
        read_spectra(path)
    register(mine)
    try:
        spectra = read_spectra(path, rows=[1])
        assert (spectra.survey, spectra.layout) == ("MINE", "file of mine")
        assert (spectra.ids["TARGETID"].tolist(), spectra.row.tolist()) == ([6], [1])
        assert is_qso_target({"MY_TARGET": np.array([8, 4])}).tolist() == [True, False]
        with pytest.raises(FileError, match=r"looked for \d\d layouts \(see qnet formats\)"):
            read_spectra(write(tmp_path / "n.fits", [primary()]))
        with pytest.raises(InputError, match="there is a reader named 'file of mine' already"):
            register(mine)
        with pytest.raises(InputError, match="the quasar bits of MY_TARGET are 0x8, not 0x1"):
            register(dataclasses.replace(mine, name="other", qso_targets={"MY_TARGET": 1}))
    finally:
        READERS.remove(mine)


class Lines(OpenFile):
    """A format of text: a number in each line."""

    kinds = (TEXT,)

    def __init__(self, path):
        self.path = path
        self.numbers = np.loadtxt(path)

    def describe(self):
        return f"{len(self.numbers)} lines"


def test_readers_of_other_formats_fallbacks_and_refused_layouts(tmp_path, monkeypatch):
    def reader(name, detect, **more):
        declared = ("survey", "hdus", "targetid", "wavelengths", "no_weight")
        return Reader(
            **dict.fromkeys(declared, ""),
            name=name,
            detect=detect,
            count=lambda file: 1,
            read=lambda files, request: from_arrays(*3 * [files[0].numbers[None]]),
            whole=True,
            ids=(),
            opens=Lines,
            **more,
        )

    path = tmp_path / "a.txt"
    path.write_text("5000\n6000\n7000\n")
    readers = [reader for reader in READERS if reader.opens is FitsFile]
    monkeypatch.setattr("qnet.io.readers.registry.READERS", readers)
    monkeypatch.setattr("qnet.io.reader.READERS", readers)
    register(reader("any lines", lambda file: len(file.numbers) < 4, fallback=True))
    assert read_spectra(path).layout == "any lines"
    long = "".join(f"{number}\n" for number in range(1, 10))
    (tmp_path / "b.txt").write_text(long)
    with pytest.raises(FileError, match=r"b\.txt: holds no spectra .*has 9 lines; looked for "):
        read_spectra(tmp_path / "b.txt")
    with gzip.open(tmp_path / "c.gz", "wt") as stream:
        stream.write(path.read_text())
    assert read_spectra(tmp_path / "c.gz").cameras[0].wave.tolist() == [[5e3, 6e3, 7e3]]
    readers[-1] = reader("lines", lambda file: len(file.numbers) < 4, frames=re.compile("x"))
    with pytest.raises(FileError, match=r"b\.txt: is not the kind of frame that .*a\.txt is"):
        read_spectra([path, tmp_path / "b.txt"])
    readers[-1] = reader("bad lines", lambda file: False, fault=lambda file: "lacks a line")
    register(reader("any lines", lambda file: True, fallback=True))
    with pytest.raises(FileError, match=r"a\.txt: lacks a line"):
        read_spectra(path)
    readers[-2:] = [reader("three lines", lambda file: len(file.numbers) == 3)]
    assert read_spectra(path).layout == "three lines"
    refuse(
        name="short file", survey="X", hdus="", detect=lambda file: True, why="use y", opens=Lines
    )
    with pytest.raises(FileError, match="has the HDUs of three lines and of short file, but one"):
        read_spectra(path)
    del readers[-2]
    with pytest.raises(FileError, match=r"a\.txt: is a short file, which is not read: use y"):
        read_spectra(path)


@pytest.mark.parametrize("grid", [QUASARNET_GRID, QUASARNET_LINEAR_GRID], ids=["log", "linear"])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("make", ["arrays", "rows", "table", "duck"])
def test_wavelengths_of_a_grid_are_edges_or_centres(grid, kind, make):
    wave = grid.wave.astype(kind)
    flux, ivar = make_spectra(wave, (2.0,))

    def spectra(**options):
        if make == "arrays":
            return as_spectra(wave, flux, ivar, **options)
        if make == "rows":
            return as_spectra(wave[None], flux, ivar, **options)
        if make == "table":
            return as_spectra(Table({"wave": wave, "flux": flux[0], "ivar": ivar[0]}), **options)
        uncertainty = SimpleNamespace(array=ivar[0], uncertainty_type="ivar")
        duck = SimpleNamespace(spectral_axis=wave, flux=flux[0], uncertainty=uncertainty)
        return as_spectra(duck, **options)

    with pytest.warns(QnetWarning, match="wavelengths are those of a network's grid") as caught:
        assert not spectra(grid=grid).cameras[0].edges
    assert len(caught) == 1
    assert spectra(edges=True).cameras[0].edges
    assert not spectra(edges=False, grid=grid).cameras[0].edges


def test_wavelengths_of_a_models_own_grid_are_warned_of():
    grid = WavelengthGrid.log(3700, 9000, 5e-4)
    arrays = make_spectrum(wave=grid.wave)
    assert not as_spectra(*arrays).cameras[0].edges
    with pytest.warns(QnetWarning, match="give edges=True where they are edges"):
        as_spectra(*arrays, grid=grid)
    assert as_spectra(*arrays, grid=grid, edges=True).select([0]).cameras[0].edges
    middles = grid.wave_at(np.arange(grid.npix) + 0.5)
    assert not as_spectra(middles, *arrays[1:], grid=grid).cameras[0].edges
    spectra = from_arrays(*arrays)
    with pytest.warns(QnetWarning, match="give edges=True where they are edges"):
        assert as_spectra(spectra, grid=grid) is spectra
    edges = as_spectra(spectra, grid=grid, edges=True)
    assert edges.cameras[0].edges
    assert as_spectra(edges, grid=grid) is edges


def test_reading_nothing_is_an_error():
    with pytest.raises(InputError, match="path is empty"):
        read_spectra([])


def test_spplate_without_coeff0_is_of_no_layout(tmp_path):
    hdus = spplate(FLUX, IVAR, fibers=[1, 2, 3])
    del hdus[0].header["COEFF0"]
    with pytest.raises(FileError, match=r"a\.fits: holds no spectra .*HDU 0 \(image 3x1150\)"):
        read_spectra(write(tmp_path / "a.fits", hdus))


def test_file_without_hdus_after_the_first_is_of_no_layout(tmp_path):
    with pytest.raises(FileError, match=r"a\.fits: holds no spectra that qnet knows: it has HDU 0"):
        read_spectra(write(tmp_path / "a.fits", [primary()]))


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ([], []),
        (["a.fits", "b.fits"], [[0], [1]]),
        (["a.fits", "a.fits"], [[0], [1]]),
        (
            ["cframe-b0-00085607.fits", "cframe-r0-00085607.fits", "cframe-z0-00085607.fits"],
            [[0, 1, 2]],
        ),
        (
            ["cframe-b0-00000001.fits", "cframe-b1-00000001.fits", "cframe-b0-00000002.fits"],
            [[0], [1], [2]],
        ),
        (
            ["cframe-z3-00000001.fits.gz", "coadd.fits", "cframe-b3-00000001.fits.fz"],
            [[0, 2], [1]],
        ),
        (["x/cframe-b0-00000001.fits", "y/cframe-r0-00000001.fits"], [[0], [1]]),
        (["./cframe-b0-00000001.fits", "cframe-r0-00000001.fits"], [[0, 1]]),
        (["spCFrame-r1-00171234.fits.gz", "spCFrame-b1-00171234.fits.gz"], [[0, 1]]),
        (["spCFrame-b1-00171234.fits", "spCFrame-b2-00171234.fits"], [[0], [1]]),
        (["spCFrame-b1-00171234.fits", "cframe-b1-00171234.fits"], [[0], [1]]),
        (["cframe-b0-1.fits", "cframe-r0-00000001.fits"], [[0, 1]]),
        (["cframe-b0-00000001.fits.bak", "cframe-r0-00000001.fits"], [[0], [1]]),
    ],
    ids=str,
)
def test_grouping_of_frames(names, groups):
    expected = [tuple(Path(names[index]) for index in group) for group in groups]
    assert group_frames(names) == expected
    assert group_frames(list(map(Path, names))) == expected


def test_frames_given_in_any_order_are_one_input(tmp_path, small_model):
    fmap = fibermap([1, 2, 3])
    paths = [
        write(tmp_path / f"cframe-{name.lower()}0-00085607.fits", desi_cframe(f"{name}0", *a, fmap))
        for name, a in CAMERAS.items()
    ]
    coadd = write(tmp_path / "coadd.fits", desi_coadd(CAMERAS, fmap))
    catalogue = qnet.classify([paths[2], coadd, paths[0], paths[1]], model=small_model)
    assert catalogue["TARGETID"].tolist() == [1, 2, 3, 1, 2, 3]
    assert catalogue["INPUT_INDEX"].tolist() == [0, 0, 0, 3, 3, 3]
    np.testing.assert_allclose(catalogue["C_LINES"][:3], catalogue["C_LINES"][3:], atol=1e-6)


@pytest.mark.parametrize("again", ["same", "dotted", "linked folder", "linked file"])
def test_a_frame_given_twice_is_used_once_with_a_warning(tmp_path, again, small_model):
    folder = tmp_path / "night"
    folder.mkdir()
    hdus = {
        name: desi_cframe(f"{name}0", *CAMERAS[name.upper()], fibermap([1, 2, 3])) for name in "br"
    }
    blue, red = (write(folder / f"cframe-{n}0-00085607.fits", hdu) for n, hdu in hdus.items())
    (tmp_path / "link").symlink_to(folder)
    (folder / "cframe-b0-85607.fits").symlink_to(blue)
    twice = {
        "same": blue,
        "dotted": f"{folder}/./{blue.name}",
        "linked folder": tmp_path / "link" / blue.name,
        "linked file": folder / "cframe-b0-85607.fits",
    }[again]
    with pytest.warns(QnetWarning, match="given more than once, but one file of each camera is"):
        spectra = read_spectra([blue, twice, red])
    assert [camera.name for camera in spectra.cameras] == ["B", "R"]
    with pytest.warns(QnetWarning, match="cframe-b0-.* given more than once") as caught:
        table = qnet.classify([blue, red, twice], model=small_model)
    assert len(table) == 3
    assert sum("given more than once" in str(warning.message) for warning in caught) == 1


@pytest.mark.parametrize("name", ["cframe-b0-00085607.fits.gz", "cframe-b0-85607.fits"])
def test_a_copy_of_a_frame_is_an_error_that_names_both(tmp_path, name, small_model):
    hdus = desi_cframe("b0", *CAMERAS["B"], fibermap([1, 2, 3]))
    paths = [write(tmp_path / one, hdus) for one in ("cframe-b0-00085607.fits", name)]
    message = (
        rf"{name}: is camera b0 of exposure 85607, as is .*/cframe-b0-00085607\.fits: a camera"
    )
    for read in (read_spectra, lambda paths: qnet.classify(paths, model=small_model)):
        with pytest.raises(FileError, match=message):
            read(paths)


def test_spectra_pass_through():
    spectra = from_arrays(*make_spectrum())
    assert as_spectra(spectra) is spectra
    with pytest.raises(InputError, match="air=True is for arrays"):
        as_spectra(spectra, air=True)


@pytest.mark.parametrize(
    "source",
    [None, 5, 1.5, {}, {"wave": [1]}, [1.0, 2.0], ..., np.arange(3.0), b"name.fits"],
    ids=repr,
)
def test_other_objects_are_refused(source):
    with pytest.raises(InputError, match=r"spectra must be|must come with flux and ivar"):
        as_spectra(source)


@pytest.mark.parametrize("kind", ["spectra", "table"])
def test_an_object_with_flux_beside_it_is_refused(kind):
    from astropy.table import Table

    wave, flux, ivar = make_spectrum()
    source = from_arrays(wave, flux, ivar) if kind == "spectra" else Table({"wave": wave})
    with pytest.raises(InputError, match="wave"):
        as_spectra(source, flux, ivar)


def test_files_of_a_known_layout_are_refused_as_being_in_air(tmp_path, small_model):
    path = write(tmp_path / "a.fits", LAYOUTS["SDSS spec file"])
    with pytest.raises(InputError, match="whose wavelengths are vacuum, centres: leave out air"):
        qnet.classify(path, model=small_model, air=True)


def test_warning_of_a_set_comes_once(tmp_path):
    paths = [
        write(tmp_path / f"cframe-{name.lower()}0-00085607.fits", desi_cframe(f"{name}0", *arrays))
        for name, arrays in CAMERAS.items()
    ]
    with pytest.warns(QnetWarning, match="has no FIBERMAP") as caught:
        spectra = read_spectra(paths)
    assert len(caught) == 1
    assert spectra.ids["TARGETID"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("second", ["table", "images"])
def test_spectra_that_a_reader_would_leave_out_are_an_error(tmp_path, layout, second):
    if second == "table":
        columns = {"LOGLAM": BOSS_LOGLAM, "FLUX": FLUX[0], "IVAR": IVAR[0]}
        more = [table(columns, "SECOND")]
    else:
        more = [image(FLUX, "SECOND_FLUX"), image(IVAR, "SECOND_IVAR")]
    path = write(tmp_path / "a.fits", [*LAYOUTS[layout], *more])
    # OzDES counts its images.
    message = "left out|whose columns differ|lacks the three images"
    with pytest.raises(FileError, match=rf"a\.fits: .*({message})"):
        read_spectra(path, spall={})
