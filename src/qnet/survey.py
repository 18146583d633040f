"""Many files over an executor: bad ones are reported, the others classified all the same."""

from __future__ import annotations

import dataclasses
import functools
import logging
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from qnet.answers import Rule, answer
from qnet.errors import FileError, InputError, QnetError, QnetWarning, with_source
from qnet.files import PathLike
from qnet.io.boss import SpAll
from qnet.io.catalogue import Catalogue
from qnet.io.frames import group_frames
from qnet.io.reader import read_spectra
from qnet.model import Model
from qnet.provenance import Part, assemble
from qnet.spectra import Spectra
from qnet.targets import is_qso_target

logger = logging.getLogger(__name__)

#: Columns of an input, or why there are none; and the warnings that came up.
Result = tuple[Part | QnetError, list[str]]

#: Input files that a worker process is handed at a time, at most.
_LARGEST_CHUNK = 64


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which rows are asked for, and how exposures are joined.

    Attributes
    ----------
    targets : {'all', 'qso'}
        All rows, or those that the survey targeted as quasar candidates.
    targetids : frozenset of int or None
        Only these TARGETIDs.
    rows : tuple of int or None
        Only these rows of each input.
    nrows : int or None
        Where the rows came as a mask: its length, which an input must have.
    coadd : {'none', 'target'}
        'target' joins the exposures of each positive TARGETID into one row.
    """

    targets: Literal["all", "qso"] = "all"
    targetids: frozenset[int] | None = None
    rows: tuple[int, ...] | None = None
    nrows: int | None = None
    coadd: Literal["none", "target"] = "none"

    def __post_init__(self) -> None:
        for name, value, legal in (
            ("targets", self.targets, ("all", "qso")),
            ("coadd", self.coadd, ("none", "target")),
        ):
            if value not in legal:
                raise InputError(f"{name} must be one of {', '.join(legal)}, not {value!r}")
        if self.rows is not None and self.coadd == "target":
            raise InputError("rows cannot be selected when exposures are joined: give targetids")

    def asked(self, spectra: Spectra) -> npt.NDArray[np.bool_] | None:
        """Rows that are asked for; None for all of them.

        Raises
        ------
        InputError
            A row is out of range, or there is no target column.
        """
        if self.targets == "all" and self.targetids is None and self.rows is None:
            return None
        asked: npt.NDArray[np.bool_] = np.ones(len(spectra), dtype=bool)
        if self.targets == "qso":
            asked &= is_qso_target(spectra.ids)
        if self.targetids is not None:
            asked &= np.isin(spectra.ids["TARGETID"], list(self.targetids))
        if self.nrows not in (None, len(spectra)):
            raise InputError(
                f"rows is a mask of {self.nrows}, but there are {len(spectra)} spectra"
            )
        if self.rows is not None:
            beyond = [row for row in self.rows if not 0 <= row < len(spectra)]
            if beyond:
                raise InputError(f"rows must be in 0 .. {len(spectra) - 1}, not {beyond}")
            asked &= np.isin(np.arange(len(spectra)), self.rows)
        return asked


@dataclasses.dataclass(frozen=True)
class Failure:
    """An input that could not be classified.

    Attributes
    ----------
    paths : tuple of str
        The file, or the files of the set.
    error : QnetError
        Why.
    """

    paths: tuple[str, ...]
    error: QnetError


def classify_files(
    paths: Sequence[PathLike],
    model: Model,
    rule: Rule,
    selection: Selection,
    *,
    spall: SpAll | None = None,
    workers: int = 1,
    progress: bool = False,
) -> tuple[Catalogue, list[Failure]]:
    """Classify files; bad ones are reported, the others classified all the same.

    Parameters
    ----------
    paths : sequence of str or path
        The cframes (spCFrames) of one exposure and spectrograph are one set of rows.
    model, rule, selection, spall, workers, progress
        As in `classify`.

    Returns
    -------
    catalogue : Catalogue
        Of the files that could be read; without columns when none could.
    failures : list of Failure
        One for each that could not.

    Raises
    ------
    InputError
        There is no path, or `workers` is not positive.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1, not {workers!r}")
    groups = group_frames(paths)
    if not groups:
        raise InputError("there are no input files")
    work = functools.partial(
        _classify_group, model=model, rule=rule, selection=selection, spall=spall
    )
    parts: list[Part] = []
    names: list[list[str]] = []
    failures: list[Failure] = []
    for group, (result, messages) in zip(
        groups, _run(work, groups, workers, progress), strict=True
    ):
        group_names = [str(path) for path in group]
        for message in messages:
            warnings.warn(message, QnetWarning, stacklevel=2)
        if isinstance(result, QnetError):
            failures.append(Failure(tuple(group_names), result))
            continue
        logger.info("%s: %d spectra", ", ".join(group_names), len(result))
        parts.append(result)
        names.append(group_names)
    if not parts:
        return Catalogue({}), failures
    return _finish(parts, names, model, rule, selection), failures


