"""Real faults through the installed command and the library: one line that names the file."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qnet
import traps
from makers import (
    BOSS_LOGLAM,
    boss_set,
    boss_spec,
    desi_cframe,
    desi_coadd,
    desi_set,
    fibermap,
    image,
    prepared,
    primary,
    replaced,
    spplate,
    table,
    write,
)
from qnet.core.errors import FileError, QnetWarning
from shell import errors, run

CAMERAS = desi_set()
FMAP = fibermap([1, 2, 3])
FLUX, IVAR = boss_set()


def _coadd(folder, name="whole.fits", change=lambda hdus: hdus, **options):
    return write(folder / name, change(desi_coadd(CAMERAS, FMAP, **options)))


def _cut(share, pack=bytes):
    def make(folder):
        content = pack(_coadd(folder).read_bytes())
        path = folder / ("bad.fits.gz" if pack is gzip.compress else "bad.fits")
        path.write_bytes(content[: int(share * len(content))])
        return path

    return make


def _cut_in_header(name):
    def make(folder):
        content = _coadd(folder).read_bytes()
        place = content.index(f"EXTNAME = '{name:<8}'".encode())
        path = folder / "bad.fits"
        path.write_bytes(content[: place + 80])
        return path

    return make


def with_card(content, name, key, value):
    """The bytes of a FITS file with one card of one named HDU changed."""
    end = content.index(f"EXTNAME = '{name:<8}'".encode())
    place = content.rindex(b"XTENSION", 0, end)
    place = content.index(f"{key:<8}= ".encode(), place)
    card = f"{key:<8}= {value:>20}".ljust(80).encode()
    return content[:place] + card + content[place + 80 :]


def _card(name, key, value, pack=bytes):
    """A coadd with one card of one HDU that is not true."""

    def make(folder):
        path = folder / "bad.fits"
        path.write_bytes(pack(with_card(_coadd(folder).read_bytes(), name, key, value)))
        return path

    return make


def _bytes(content):
    def make(folder):
        path = folder / "bad.fits"
        path.write_bytes(content)
        return path

    return make


def _hdus(*hdus):
    return lambda folder: write(folder / "bad.fits", hdus)


def _changed(change):
    return lambda folder: _coadd(folder, "bad.fits", change)


def _directory(folder):
    path = folder / "bad.fits"
    path.mkdir()
    return path


def _without(*names):
    return _changed(lambda hdus: [hdu for hdu in hdus if hdu.name not in names])


SPEC = boss_spec(BOSS_LOGLAM, FLUX[0], IVAR[0])
LOGLAM = np.float32(BOSS_LOGLAM)
WAVE_R = CAMERAS["R"][0]

FAULTS = {
    "missing": lambda folder: folder / "bad.fits",
    "empty": _bytes(b""),
    "directory": _directory,
    "text": _bytes(b"the spectra are\nin another folder\n" * 300),
    "one byte": _bytes(b"S"),
    "cut at 1%": _cut(0.01),
    "cut at 30%": _cut(0.3),
    "cut at 99%": _cut(0.99),
    "cut in the header of R_WAVELENGTH": _cut_in_header("R_WAVELENGTH"),
    "cut in the header of Z_FLUX": _cut_in_header("Z_FLUX"),
    "gz cut at 1%": _cut(0.01, gzip.compress),
    "gz cut at 38%": _cut(0.38, gzip.compress),
    "gz cut at 70%": _cut(0.7, gzip.compress),
    "gz cut at 99%": _cut(0.99, gzip.compress),
    "of something else": _hdus(primary(), table({"RA": np.ones(3)}, "STARS"), image(np.eye(9))),
    "nothing but a header": _hdus(primary()),
    "no R_IVAR": _without("R_IVAR"),
    "no wavelengths": _without("B_WAVELENGTH", "R_WAVELENGTH", "Z_WAVELENGTH"),
    "TARGETID that lost digits": lambda folder: write(
        folder / "bad.fits", desi_coadd(CAMERAS, FMAP | {"TARGETID": FMAP["TARGETID"] * 1e17})
    ),
    "no loglam": _hdus(primary(), table({"flux": FLUX[0], "ivar": IVAR[0]}, "COADD")),
    "no ivar": _hdus(primary(), table({"flux": FLUX[0], "loglam": LOGLAM}, "COADD")),
    "ivar of other shape": _changed(replaced("R_IVAR", np.ones((3, 7)))),
    "wavelengths of other shape": _changed(replaced("R_WAVELENGTH", WAVE_R[1:])),
    "fibermap of other length": _changed(lambda hdus: [*desi_coadd(CAMERAS, fibermap([1, 2]))]),
    "wavelengths falling": _changed(replaced("R_WAVELENGTH", WAVE_R[::-1].copy())),
    "wavelengths NaN": _changed(replaced("R_WAVELENGTH", np.where(WAVE_R > 7e3, np.nan, WAVE_R))),
    "wavelengths in nm": lambda folder: write(
        folder / "bad.fits",
        desi_coadd({k: (w / 10, f, i) for k, (w, f, i) in CAMERAS.items()}, FMAP),
    ),
    "wave in place of loglam": _hdus(*boss_spec(10**BOSS_LOGLAM, FLUX[0], IVAR[0])),
    "text in place of flux": _hdus(
        SPEC[0],
        table({"flux": LOGLAM.astype("S9"), "loglam": LOGLAM, "ivar": IVAR[0]}, "COADD"),
        SPEC[2],
    ),
    "prepared for another grid": _hdus(
        *prepared(FLUX[:, :99], IVAR[:, :99], {"TARGETID": np.arange(3)})
    ),
    "no plugmap": _hdus(*spplate(FLUX, IVAR, fibers=[1, 2, 3])[:5]),
    "NAXIS2 too large": _card("FIBERMAP", "NAXIS2", 10**12),
    "NAXIS2 beyond all bounds": _card("FIBERMAP", "NAXIS2", 2**63 - 1),
    "NAXIS1 too large in gz": _card("B_FLUX", "NAXIS1", 10**12, gzip.compress),
    "NAXIS2 no number": _card("R_FLUX", "NAXIS2", "'three'"),
    "frame of one exposure with another's": None,
}


@pytest.fixture(scope="module")
def model(small_model):
    return small_model


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A folder for each fault, with the file that has it."""
    made = {}
    for number, (fault, make) in enumerate(FAULTS.items()):
        folder = tmp_path_factory.mktemp(f"fault{number:02d}-")
        if make is not None:
            made[fault] = [make(folder)]
            continue
        blue = desi_cframe("b0", *CAMERAS["B"], FMAP)
        red = desi_cframe("r0", *CAMERAS["R"], FMAP, EXPID=1)
        made[fault] = [
            write(folder / f"cframe-{camera}0-00085607.fits", hdus)
            for camera, hdus in (("b", blue), ("r", red))
        ]
    return made


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_in_python_is_a_file_error_that_names_it(broken, model, fault):
    paths = broken[fault]
    with pytest.raises(FileError, match=re.escape(str(paths[-1]))) as caught:
        qnet.classify(paths, model=model)
    message = str(caught.value)
    assert message.count("\n") == 0
    assert len(message) < 1500


