"""Many files over an executor: bad ones are reported, the others classified all the same."""

from __future__ import annotations

import copy
import functools
import logging
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from qnet.classification.columns import answer
from qnet.classification.criterion import Criterion
from qnet.classification.header import Part, assemble
from qnet.core.errors import (
    Failure,
    FileError,
    InputError,
    QnetError,
    QnetWarning,
    Result,
    check_whole,
    guarded_call,
    with_source,
)
from qnet.core.files import PathLike, find_duplicates
from qnet.core.spectra import Spectra
from qnet.core.threads import choose_threads, one_blas_thread
from qnet.io.catalogue import Catalogue, concatenate
from qnet.io.reader import group_frames, read_blocks, read_spectra
from qnet.io.selection import Selection
from qnet.io.spall import SpAll
from qnet.model.model import Model

logger = logging.getLogger(__name__)

#: Files that a warning names.
_NAMED = 5

#: Input files that a worker process is handed at a time, at most.
_LARGEST_CHUNK = 64


def classify_files(
    paths: Sequence[PathLike],
    model: Model,
    criterion: Criterion,
    selection: Selection,
    *,
    spall: SpAll | None = None,
    workers: int = 1,
    threads: int | None = None,
    progress: bool = False,
) -> tuple[Catalogue, list[Failure]]:
    """Classify files; bad ones are reported, the others classified all the same.

    Parameters
    ----------
    paths : sequence of str or path
        The cframes (spCFrames) of one exposure and spectrograph are one set of rows.
    model, rule, selection, spall, workers, threads, progress
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
        There is no path, or `workers` or `threads` is not positive.
    """
    check_whole("workers", workers)
    if workers < 1:
        raise InputError(f"workers must be at least 1, not {workers!r}")
    # Workers share the processor among them already.
    model = _with_threads(model, threads if workers == 1 or threads is not None else 1)
    groups = group_frames(paths)
    if not groups:
        raise InputError("there are no input files")
    _warn_of_twice([path for group in groups for path in group])
    work = functools.partial(
        _classify_group, model=model, criterion=criterion, selection=selection, spall=spall
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
    return _finish(parts, names, model, criterion, selection), failures


def _warn_of_twice(paths: Sequence[Path]) -> None:
    """Warn of files that are given more than once: each time they are rows of their own."""
    twice = list(dict.fromkeys(map(str, find_duplicates(paths))))
    if twice:
        names = ", ".join(twice[:_NAMED]) + (", ..." if len(twice) > _NAMED else "")
        message = f"{names}: given more than once, and so are the rows"
        warnings.warn(message, QnetWarning, stacklevel=3)


def classify_memory(
    spectra: Spectra,
    model: Model,
    criterion: Criterion,
    selection: Selection,
    *,
    threads: int | None = None,
) -> Catalogue:
    """Classify spectra that are in memory.

    Parameters
    ----------
    spectra : Spectra
    model, rule, selection, threads
        As in `classify_files`.

    Returns
    -------
    Catalogue

    Raises
    ------
    InputError
        A row is out of range, a target column is missing, no wavelength is on the model's grid, or
        `threads` is not positive.
    """
    model = _with_threads(model, threads)
    part = _classify_spectra(spectra, model, criterion, selection)
    names = list(spectra.source) or [spectra.layout]
    return _finish([part], [names], model, criterion, selection)


def _with_threads(model: Model, threads: int | None) -> Model:
    """The model with its number of threads settled, before BLAS is held to one."""
    model = copy.copy(model)
    model.threads = choose_threads(model.threads if threads is None else threads)
    return model


def _run(
    work: functools.partial[Result[Part]],
    groups: Sequence[tuple[Path, ...]],
    workers: int,
    progress: bool,
) -> Iterator[Result[Part]]:
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
            yield from bar(_gather(work, chunks, futures))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _classify_chunk(
    work: functools.partial[Result[Part]], groups: Sequence[tuple[Path, ...]]
) -> list[Result[Part]]:
    """What a worker process is handed at a time."""
    return [work(group) for group in groups]


def _gather(
    work: functools.partial[Result[Part]],
    chunks: Sequence[Sequence[tuple[Path, ...]]],
    futures: Sequence[Future[list[Result[Part]]]],
) -> Iterator[Result[Part]]:
    """Results in their order; inputs whose worker died are tried again, one by one."""
    for chunk, future in zip(chunks, futures, strict=True):
        try:
            yield from future.result()
        except BrokenProcessPool:
            yield from (_classify_alone(work, paths) for paths in chunk)


def _classify_alone(work: functools.partial[Result[Part]], paths: tuple[Path, ...]) -> Result[Part]:
    """One input in a process of its own: a failure if that dies."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(work, paths).result()
    except BrokenProcessPool:
        message = (
            f"{paths[0]}: was not classified: the process that read it ended abruptly (out of "
            "memory, killed, or the file is damaged so that the FITS library does not survive it)"
        )
        return FileError(message), []


def _classify_group(
    paths: tuple[Path, ...],
    *,
    model: Model,
    criterion: Criterion,
    selection: Selection,
    spall: SpAll | None,
) -> Result[Part]:
    """Columns of one input, or why there are none; and the warnings that came up."""

    def work() -> Part:
        # Rows are counted, and targets joined, over the whole input.
        whole = selection.rows is not None or selection.coadd == "target"
        blocks = [read_spectra(paths, spall=spall)] if whole else read_blocks(paths, spall=spall)
        parts = [_classify_spectra(block, model, criterion, selection) for block in blocks]
        if len(parts) == 1:
            return parts[0]
        return Part(
            concatenate([part.ids for part in parts]),
            concatenate([part.answers for part in parts]),
            parts[0].cards,
            parts[0].units,
        )

    return guarded_call(work, str(paths[0]), "classified")


def _classify_spectra(
    spectra: Spectra, model: Model, criterion: Criterion, selection: Selection
) -> Part:
    """Ids and answers of a batch; BLAS, wherever it is used, keeps to one thread."""
    batch = spectra.coadd() if selection.coadd == "target" else spectra
    source = ", ".join(spectra.source)
    try:
        asked = selection.asked(batch)
    except InputError as error:
        raise InputError(with_source(error, source)) from error
    try:
        with one_blas_thread():
            answers = answer(batch, model, criterion, asked)
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
    return Part({**ids, "INPUT_ROW": batch.row}, answers, spectra.cards, spectra.units)


def _finish(
    parts: Sequence[Part],
    names: Sequence[Sequence[str]],
    model: Model,
    criterion: Criterion,
    selection: Selection,
) -> Catalogue:
    """The catalogue, with a warning of TARGETIDs that were asked for and are in no input."""
    catalogue = assemble(parts, names, model, criterion)
    selection.warn_missing(catalogue.columns["TARGETID"])
    return catalogue