def classify_memory(spectra: Spectra, model: Model, rule: Rule, selection: Selection) -> Catalogue:
    """Classify spectra that are in memory.

    Parameters
    ----------
    spectra : Spectra
    model, rule, selection
        As in `classify_files`.

    Returns
    -------
    Catalogue

    Raises
    ------
    InputError
        A row is out of range, a target column is missing, or no wavelength is on the model's grid.
    """
    part = _classify_spectra(spectra, model, rule, selection)
    names = list(spectra.source) or [spectra.layout]
    return _finish([part], [names], model, rule, selection)


def _run(
    work: functools.partial[Result],
    groups: Sequence[tuple[Path, ...]],
    workers: int,
    progress: bool,
) -> Iterator[Result]:
    """Results in the order of the groups, from this process or several."""
    from tqdm import tqdm

    # None: a bar on a terminal only.
    bar = functools.partial(
        tqdm, total=len(groups), unit="file", disable=None if progress else True
    )
    if workers == 1 or len(groups) == 1:
        yield from bar(map(work, groups))
        return
    import multiprocessing

    size = max(1, min(_LARGEST_CHUNK, len(groups) // (4 * workers)))
    chunks = [groups[start : start + size] for start in range(0, len(groups), size)]
    # Fresh interpreters: a fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(chunks)), mp_context=context) as pool:
        futures = [pool.submit(_classify_chunk, work, chunk) for chunk in chunks]
        try:
            yield from bar(_gather(chunks, futures))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _classify_chunk(
    work: functools.partial[Result], groups: Sequence[tuple[Path, ...]]
) -> list[Result]:
    """What a worker process is handed at a time."""
    return [work(group) for group in groups]


def _gather(
    chunks: Sequence[Sequence[tuple[Path, ...]]], futures: Sequence[Future[list[Result]]]
) -> Iterator[Result]:
    """Results in their order; failures for the inputs that died with their worker."""
    for chunk, future in zip(chunks, futures, strict=True):
        try:
            yield from future.result()
        except BrokenProcessPool:
            for paths in chunk:
                message = (
                    f"{paths[0]}: was not classified: a worker process ended abruptly (out of "
                    "memory, or killed); use fewer workers"
                )
                yield FileError(message), []


def _classify_group(
    paths: tuple[Path, ...],
    *,
    model: Model,
    rule: Rule,
    selection: Selection,
    spall: SpAll | None,
) -> Result:
    """Columns of one input, or why there are none; and the warnings that came up."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", QnetWarning)
        result: Part | QnetError
        try:
            spectra = read_spectra(paths, spall=spall)
            result = _classify_spectra(spectra, model, rule, selection)
        except QnetError as error:
            result = error
        except MemoryError:
            result = FileError(f"{paths[0]}: is too large for this machine's memory")
        except Exception as error:  # one file must not end a run over many
            logger.debug("unexpected error in %s", paths[0], exc_info=True)
            result = FileError(
                f"{paths[0]}: cannot be classified ({type(error).__name__}: {error})"
            )
            result.__cause__ = error
    return result, [str(warning.message) for warning in caught]


def _classify_spectra(spectra: Spectra, model: Model, rule: Rule, selection: Selection) -> Part:
    """Ids and answers of a batch."""
    batch = spectra.coadd() if selection.coadd == "target" else spectra
    source = ", ".join(spectra.source)
    try:
        asked = selection.asked(batch)
    except InputError as error:
        raise InputError(with_source(error, source)) from error
    try:
        answers = answer(batch, model, rule, asked)
    except InputError as error:
        # What is wrong with the spectra is the file's fault, where they came from one.
        kind = FileError if source else InputError
        raise kind(with_source(error, source)) from error
    clash = sorted(set(batch.ids) & (set(answers) | {"INPUT_ROW", "INPUT_INDEX"}))
    if clash:
        warnings.warn(
            f"{spectra.where()}column(s) {', '.join(clash)} are left out: answers have these names",
            QnetWarning,
            stacklevel=2,
        )
    ids = {name: column for name, column in batch.ids.items() if name not in clash}
    return Part({**ids, "INPUT_ROW": batch.row}, answers, spectra.cards)


def _finish(
    parts: Sequence[Part],
    names: Sequence[Sequence[str]],
    model: Model,
    rule: Rule,
    selection: Selection,
) -> Catalogue:
    """The catalogue, with a warning of TARGETIDs that were asked for and are in no input."""
    catalogue = assemble(parts, names, model, rule)
    asked = selection.targetids or frozenset()
    missing = sorted(asked - set(catalogue.columns["TARGETID"].tolist()))
    if missing:
        warnings.warn(
            f"TARGETID(s) in no input: {', '.join(map(str, missing))}", QnetWarning, stacklevel=3
        )
    return catalogue