@pytest.mark.parametrize("fault", ["missing", "cut at 30%", "gz cut at 99%", "wavelengths in nm"])
def test_fault_alone_is_status_1_and_no_output(tmp_path, broken, small_weights, fault):
    output = tmp_path / "out.fits"
    done = run("classify", *broken[fault], "-o", output, "--model", small_weights)
    assert done.returncode == 1
    named = [line for line in errors(done) if str(broken[fault][0]) in line]
    assert len(named) == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("FIBERMAP", "TFIELDS", 999999),
        ("FIBERMAP", "TFIELDS", -3),
        ("B_MASK", "ZTILE1", 0),
        ("B_MASK", "ZNAXIS2", 0),
        ("B_MASK", "ZNAXIS2", "'"),
        ("B_MASK", "TFIELDS", 999999),
    ],
)
def test_header_that_crashes_the_c_library_fails_alone(tmp_path, small_weights, name, key, value):
    """Divisions by zero and tables of gigabytes: in a process of its own, in case it dies."""
    masks = {name: np.zeros(flux.shape, np.int32) for name, (_, flux, _) in CAMERAS.items()}
    content = _coadd(tmp_path, masks=masks, compress=True).read_bytes()
    bad = tmp_path / "bad.fits"
    bad.write_bytes(with_card(content, name, key, value))
    good = write(tmp_path / "spec.fits", SPEC)
    output = tmp_path / "out.fits"
    done = run("classify", bad, good, "-o", output, "--model", small_weights, timeout=60)
    assert done.returncode == 1
    (line,) = errors(done)
    assert str(bad) in line
    assert len(qnet.read_catalogue(output)) == 1


