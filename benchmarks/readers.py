"""Time to read files of the surveys, as a ratio to a bare read of the same arrays.

    python benchmarks/readers.py --output readers.json

Files are made from the layouts, with the surveys' numbers of pixels. The bare read is fitsio's, of
the images and columns that qnet reads of the file, and of nothing else. Files of one spectrum take
about as long for their headers alone: for those milliseconds matter, not the ratio.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fitsio
import measure
import numpy as np

import qnet
from qnet.io.fits.file import FitsFile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import makers
import makers_archives as archives
import makers_surveys as surveys

#: Wavelengths [Angstrom] with the surveys' numbers of pixels.
PFS = np.linspace(3800.0, 12600.0, 11000)
WEAVE = 5772.0 + 0.5 * np.arange(7600)
QMOST = 3700.0 + 0.25 * np.arange(23201)
LAMOST = 10 ** (3.5682 + 1e-4 * np.arange(3909))
BOSS = 10 ** (3.5523 + 1e-4 * np.arange(4648))
EUCLID = 11900.0 + 13.4 * np.arange(531)
JWST = np.linspace(6000.0, 53000.0, 1200)
AAOMEGA = np.linspace(3750.0, 8850.0, 4900)
XSHOOTER = np.linspace(3000.0, 25000.0, 24000)


def spectra(wave: np.ndarray, nspec: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wavelengths, flux and ivar of noise."""
    flux = 1 + np.random.default_rng(0).normal(size=(nspec, len(wave))).astype(np.float32)
    return wave, flux, np.full_like(flux, 4.0)


def multispec(wave: np.ndarray, flux: np.ndarray, ivar: np.ndarray) -> list[Any]:
    """An IRAF image of linear dispersions."""
    specs = [
        f"{n} {n} 0 {wave[0]} {wave[1] - wave[0]} {len(wave)} 0. 1 2" for n in range(len(flux))
    ]
    return archives.iraf(flux, ivar, specs)


def rows_of_a_table(wave: np.ndarray, flux: np.ndarray, ivar: np.ndarray) -> list[Any]:
    """A FITS table of no known layout, with a row for each spectrum."""
    waves = np.tile(wave, (len(flux), 1))
    columns = {"TARGETID": np.arange(len(flux)), "WAVE": waves, "FLUX": flux, "ERR": ivar}
    return [makers.primary(VACUUM=True), makers.table(columns)]


def pixels_of_a_table(wave: np.ndarray, flux: np.ndarray, ivar: np.ndarray) -> list[Any]:
    """A FITS table of no known layout, with a row for each pixel."""
    columns = {"WAVE": wave, "FLUX": flux, "ERR": ivar}
    return [makers.primary(VACUUM=True), makers.table(columns, OBJECT="1")]


def desi(wave: np.ndarray, flux: np.ndarray, ivar: np.ndarray) -> list[Any]:
    """A DESI coadd of one camera."""
    ids = {"TARGETID": np.arange(len(flux)), "OBJTYPE": ["TGT"] * len(flux)}
    return makers.desi_coadd({"BRZ": (wave, flux, ivar)}, ids)


def spec(wave: np.ndarray, flux: np.ndarray, ivar: np.ndarray) -> list[Any]:
    """An SDSS spec file, whose table of the object has as many columns as the survey's."""
    hdus = makers.boss_spec(np.log10(wave), flux, ivar)
    more = {f"COLUMN{number}": np.arange(1.0) for number in range(200)}
    columns = {name: hdus[2].data[name] for name in hdus[2].columns.names}
    return [*hdus[:2], makers.table({**columns, **more}, hdus[2].name), *hdus[3:]]


