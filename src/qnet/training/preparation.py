"""Prepared data for training, from any spectra that qnet reads."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qnet import __version__
from qnet.core.arguments import check_arguments
from qnet.core.arrays import BoolArray, Float32Array, IntArray, as_integers
from qnet.core.errors import EXAMPLES, Failure, FileError, InputError, QnetError, warn, with_source
from qnet.core.files import PathLike, as_paths, check_output, find_duplicates, real_path
from qnet.core.flags import QNFlag
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.core.guards import guarded_call
from qnet.core.progress import Progress
from qnet.core.spectra import Spectra
from qnet.io.options import ReadOptions
from qnet.io.prepared import PreparedWriter
from qnet.io.reader import group_frames, read_whole, warn_unused
from qnet.io.selection import Selection, is_qso_target
from qnet.io.spall import SpAll, SpAllLike, as_spall
from qnet.io.tables import Card
from qnet.io.training_data import keep_rows, not_inspected
from qnet.io.truth import TruthRecord, check_records, other_survey
from qnet.preprocess.normalisation import normalise
from qnet.preprocess.rebinning import add_cameras, check_overlap
from qnet.preprocess.restframe import fine_spectra
from qnet.training.data import describe

logger = logging.getLogger(__name__)

#: Columns by which observations of a target differ; those that an input has are used.
OBSERVATION_COLUMNS = (
    *("SURVEY", "PROGRAM", "HPXPIXEL", "UNIQPIX"),
    *("TILEID", "LASTNIGHT", "EXPID", "PETAL_LOC", "FIBER"),
    *("PLATE", "FIELD", "OBS", "MJD", "FIBERID", "CATALOGID", "SDSS_ID"),
    *("SPID0", "SPID1", "SPID2"),
)


class Reason(StrEnum):
    """Reasons why `prepare` leaves out a spectrum, in the order in which they are tried.

    Examples
    --------
    >>> from qnet.training import Reason
    >>> str(Reason.NODATA), Reason("not in truth").name
    ('NODATA', 'NOT_IN_TRUTH')
    """

    NO_ID = "no id"
    SKY = "no target (sky)"
    BAD_FIBER = "bad fibre"
    NOT_QSO_TARGET = "not a quasar target"
    NOT_ASKED = "not asked for"
    NOT_IN_TRUTH = "not in truth"
    NOT_INSPECTED = "not inspected"
    FLOAT32 = "beyond the range of float32"
    NODATA = "NODATA"
    CONSTANT = "CONSTANT"


#: Spectra that are left of an input: flux, ivar (float32, on the grid), ids.
_Batch = tuple[Float32Array, Float32Array, dict[str, npt.NDArray[Any]]]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Result of `prepare`.

    Attributes
    ----------
    path : Path or None
        The file; None if no input could be read, and no file was written.
    nread : int
        Spectra read.
    nspec : int
        Spectra written.
    removed : mapping of str to int
        Spectra that were read and not written, counted by the first reason that applies.
    failures : list of Failure
        Inputs that could not be read.

    Examples
    --------
    >>> from qnet.training import Prepared
    >>> Prepared(path=None, nread=0, nspec=0, removed={}, failures=[]).nspec
    0
    """

    path: Path | None
    nread: int
    nspec: int
    removed: Mapping[str, int]
    failures: list[Failure]