def test_a_file_that_kills_its_reader_takes_no_other_with_it(tmp_path, small_weights):
    """As cfitsio may die on one: without any option, the run goes on."""
    bad = traps.write_trap(tmp_path / "bad.fits", "kill", 7)
    good = [write(tmp_path / f"spec-{number}.fits", SPEC) for number in range(2)]
    output = tmp_path / "out.fits"
    words = ["classify", bad, *good, "-o", output, "--model", small_weights]
    folder = Path(traps.__file__).parent
    done = subprocess.run(
        [sys.executable, traps.__file__, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {
            "QNET_TEST_PROCESSES": str(tmp_path),
            "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        },
    )
    assert done.returncode == 1
    (line,) = errors(done)
    assert f"{bad}: was not classified: the process that read it ended abruptly" in line
    assert (qnet.read_catalogue(output)["TARGETID"] == 465298745).sum() == len(good)


@pytest.mark.parametrize("workers", [1, 3])
def test_all_faults_at_once_beside_good_files(tmp_path, broken, small_weights, workers):
    good = [write(tmp_path / "spec.fits", SPEC), _coadd(tmp_path, "coadd.fits")]
    bad = [path for paths in broken.values() for path in paths]
    output = tmp_path / "out.fits"
    done = run(
        "classify",
        good[0],
        *bad,
        good[1],
        "-o",
        output,
        "--model",
        small_weights,
        "--workers",
        workers,
    )
    assert done.returncode == 1
    found = errors(done)
    assert len(found) == len(broken)
    for paths, line in zip(broken.values(), found, strict=True):
        assert str(paths[-1]) in line
        assert len(line) < 1500
    written = qnet.read_catalogue(output)
    assert written["TARGETID"].tolist() == [465298745, 1, 2, 3]
    assert written["INPUT_INDEX"].tolist() == [0, 1, 1, 1]
    assert [written.meta[f"IN{number:06d}"] for number in range(2)] == list(map(str, good))
    assert np.isfinite(written["ZBEST"]).all()
    assert f"{len(bad)} files failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "7"], "spec.fits: rows must be in 0 .. 0, not 7"),
        (["--targets", "qso", "--coadd", "target", "--rows", "0"], "rows cannot be selected"),
        (["--c-threshold", "2"], "c_threshold must be in 0 .. 1"),
        (["--workers", "0"], "workers must be at least 1"),
        (["-o", "out.dat"], "out.dat: the name of a catalogue without --to must end"),
        (["-o", "no/such/folder/out.fits"], "its folder no/such/folder does not exist"),
        (["--spall", "none.fits"], "none.fits: no such file"),
        (["--spall", "spec.fits"], "spec.fits: HDU number 1 lacks the column(s) PLATE"),
    ],
    ids=str,
)
def test_wrong_options_are_one_line(tmp_path, small_weights, arguments, message):
    write(tmp_path / "spec.fits", SPEC)
    done = run(
        "classify",
        "spec.fits",
        "-o",
        "out.fits",
        "--model",
        small_weights,
        *arguments,
        cwd=tmp_path,
    )
    assert done.returncode in (1, 2)
    named = [line for line in errors(done) if message in line]
    assert len(named) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spec.fits"]


def test_output_that_exists_is_left_alone(tmp_path, small_weights):
    spec = write(tmp_path / "spec.fits", SPEC)
    output = tmp_path / "out.fits"
    output.write_text("precious")
    done = run("classify", spec, "-o", output, "--model", small_weights)
    assert done.returncode in (1, 2)
    (line,) = errors(done)
    assert f"{output}: exists already" in line
    assert output.read_text() == "precious"


def test_spectrum_without_any_weight_is_no_fault(tmp_path, model):
    ivar = np.zeros_like(IVAR[0])
    flux = np.full_like(FLUX[0], np.nan)
    path = write(tmp_path / "spec.fits", boss_spec(BOSS_LOGLAM, flux, ivar))
    answers = qnet.classify(path, model=model)
    assert len(answers) == 1
    assert qnet.flag_names(answers["QN_FLAG"][0]) == ["NODATA", "SPARSE"]
    assert np.isnan(answers["ZBEST"][0])


def test_undefined_cards_and_no_rows_go_through_to_the_catalogue(tmp_path, small_weights):
    undefined = _coadd(tmp_path, "undefined.fits", SURVEY=None, HPXPIXEL=None)
    nothing = {name: (w, f[:0], i[:0]) for name, (w, f, i) in CAMERAS.items()}
    fmap = fibermap([]) | {"OBJTYPE": np.array([], "U3")}
    empty = write(tmp_path / "empty.fits", desi_coadd(nothing, fmap))
    for number, inputs in enumerate([[undefined], [empty], [empty, undefined]]):
        output = tmp_path / f"out{number}.fits"
        done = run("classify", *inputs, "-o", output, "--model", small_weights)
        assert (done.returncode, errors(done)) == (0, [])
        assert len(qnet.read_catalogue(output)) == 3 * (undefined in inputs)


def test_warning_about_ids_is_one_line_for_each_file(tmp_path, small_weights):
    paths = [write(tmp_path / f"bare{n}.fits", desi_coadd(CAMERAS)) for n in range(2)]
    done = run("classify", *paths, "-o", tmp_path / "out.fits", "--model", small_weights)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert [line.split(":")[:2] for line in lines] == [["qnet", " warning"]] * 2
    assert [str(path) in line for path, line in zip(paths, lines, strict=True)] == [True, True]
    with pytest.warns(QnetWarning, match="has no FIBERMAP"):
        qnet.classify(paths, model=qnet.load_model(Path(small_weights)))
