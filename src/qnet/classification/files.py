"""Classification of files, by one process or several, and of spectra in memory."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from qnet.classification.columns import compute_columns
from qnet.classification.driver import (
    Engine,
    Task,
    ThisProcess,
    in_order,
    join_parts,
    run_tasks,
    split_task,
)
from qnet.classification.header import LAST, Part, assemble
from qnet.classification.options import Options
from qnet.core.errors import Failure, FileError, InputError, QnetError, first_few, warn, with_source
from qnet.core.files import PathLike, find_duplicates
from qnet.core.guards import Guarded, guarded_call
from qnet.core.progress import Progress
from qnet.core.pz import RedshiftDistributions
from qnet.core.spectra import Spectra
from qnet.core.threads import one_blas_thread
from qnet.core.workers import ALONE, Workers, check_main
from qnet.io.catalogue import Catalogue, concatenate
from qnet.io.objects.batches import Batch
from qnet.io.reader import count_blocks, group_frames, read_blocks, read_whole, warn_unused

logger = logging.getLogger(__name__)


def classify_files(
    paths: Sequence[PathLike], options: Options, *, apart: bool = False
) -> tuple[Catalogue, list[Failure]]:
    """Catalogue of the files that can be read, without columns when none can; and the failures.

    `apart`: read several inputs in other processes, also with one worker: a file on which the C
    library dies is a failure then.
    """
    groups = group_frames(paths)
    if not groups:
        raise InputError("there are no input files")
    split = 1 if reads_whole(options) else -(-options.workers // len(groups))
    workers = min(options.workers, split * len(groups))
    apart = workers > 1 or (apart and len(groups) > 1)
    advice = ALONE if workers > 1 else ""
    if apart:
        check_main(workers, advice)
    _warn_of_duplicates([path for group in groups for path in group])
    parts: list[Part] = []
    names: list[tuple[str, ...]] = []
    failures: list[Failure] = []
    setup = functools.partial(_Work, options, len(groups))
    bar = Progress(None if options.progress else False, files=len(groups))
    engine: Engine = (
        Workers(workers, setup, advice) if apart else ThisProcess(functools.partial(setup, bar))
    )
    tasks = (
        task
        for number, group in enumerate(groups)
        for task in split_task(Task(number, group), split)
    )
    with bar, engine:
        outcomes = in_order(join_parts(_count(run_tasks(engine, tasks), bar)))
        for task, results in outcomes:
            result, messages = join_results(results)
            group_names = tuple(map(str, task.paths))
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
    return finish(parts, names, options), failures


class _Work:
    """What a process does with a task: the columns of an input, or of a part of its rows."""

    def __init__(self, options: Options, inputs: int, bar: Progress | None = None) -> None:
        self._options, self._inputs, self._bar = options, inputs, bar

    def __call__(self, task: Task) -> Guarded[Part | None]:
        return classify_task(task, self._options, self._inputs, self._bar)


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
        parts.append(join_blocks(blocks))
    return finish(parts, names, options)


def reads_whole(options: Options) -> bool:
    """Whether rows are counted, or targets joined, over a whole input."""
    return options.selection.rows is not None or options.selection.coadd == "target"


def join_blocks(parts: Sequence[Part]) -> Part:
    """The blocks of one input, one at least."""
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


def _count(outcomes: Iterable[tuple[Task, Any]], bar: Progress) -> Iterator[tuple[Task, Any]]:
    """Outcomes of inputs and parts of them, counted by a progress bar."""
    for task, (result, messages) in outcomes:
        spectra = len(result) if isinstance(result, Part) else 0
        failed = isinstance(result, QnetError)
        bar.add_file(spectra, part=1 / task.parts, failed=failed)
        yield task, (result, messages)


def classify_task(
    task: Task, options: Options, inputs: int, bar: Progress | None = None
) -> Guarded[Part | None]:
    """Columns of an input, or of a part of it, which may have none; or why there are none.

    With the messages of the warnings. Processes that work on so many inputs divide the threads. A
    bar counts the blocks.
    """

    def work() -> Part | None:
        paths, reading = task.paths, options.reading
        given: dict[str, Any] = {"spall": options.spall, "options": reading}
        parts = task.parts if task.parts == 1 else min(task.parts, count_blocks(paths, reading))
        if task.part >= parts:
            return None
        one = options.for_each(min(options.workers, inputs * parts))
        if reads_whole(options):
            blocks: Iterable[Spectra] = [read_whole(paths, **given)]
        else:
            blocks = read_blocks(paths, part=task.part, parts=parts, **given)
        done = []
        fraction = 1 / count_blocks(paths, reading) if bar is not None and bar.shown else 0.0
        for block in blocks:
            done.append(_classify_spectra(block, one))
            if bar is not None:
                bar.add(len(block), of_file=fraction)
        return join_blocks(done)

    return guarded_call(work, str(task.paths[0]), "classified")


def join_results(results: Sequence[Guarded[Part | None]]) -> Guarded[Part]:
    """The parts of an input as one, or the first error among them; and their messages."""
    messages = list(dict.fromkeys(message for _, found in results for message in found))
    for result, _ in results:
        if isinstance(result, QnetError):
            return result, messages
    return join_blocks([part for part, _ in results if isinstance(part, Part)]), messages


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


def finish(parts: Sequence[Part], names: Sequence[Sequence[str]], options: Options) -> Catalogue:
    """The catalogue, with a warning of TARGETIDs that were asked for and are in no input."""
    catalogue = assemble(parts, names, options.model, options.criterion)
    options.selection.warn_missing(catalogue.columns["TARGETID"])
    return catalogue
