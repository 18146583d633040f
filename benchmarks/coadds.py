"""DESI coadds for the benchmarks: simulated, and others made of their rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import fitsio
import numpy as np

import qnet
from qnet.core.flags import QNFlag
from qnet.simulation import simulate, write_simulation

#: Rows of a large coadd that are written at a time.
ROWS = 2000


def simulated(folder: Path, nspec: int) -> Path:
    """A simulated coadd, as `qnet simulate --survey desi --format coadd` writes it."""
    path = folder / f"coadd-{nspec}.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulation = simulate(nspec, seed=1, survey="desi")
        write_simulation(simulation, path, folder / "truth.fits", format="coadd")
    return path


def candidates(path: Path, model: qnet.Model) -> np.ndarray:
    """Which spectra of a coadd a model hands to its second stage."""
    table = qnet.classify(path, model=model, threads=1)
    failed = (np.asarray(table["QN_FLAG"]) & QNFlag.NOREFINE) != 0
    return np.isfinite(np.asarray(table["ZERR"])) | failed


def of_share(source: Path, path: Path, refined: np.ndarray, share: float, nspec: int) -> Path:
    """A coadd of rows of another, of which that share goes to the second stage."""
    count = round(share * nspec)
    rows = np.concatenate(
        [
            np.resize(np.flatnonzero(refined), count),
            np.resize(np.flatnonzero(~refined), nspec - count),
        ]
    )
    return of_rows(source, path, np.random.default_rng(0).permutation(rows))


def without_mask(source: Path, path: Path) -> Path:
    """The same coadd without the MASK of its cameras."""
    with fitsio.FITS(str(source)) as fits:
        nspec = fits["B_FLUX"].get_dims()[0]
    return of_rows(source, path, np.arange(nspec), mask=False)


def of_rows(
    source: Path,
    path: Path,
    rows: Sequence[int] | np.ndarray,
    thin: int = 1,
    *,
    mask: bool = True,
) -> Path:
    """A coadd of some rows of another, in that order, with every so manieth pixel."""
    rows = np.asarray(rows)
    with fitsio.FITS(str(source)) as fits, fitsio.FITS(str(path), "rw", clobber=True) as out:
        for number, hdu in enumerate(fits):
            name, data = hdu.get_extname(), hdu.read()
            if name.endswith("_MASK") and not mask:
                continue
            if number == 0:
                out.write(None, header=hdu.read_header())
            elif hdu.get_exttype() == "BINARY_TBL":
                out.write(data[rows], extname=name)
            elif data.ndim == 1:
                out.write(data[::thin], extname=name)
            elif data.ndim == 2:
                _write_rows(out, np.ascontiguousarray(data[:, ::thin]), rows, name)
    return path


def _write_rows(out: fitsio.FITS, data: np.ndarray, rows: np.ndarray, name: str) -> None:
    """Rows of an image, a part of them in memory at a time."""
    out.create_image_hdu(dims=(len(rows), data.shape[1]), dtype=data.dtype, extname=name)
    for first in range(0, len(rows), ROWS):
        out[-1].write(data[rows[first : first + ROWS]], start=(first, 0))
