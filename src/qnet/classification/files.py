"""Classification of files, by one process or several, and of spectra in memory."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from qnet.classification.columns import compute_columns
from qnet.classification.header import LAST, Part, assemble
from qnet.classification.options import Options
from qnet.core.errors import Failure, FileError, InputError, QnetError, first_few, warn, with_source
from qnet.core.files import PathLike, find_duplicates
from qnet.core.guards import Guarded, guarded_call
from qnet.core.pz import RedshiftDistributions
from qnet.core.spectra import Spectra
from qnet.core.threads import one_blas_thread
from qnet.core.workers import WorkerPool, check_main
from qnet.io.catalogue import Catalogue, concatenate
from qnet.io.objects.batches import Batch
from qnet.io.reader import group_frames, read_blocks, read_whole, warn_unused

logger = logging.getLogger(__name__)

#: Input files that a worker process is handed at a time, at most.
_LARGEST_CHUNK = 64


def classify_files(paths: Sequence[PathLike], options: Options) -> tuple[Catalogue, list[Failure]]:
    """Catalogue of the files that can be read, without columns when none can; and the failures."""
    groups = group_frames(paths)
    if not groups:
        raise InputError("there are no input files")
    workers = min(options.workers, len(groups))
    if workers > 1:
        check_main(workers)
    _warn_of_duplicates([path for group in groups for path in group])
    work = functools.partial(_classify_group, options=options.for_each(workers))
    parts: list[Part] = []
    names: list[tuple[str, ...]] = []
    failures: list[Failure] = []
    results = _run(work, groups, workers, options.progress)
    for group, (result, messages) in zip(groups, results, strict=True):
        group_names = tuple(map(str, group))
        for message in messages:
            warn(message)
        if isinstance(result, QnetError):
            failures.append(Failure(group_names, result))
            continue
        logger.info("%s: %d spectra", ", ".join(group_names), len(result))
        parts.append(result)
        names.append(group_names)
    warn_unused(options.spall, (part.layout for part in parts))
    if not parts:
        return Catalogue({}), failures
    return _finish(parts, names, options), failures


def classify_memory(batches: Iterable[Batch], options: Options) -> Catalogue:
    """Catalogue of spectra in memory; the batches of an input follow one another."""
    one = options.for_each(1)
    parts: list[Part] = []
    names: list[list[str]] = []
    for _, group in itertools.groupby(batches, lambda batch: batch.number):
        blocks: list[Part] = []
        for batch in group:
            if not blocks:
                names.append(list(batch.spectra.source) or [batch.spectra.layout])
            blocks.append(_classify_spectra(batch.spectra, one))
        parts.append(_join_blocks(blocks))
    return _finish(parts, names, options)


def reads_whole(options: Options) -> bool:
    """Whether rows are counted, or targets joined, over a whole input."""
    return options.selection.rows is not None or options.selection.coadd == "target"


def _join_blocks(parts: Sequence[Part]) -> Part:
    """The blocks of one input."""
    if len(parts) == 1:
        return parts[0]
    columns = concatenate([part.columns for part in parts])
    pz = RedshiftDistributions.concatenate([part.pz for part in parts if part.pz is not None])
    return dataclasses.replace(parts[0], columns=columns, pz=pz)


def _warn_of_duplicates(paths: Sequence[Path]) -> None:
    """Warn of files that are given more than once: each time they are rows of their own."""
    twice = list(dict.fromkeys(map(str, find_duplicates(paths))))
    if twice:
        warn(f"{first_few(twice, 5)}: given more than once, and so are the rows")


def _run(
    work: functools.partial[Guarded[Part]],
    groups: Sequence[tuple[Path, ...]],
    workers: int,
    progress: bool,
) -> Iterator[Guarded[Part]]:
    """Results in the order of the groups, from this process or several."""
    from tqdm import tqdm

    # None: a bar on a terminal only.
    disable = None if progress else True
    bar = functools.partial(tqdm, total=len(groups), unit="file", disable=disable)
    if workers == 1:
        yield from bar(map(work, groups))
        return
    size = max(1, min(_LARGEST_CHUNK, len(groups) // (4 * workers)))
    chunks = [groups[start : start + size] for start in range(0, len(groups), size)]
    with WorkerPool(workers) as pool:
        futures = [pool.submit(_classify_chunk, work, chunk) for chunk in chunks]
        try:
            yield from bar(_gather(pool, work, chunks, futures))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _classify_chunk(
    work: functools.partial[Guarded[Part]], groups: Sequence[tuple[Path, ...]]
) -> list[Guarded[Part]]:
    """What a worker process is handed at a time."""
    return [work(group) for group in groups]


def _gather(
    pool: WorkerPool,
    work: functools.partial[Guarded[Part]],
    chunks: Sequence[Sequence[tuple[Path, ...]]],
    futures: Sequence[Future[list[Guarded[Part]]]],
) -> Iterator[Guarded[Part]]:
    """Results in their order; inputs whose worker died are tried again, one by one."""
    for chunk, future in zip(chunks, futures, strict=True):
        try:
            yield from future.result()
        except BrokenProcessPool:
            if not pool.begun:
                raise pool.explain() from None
            yield from (_classify_alone(work, paths) for paths in chunk)


def _classify_alone(
    work: functools.partial[Guarded[Part]], paths: tuple[Path, ...]
) -> Guarded[Part]:
    """One input in a process of its own: a failure if that dies."""
    with WorkerPool(1) as pool:
        try:
            return pool.submit(work, paths).result()
        except BrokenProcessPool:
            cause = "the process that was to read it could not start"
    if pool.begun:
        cause = (
            "the process that read it ended abruptly (out of memory, killed, or the file is "
            "damaged so that the FITS library does not survive it)"
        )
    return FileError(f"{paths[0]}: was not classified: {cause}"), []


def _classify_group(paths: tuple[Path, ...], *, options: Options) -> Guarded[Part]:
    """Columns of one input, or why there are none; and the warnings that came up."""

    def work() -> Part:
        given: dict[str, Any] = {"spall": options.spall, "options": options.reading}
        whole = reads_whole(options)
        blocks = [read_whole(paths, **given)] if whole else read_blocks(paths, **given)
        return _join_blocks([_classify_spectra(block, options) for block in blocks])

    return guarded_call(work, str(paths[0]), "classified")


def _classify_spectra(spectra: Spectra, options: Options) -> Part:
    """All columns of a batch; BLAS, wherever it is used, keeps to one thread."""
    batch = spectra.coadd() if options.selection.coadd == "target" else spectra
    source = ", ".join(spectra.source)
    try:
        asked = options.selection.asked(batch)
    except InputError as error:
        raise InputError(with_source(error, source)) from error
    try:
        with one_blas_thread():
            model, criterion = options.model, options.criterion
            columns = compute_columns(batch, model, criterion, asked, pz=options.pz)
    except InputError as error:
        # What is wrong with the spectra is the file's fault, where they came from one.
        kind = FileError if source else InputError
        raise kind(with_source(error, source)) from error
    bins = options.model.architecture.redshifts if options.pz else None
    pz = None if bins is None else RedshiftDistributions.take(columns, bins)
    clash = sorted(set(batch.ids) & {*columns, *LAST})
    if clash:
        warn(
            f"{spectra.where()}column(s) {', '.join(clash)} are left out: qnet's own columns have "
            "these names"
        )
    ids = {name: column for name, column in batch.ids.items() if name not in clash}
    columns = {**ids, **columns, "INPUT_ROW": batch.row}
    return Part(columns, spectra.cards, spectra.units, spectra.layout, pz)


def _finish(parts: Sequence[Part], names: Sequence[Sequence[str]], options: Options) -> Catalogue:
    """The catalogue, with a warning of TARGETIDs that were asked for and are in no input."""
    catalogue = assemble(parts, names, options.model, options.criterion)
    options.selection.warn_missing(catalogue.columns["TARGETID"])
    return catalogue