def layouts(nspec: int) -> Iterator[tuple[str, Callable[[], list[Any]]]]:
    """What makes a file of each layout, of many spectra or of one."""
    lengths = list(len(PFS) - nspec + np.arange(nspec))
    many = {
        "PFS pfsCoadd": (PFS, surveys.pfs_coadd),
        "PFS pfsCoadd, image COVAR": (PFS, functools.partial(surveys.pfs_coadd, cube=True)),
        "PFS pfsCoadd, many lengths": (PFS, functools.partial(surveys.pfs_coadd, lengths=lengths)),
        "WEAVE L1, an arm": (WEAVE, functools.partial(surveys.weave_l1, "RED")),
        "4MOST container": (QMOST, surveys.qmost_mec),
        "SDSS-V mwmVisit": (BOSS, functools.partial(surveys.mwm, "visit")),
        "Euclid tile": (EUCLID, functools.partial(archives.euclid, ids=range(nspec), dithers=4)),
        "JWST x1d": (JWST, functools.partial(archives.jwst, ids=range(nspec))),
        "JWST x1d, WFSS": (JWST, functools.partial(archives.jwst_wfss, ids=range(nspec))),
        "2dfdr frame": (AAOMEGA, archives.aaomega),
        "IRAF multispec": (AAOMEGA, multispec),
        "GAMA, one spectrum": (AAOMEGA, archives.gama),
        "OzDES, one spectrum": (AAOMEGA, archives.ozdes),
        "6dFGS, one spectrum": (BOSS, functools.partial(archives.sixdf, layout="split")),
        "table, a row each": (LAMOST, rows_of_a_table),
        "DESI coadd, BRZ": (BOSS, desi),
        "2QZ, one spectrum": (JWST, functools.partial(archives.twoqz, errors=True)),
    }
    one = {
        "PFS pfsObject": (PFS, surveys.pfs_object),
        "ESO Phase 3": (XSHOOTER, archives.eso),
        "4MOST L1": (QMOST, surveys.qmost_l1),
        "LAMOST DR7": (LAMOST, surveys.lamost_dr7),
        "LAMOST DR8": (LAMOST, surveys.lamost_dr8),
        "SDSS spec": (BOSS, spec),
        "table, one spectrum": (BOSS, pixels_of_a_table),
    }
    for name, (wave, make) in many.items():
        yield name, lambda make=make, wave=wave: make(*spectra(wave, nspec))
    for name, (wave, make) in one.items():
        yield (
            name,
            lambda make=make, wave=wave: make(
                *(x[-1] if x.ndim > 1 else x for x in spectra(wave, 1))
            ),
        )


def parts(path: Path) -> list[tuple[str | int, list[str] | None]]:
    """The HDUs, and columns of tables, that qnet reads of a file."""
    found: list[tuple[str | int, list[str] | None]] = []
    image, table = FitsFile.image, FitsFile.table

    def note_image(self: FitsFile, key: str | int, *args: Any, **kwargs: Any) -> Any:
        found.append((key, None))
        return image(self, key, *args, **kwargs)

    def note_table(self: FitsFile, key: str | int, columns: list[str], *args: Any) -> Any:
        found.append((key, columns))
        return table(self, key, columns, *args)

    FitsFile.image, FitsFile.table = note_image, note_table  # type: ignore[method-assign]
    try:
        qnet.read_spectra(path)
    finally:
        FitsFile.image, FitsFile.table = image, table  # type: ignore[method-assign]
    return found


def bare(path: Path, wanted: list[tuple[str | int, list[str] | None]]) -> None:
    """Read the same with fitsio."""
    with fitsio.FITS(str(path)) as fits:
        for key, columns in wanted:
            hdu = fits[key]
            hdu.read() if columns is None else hdu.read(columns=columns)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nspec", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for number, (layout, make) in enumerate(layouts(options.nspec)):
            path = makers.write(Path(name) / f"{number}.fits", make())
            cases = {
                "qnet": functools.partial(qnet.read_spectra, path),
                "bare": functools.partial(bare, path, parts(path)),
            }
            times = measure.interleave(cases, options.repeats)
            ours, theirs = (1e3 * statistics.median(times[case]["cpu"]) for case in cases)
            rows.append((layout, path.stat().st_size / 1e6, theirs, ours, ours / theirs))
            path.unlink()
    header = ("layout", "MB", "bare [ms]", "qnet [ms]", "ratio")
    print(measure.table(header, rows))
    report = {"rows": [dict(zip(header, row, strict=True)) for row in rows]}
    measure.write_json(options.output, {"conditions": measure.conditions(), **report})


if __name__ == "__main__":
    main()