def prepare(
    paths: Sequence[PathLike],
    output: PathLike,
    *,
    grid: WavelengthGrid = QUASARNET_GRID,
    targets: Literal["all", "qso"] = "all",
    truth: Mapping[int, TruthRecord] | None = None,
    targetids: Iterable[int] | None = None,
    coadd: Literal["none", "target"] = "none",
    spall: SpAllLike | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    wave_unit: str | None = None,
    flux_unit: str | None = None,
    air: bool | None = None,
    spread: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Prepared:
    """Rebin the spectra of many files onto a grid and write them to one prepared data file.

    Inputs are read one at a time, so memory holds only the largest of them and the ids of all.
    Inputs that cannot be read are reported, and the others are written. Pixels that are NaN, masked
    or of inverse variance 0 have no weight.

    Parameters
    ----------
    paths : sequence of str or path
        Files of any layout that `qnet.io.read_spectra` knows. The cframes (spCFrames) of one
        exposure and spectrograph are one set of spectra.
    output : str or path
        Prepared data file to write, .fits.
    grid : WavelengthGrid
        Grid to rebin to, as `rebin` does; QuasarNET's by default.
    targets : {'all', 'qso'}
        Take all spectra, or those whose target bits mark a quasar candidate.
    truth : mapping of int to TruthRecord, optional
        From `read_truth`: take only spectra of these ids that were inspected.
    targetids : iterable of int, optional
        Take these ids only.
    coadd : {'none', 'target'}
        'target' adds the exposures of each TARGETID of an input.
    spall : path, mapping or tuple, optional
        As `qnet.classify` takes it.
    format, columns, wave_unit, flux_unit, air : optional
        For tables of spectra of no known layout: as `qnet.read_spectra` takes them.
    spread : bool
        Spread native pixels that are wider than those of a log grid over all that they cover, as
        for the second stage, whose grid is fine.
    overwrite : bool
        Whether an existing file may be replaced.
    progress : bool
        Whether to show a bar on a terminal.

    Returns
    -------
    Prepared
        With the removed spectra counted by `Reason`: a negative id; no target (sky); bad fibre; not
        a quasar target; not asked for; not in truth; not inspected (class and confidence 0); beyond
        the range of float32; NODATA: no pixel with weight on the grid; CONSTANT: no scatter.

    Raises
    ------
    InputError
        An argument is not valid, a file is given twice, or no spectrum is left.
    OutputExistsError, FileError
        The output cannot be written.

    Warns
    -----
    QnetWarning
        A file has no ids, or a requested id is in no input.

    Examples
    --------
    >>> import qnet
    >>> from qnet.simulation import write_simulation
    >>> _ = write_simulation(qnet.simulate(20, seed=1), "spectra.fits", "truth.fits")
    >>> grid = qnet.WavelengthGrid.log(3600.0, 9000.0, 1e-3)
    >>> done = qnet.prepare(["spectra.fits"], "data.fits", grid=grid)
    >>> done.nread, done.nspec, done.removed
    (20, 20, {})
    """
    check_arguments(prepare, locals())
    asked = None if targetids is None else frozenset(as_integers("targetids", targetids))
    truth = None if truth is None else check_records(truth)
    selection = Selection(targets=targets, targetids=asked, coadd=coadd)
    groups = group_frames(as_paths(paths))
    check_output(output, overwrite)
    _check_paths([path for group in groups for path in group], output)
    reading = ReadOptions(
        format=format, columns=columns or {}, wave_unit=wave_unit, flux_unit=flux_unit, air=air
    )
    work = _Work(grid, selection, truth, as_spall(spall), spread, reading)
    failures: list[Failure] = []
    cards = (
        Card("DEPNAM00", "qnet"),
        Card("DEPVER00", __version__),
        Card("QNTARGET", targets, "spectra that were taken"),
        Card("QNCOADD", coadd, "exposures that were joined"),
    )
    try:
        with (
            PreparedWriter(output, grid, overwrite=overwrite, cards=cards) as writer,
            Progress(None if progress else False, files=len(groups)) as bar,
        ):
            for group in groups:
                before, names = work.nread, tuple(map(str, group))
                batch, messages = guarded_call(lambda: work.run(group), names[0], "prepared")  # noqa: B023
                for message in messages:
                    warn(message)
                if failed := isinstance(batch, QnetError):
                    failures.append(Failure(names, batch))
                else:
                    writer.write(*batch)
                bar.add_file(work.nread - before, failed=failed)
            warn_unused(work.spall, work.layouts)
            selection.warn_missing(np.array(sorted(work.asked), dtype=np.int64))
            _check_left(writer.nspec, work)
    except _NothingRead:
        return Prepared(None, 0, 0, {}, failures)
    removed = _ordered(work.removed)
    for name, number in removed.items():
        logger.info("%d spectra removed: %s", number, name)
    return Prepared(Path(output), work.nread, writer.nspec, removed, failures)


class _NothingRead(Exception):
    """No input could be read: nothing is written."""


@dataclasses.dataclass
class _Work:
    """The work on one input after another, and its counts so far."""

    grid: WavelengthGrid
    selection: Selection
    truth: Mapping[int, TruthRecord] | None
    spall: SpAll | None
    spread: bool
    reading: ReadOptions
    nread: int = 0
    in_truth: int = 0
    removed: Counter[Reason] = dataclasses.field(default_factory=Counter)
    examples: list[int] = dataclasses.field(default_factory=list)  # ids, for a message
    asked: set[int] = dataclasses.field(default_factory=set)  # the ids asked for that were read
    layouts: set[str] = dataclasses.field(default_factory=set)
    #: File and row of each observation, by a hash of its ids.
    positions: dict[bytes, tuple[str, int]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        truth = self.truth or {}
        self._known = np.array(list(truth), dtype=np.int64)
        unseen = [number for number, record in truth.items() if not_inspected(record)]
        self._uninspected = np.array(unseen, dtype=np.int64)

    def run(self, group: tuple[Path, ...]) -> _Batch:
        """Read an input, choose its spectra, rebin them; nothing is counted if anything fails."""
        spectra = read_whole(group, spall=self.spall, options=self.reading)
        self.layouts.add(spectra.layout)
        if self.selection.coadd == "target":
            spectra = spectra.coadd()
        removed: Counter[Reason] = Counter()
        try:
            chosen = spectra.select(keep_rows(len(spectra), self._unwanted(spectra), removed))
            flux, ivar = self._rebinned(chosen)
        except InputError as error:
            raise FileError(with_source(error, ", ".join(spectra.source))) from error
        good = keep_rows(len(chosen), _unusable(flux, ivar), removed)
        ids = {name: column[good] for name, column in chosen.ids.items()}
        self._check_twice(ids, chosen.row[good], str(group[0]))
        self._count(spectra.ids["TARGETID"], +removed)
        logger.info("%s: %d of %d spectra", ", ".join(map(str, group)), good.sum(), len(spectra))
        return flux[good], ivar[good], ids

    def _unwanted(self, spectra: Spectra) -> Iterator[tuple[Reason, BoolArray]]:
        """Reasons to leave out spectra, and the rows of each."""
        targetid = spectra.ids["TARGETID"]
        yield Reason.NO_ID, targetid < 0
        yield Reason.SKY, (spectra.flag & QNFlag.NOT_TARGET) != 0
        yield Reason.BAD_FIBER, (spectra.flag & QNFlag.BAD_FIBER) != 0
        if self.selection.targets == "qso":
            yield Reason.NOT_QSO_TARGET, ~is_qso_target(spectra.ids)
        if self.selection.targetids is not None:
            yield Reason.NOT_ASKED, ~self.selection.has_target(targetid)
        if self.truth is not None:
            yield Reason.NOT_IN_TRUTH, ~np.isin(targetid, self._known)
            yield Reason.NOT_INSPECTED, np.isin(targetid, self._uninspected)

    def _rebinned(self, spectra: Spectra) -> tuple[Float32Array, Float32Array]:
        """Flux and ivar on the grid; infinite where float32 ends."""
        if not len(spectra):
            return (np.zeros((0, self.grid.npix), np.float32),) * 2
        with np.errstate(over="ignore"):
            check_overlap(spectra.cameras, self.grid)
            add = fine_spectra if self.spread else add_cameras
            flux, ivar = add(spectra.cameras, self.grid)
            return flux.astype(np.float32), ivar.astype(np.float32)

    def _check_twice(
        self, ids: Mapping[str, npt.NDArray[Any]], rows: npt.NDArray[np.int32], path: str
    ) -> None:
        """Raise if an observation occurred before, and remember all of them."""
        columns = [ids[name] for name in ("TARGETID", *OBSERVATION_COLUMNS) if name in ids]
        new: dict[bytes, tuple[str, int]] = {}
        for row, *values in zip(
            rows.tolist(), *(column.tolist() for column in columns), strict=True
        ):
            key = hashlib.blake2b(repr(values).encode(), digest_size=16).digest()
            other = new.get(key) or self.positions.get(key)
            if other:
                raise FileError(
                    f"{path}: row {row} (TARGETID {values[0]}) is the same observation as row "
                    f"{other[1]} of {other[0]}"
                )
            new[key] = (path, row)
        self.positions |= new

    def _count(self, targetid: IntArray, removed: Counter[Reason]) -> None:
        """Add to the counts, ids and examples."""
        self.nread += len(targetid)
        self.removed += removed
        self.in_truth += int(np.isin(targetid, self._known).sum())
        self.asked |= (self.selection.targetids or frozenset()) & set(targetid.tolist())
        if len(self.examples) <= EXAMPLES:
            self.examples += targetid[targetid >= 0][: EXAMPLES + 1].tolist()


def _unusable(flux: Float32Array, ivar: Float32Array) -> Iterator[tuple[Reason, BoolArray]]:
    """Reasons why rebinned spectra cannot be trained on, and the rows of each."""
    infinite = ~(np.isfinite(flux) & np.isfinite(ivar)).all(axis=1)
    yield Reason.FLOAT32, np.asarray(infinite)
    yield Reason.NODATA, np.asarray(~(ivar > 0).any(axis=1))
    with np.errstate(invalid="ignore", over="ignore"):
        yield Reason.CONSTANT, np.asarray(~np.isfinite(normalise(flux, ivar)).all(axis=1))


def _check_paths(paths: Sequence[Path], output: PathLike) -> None:
    """Raise if there is no input, one is given twice, or one is the output."""
    if not paths:
        raise InputError("there are no input files")
    if real_path(output) in map(real_path, paths):
        raise InputError(f"{output}: is an input: give the output another name")
    if again := find_duplicates(paths):
        raise InputError(f"{again[0]}: is given twice")


def _check_left(nspec: int, work: _Work) -> None:
    """Raise, with the reason, if nothing is left to write."""
    if nspec:
        return
    if not work.nread:
        raise _NothingRead
    if work.truth is not None and not work.in_truth and work.examples:
        raise other_survey(work.nread, work.examples, work.truth)
    raise InputError(f"no spectrum is left of {work.nread}: {describe(_ordered(work.removed))}")


def _ordered(removed: Mapping[Reason, int]) -> dict[str, int]:
    """The reasons that occurred and their counts, in the order in which the reasons are tried."""
    return {str(reason): removed[reason] for reason in Reason if removed.get(reason)}
