"""Writer of prepared data files: spectra on a network's grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, Float32Array, as_array, as_numbers
from qnet.core.errors import InputError
from qnet.core.files import PathLike, as_path
from qnet.core.grid import WavelengthGrid
from qnet.io.catalogue import concatenate
from qnet.io.fits.writer import Card, FitsWriter
from qnet.io.readers.prepared import GRID_CARDS

#: Name of the table of ids.
IDS_EXTNAME = "IDS"

#: Batches of ids that are kept apart before they are joined into one.
_BATCHES = 256


class PreparedWriter(FitsWriter):
    """Write a prepared data file batch by batch; `read_spectra` is the inverse.

    A context manager. The file is written under a temporary name in the same folder; on leaving
    without an error it is flushed and renamed, else removed. The pixels go to disk as they come;
    the ids are held in memory (of the order of 100 bytes a spectrum).

    Parameters
    ----------
    path : str or path
        File to write, .fits.
    grid : WavelengthGrid
        Grid of the spectra; it goes into the header without loss.
    overwrite : bool
        Whether an existing file may be replaced.
    cards : sequence of Card
        More cards for the header of HDU 0.

    Attributes
    ----------
    nspec : int
        Spectra written so far.

    Raises
    ------
    InputError
        The name does not end in .fits.
    OutputExistsError, FileError
        The file exists already, or cannot be written (a full disk).

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> grid = qnet.WavelengthGrid.log(3600, 10000, 1e-3)
    >>> with qnet.io.PreparedWriter("data.fits", grid) as writer:
    ...     for number in range(3):
    ...         flux, ivar = np.full((1, 443), number), np.ones((1, 443))
    ...         writer.write(flux, ivar, {"TARGETID": [number]})
    >>> qnet.read_spectra("data.fits")
    <Spectra: 3 spectra, prepared data file; prepared (443 pixels)>
    """

    def __init__(
        self,
        path: PathLike,
        grid: WavelengthGrid,
        *,
        overwrite: bool = False,
        cards: Sequence[Card] = (),
    ) -> None:
        check_arguments(PreparedWriter.__init__, locals())
        check_prepared_name(as_path(path, "path"))
        header = (
            Card("NPIX", grid.npix, "pixels of the grid: flux, then ivar"),
            Card(GRID_CARDS["spacing"], grid.spacing, "what is constant in the grid"),
            Card(GRID_CARDS["start"], float(grid.start), "left edge of pixel 0"),
            Card(GRID_CARDS["step"], float(grid.step), "constant step"),
        )
        super().__init__(path, overwrite=overwrite, cards=[*header, *cards], width=2 * grid.npix)
        self.grid = grid
        self._ids: list[Mapping[str, AnyArray]] = []
        self._recent: list[Mapping[str, AnyArray]] = []

    @property
    def nspec(self) -> int:
        """Spectra written so far."""
        return self.nrows

    def write(
        self, flux: npt.ArrayLike, ivar: npt.ArrayLike, ids: Mapping[str, npt.ArrayLike]
    ) -> None:
        """Append spectra on the grid, flux and ivar (nspec, npix), and their ids (nspec,).

        Values are stored as float32, in which they must be finite, and ivar not negative: as
        `qnet.preprocess.rebin` returns them. Of the ids TARGETID is required; a column that only
        some batches have holds -1, NaN, '' or, in target bits, 0 in the others.
        """
        check_arguments(PreparedWriter.write, locals())
        columns = {str(name): as_array(f"ids[{name!r}]", column) for name, column in ids.items()}
        flux, ivar = as_numbers("flux", flux, unit=None), as_numbers("ivar", ivar, unit=None)
        data = self._checked(flux, ivar, columns)
        if not len(data):
            return
        self.append(data)
        self._recent.append(columns)
        if len(self._recent) >= _BATCHES:
            self._merge()

    def _checked(self, flux: AnyArray, ivar: AnyArray, ids: Mapping[str, AnyArray]) -> Float32Array:
        """Flux and ivar side by side, float32, after all checks."""
        if flux.ndim != 2 or flux.shape != ivar.shape or flux.shape[1] != self.grid.npix:
            raise InputError(
                f"flux {flux.shape} and ivar {ivar.shape} must have the shape "
                f"(nspec, {self.grid.npix}) of the grid"
            )
        if "TARGETID" not in ids:
            raise InputError(f"ids must have TARGETID, not only {sorted(ids)}")
        nspec = flux.shape[:1]
        if wrong := {name: ids[name].shape for name in ids if ids[name].shape != nspec}:
            raise InputError(f"ids must have the shape {nspec} of the spectra, not {wrong}")
        with np.errstate(over="ignore", invalid="ignore"):
            data = np.hstack([flux, ivar]).astype(np.float32)
        negative = (data[:, self.grid.npix :] < 0).any(axis=1)
        bad = np.asarray(~np.isfinite(data).all(axis=1) | negative)
        if bad.any():
            raise InputError(
                f"flux and ivar must be finite in float32 and ivar not negative, but "
                f"{bad.sum()} of {len(bad)} spectra are not so, the first in row {bad.argmax()}"
            )
        return data

    def _merge(self) -> None:
        """Join the latest batches of ids: many small arrays take more memory than their values."""
        if self._recent:
            self._ids.append(concatenate(self._recent))
            self._recent = []

    def finish(self) -> None:
        """Write the table of ids, the last HDU; called on leaving without an error."""
        self._merge()
        ids = concatenate(self._ids) if self._ids else {"TARGETID": np.zeros(0, np.int64)}
        self.table(IDS_EXTNAME, ids)


def check_prepared_name(path: Path) -> None:
    """Raise InputError unless the name of a prepared data file ends in .fits."""
    if path.suffix.lower() != ".fits":
        raise InputError(f"{path}: the name of a prepared data file must end in .fits")
