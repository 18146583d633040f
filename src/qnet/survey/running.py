"""`qnet.survey.run`: the classification of many files, which can be killed and resumed."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from qnet import __version__
from qnet.classification.driver import Engine, Task, join_parts, run_tasks, split_task
from qnet.classification.files import join_results, reads_whole
from qnet.classification.header import Part
from qnet.core.arguments import check_arguments
from qnet.core.checks import check_whole
from qnet.core.errors import Failure, FileError, InputError, QnetError
from qnet.core.exports import EXPORTS
from qnet.core.files import PathLike
from qnet.core.guards import settle_failures
from qnet.core.progress import Progress
from qnet.survey.engines import MakeEngine, open_engine, parse_shard
from qnet.survey.folder import (
    Folder,
    Input,
    add_inputs,
    hold_lock,
    read_inputs,
    read_settings,
    settle_settings,
)
from qnet.survey.inputs import check_clashes, common_folder, find_files, group_files, place_outputs
from qnet.survey.journal import Earlier, Journal, Record, Signature, sign
from qnet.survey.progress import Status, status
from qnet.survey.recipe import (
    READING,
    Recipe,
    Work,
    find_model,
    find_suffix,
    make_options,
    make_settings,
    name_pz,
)
from qnet.survey.reporting import Logged, Reporter

#: Options of `qnet.classify` that a survey takes, beside those that it has itself.
_OPTIONS = frozenset(
    {
        *("strategy", "p_threshold", "c_threshold", "min_lines", "prior_qso", "prior"),
        *("targets", "targetids", "rows", "coadd", "spall"),
        *READING,
    }
)

#: Seconds that a run waits for the lock of its folder, which `status` looks at for a moment, and
#: for the list of inputs, which the shards of a survey write one after the other.
_PATIENCE, _LONG_PATIENCE = 1.0, 120.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `run`."""

    inputs: PathLike | Iterable[PathLike]
    outdir: PathLike
    model: PathLike | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    to: str | None = None
    pz: bool = False
    workers: int | None = None
    dask: str | None = None
    mpi: bool = False
    shard: str | None = None
    threads: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.to is not None and self.to not in EXPORTS:
            raise InputError(f"to must be one of {', '.join(EXPORTS)}, not {self.to!r}")
        for name in ("workers", "threads"):
            if (value := getattr(self, name)) is not None:
                check_whole(name, value, least=1)
        if self.shard is not None:
            parse_shard(self.shard)
        if unknown := sorted(set(self.options) - _OPTIONS):
            raise InputError(f"unknown option(s) {unknown}: the legal ones are {sorted(_OPTIONS)}")


def run(
    inputs: PathLike | Iterable[PathLike],
    outdir: PathLike,
    *,
    workers: int | None = None,
    dask: str | None = None,
    mpi: bool = False,
    shard: str | None = None,
    model: PathLike | None = None,
    to: str | None = None,
    pz: bool = False,
    threads: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
    errors: Literal["raise", "skip"] = "raise",
    **options: Any,
) -> Status:
    """Classify the files of a survey, each into a catalogue of its own below a folder.

    A journal in the folder records the files that are done. The same call again classifies files
    that are missing, failed, or have changed since. A script must call it under
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    inputs : str, path or iterable of them
        Files of spectra; patterns (``"tiles/**/coadd-*.fits"``); folders, of which all FITS files
        below are taken, but for hidden folders; and ``"@LIST"``, files that LIST names, one a line.
    outdir : str or path
        The folder of the catalogues: new, or of this survey. Its subfolders are those of the
        inputs.
    workers : int, optional
        Processes of this machine. One for each CPU that this process may use when None: its
        affinity and the limits of control groups count.
    dask : str, optional
        Run on the workers of a running Dask cluster instead: the address of its scheduler. The
        workers need qnet and the same files under the same names.
    mpi : bool
        Run on the ranks of MPI instead; mpirun or srun starts the script.
    shard : str, optional
        'K/N': the K-th of N parts of the inputs, for a job array. All parts may run at once.
    model : str or path, optional
        Name or file of the model, as in `qnet.classify`.
    to : str, optional
        Format of the catalogues, one of `qnet.io.export`. qnet's own, as FITS, when None.
    pz : bool
        Whether to write the redshift distributions, into a file beside each catalogue.
    threads : int, optional
        Threads in each process. When None, those of this machine divided among `workers`; 1 on a
        cluster.
    overwrite : bool
        Whether to start anew if the folder holds a survey of other options, another model or
        another version of qnet. An error when False.
    progress : bool
        Show a progress bar on a terminal.
    errors : {'raise', 'skip'}
        What to do if inputs fail, after all were tried: raise, or warn.
    **options
        strategy, p_threshold, c_threshold, min_lines, prior (a name or a file), prior_qso, targets,
        targetids, rows, coadd and spall (a file), as in `qnet.classify`; format, columns,
        wave_unit, flux_unit and air, as in `qnet.read_spectra`.

    Returns
    -------
    Status
        Progress of the survey, as `qnet.survey.status` gives it.

    Raises
    ------
    FileError
        Inputs failed: its attribute `failures` has them, `partial` the Status. Or the folder cannot
        be written, or another run is at work in it.
    InputError
        An argument is not legal, or the folder holds something else.

    Examples
    --------
    A file of spectra, and one that is empty:

    >>> import numpy as np
    >>> import qnet
    >>> grid = qnet.WavelengthGrid.log(3600, 10000, 1e-3)
    >>> with qnet.io.PreparedWriter("good.fits", grid) as writer:
    ...     flux = np.sin(np.ogrid[1:4][:, None] + grid.wave)
    ...     writer.write(flux, np.ones((3, 443)), {"TARGETID": [7, 8, 9]})
    >>> open("empty.fits", "w").close()
    >>> try:
    ...     qnet.survey.run(["good.fits", "empty.fits"], "survey", workers=1)
    ... except qnet.FileError as error:
    ...     found = error.partial
    >>> found.done, found.failed, found.spectra
    (1, 1, 3)
    >>> qnet.read_catalogue("survey/good.fits").colnames[:2]
    ['TARGETID', 'IS_QSO']
    >>> [failure.paths[0].split("/")[-1] for failure in qnet.survey.status("survey").failures]
    ['empty.fits']
    """
    check_arguments(run, locals())
    request = Request(
        inputs=inputs,
        outdir=outdir,
        model=model,
        options=options,
        to=to,
        pz=pz,
        workers=workers,
        dask=dask,
        mpi=mpi,
        shard=shard,
        threads=threads,
        overwrite=overwrite,
    )
    failures = run_survey(request, Logged(), progress)
    if failures is None:  # a rank that worked for the first one
        return Status(Folder(outdir).path)
    return settle_failures(failures, status(outdir), errors)


def run_survey(request: Request, report: Reporter, progress: bool) -> list[Failure] | None:
    """Run a survey; the inputs that failed, or None in a process that only worked for it."""
    with open_engine(request.workers, request.dask, request.mpi) as (make_engine, size):
        if make_engine is None:
            return None
        with contextlib.ExitStack() as stack:
            folder = Folder(request.outdir)
            folder.prepare()
            shard = "" if request.shard is None else "-{}-of-{}".format(*parse_shard(request.shard))
            _take_locks(stack, folder, shard)
            return _Run(request, folder, shard, size, report).work(make_engine, progress)


def _take_locks(stack: contextlib.ExitStack, folder: Folder, shard: str) -> None:
    """Hold the locks of a run; raise where another one is at work."""
    for name, shared in (("", bool(shard)), (shard, False)) if shard else (("", False),):
        lock = hold_lock(folder.lock(name), shared=shared, seconds=_PATIENCE)
        if not stack.enter_context(lock):
            raise FileError(
                f"{folder.path}: another run is at work in it: see qnet survey status "
                f"{folder.path}; runs of different --shard K/N may work side by side"
            )


class _Run:
    """A run: its inputs, and what is to be done with them."""

    def __init__(
        self, request: Request, folder: Folder, shard: str, size: int, report: Reporter
    ) -> None:
        self._request, self._folder, self._shard, self._size = request, folder, shard, size
        self._report = report
        with hold_lock(folder.lock("-inputs"), seconds=_LONG_PATIENCE):
            self._prepare()

    def _prepare(self) -> None:
        """Settings, and the list of inputs."""
        request, folder = self._request, self._folder
        groups = group_files(find_files(request.inputs))
        options = {**request.options, "pz": request.pz}
        known = read_settings(folder) if folder.settings.exists() else {}
        settings = make_settings(
            options,
            find_model(request.model),
            to=request.to or "",
            qnet=__version__,
            root=known.get("root") or common_folder(groups),
        )
        self._options = make_options(settings, self._size, request.threads)
        model = self._options.model
        settings |= {"model_name": model.name, "model_sha256": model.sha256}
        suffix = find_suffix(settings["to"])
        inputs = place_outputs(groups, settings["root"], folder.path, suffix)
        before = list(read_inputs(folder))
        pz = inputs if request.pz else []
        beside = (Input(each.paths, name_pz(each.output, settings["to"])) for each in pz)
        check_clashes(itertools.chain(before, inputs, beside))
        self._hash = settle_settings(folder, settings, request.overwrite)
        self._settings = settings
        listed = {each.paths for each in before}
        add_inputs(folder, [each for each in inputs if each.paths not in listed])
        if request.shard is not None:
            number, count = parse_shard(request.shard)
            inputs = inputs[number - 1 :: count]
        self._inputs = inputs

    def work(self, make_engine: MakeEngine, progress: bool) -> list[Failure]:
        """Do what is to be done; the failures."""
        todo = self._find_work()
        threads, request = self._request.threads, self._request
        if threads is None and (request.mpi or request.dask):
            threads = 1
        recipe = Recipe(
            os.path.abspath(self._folder.path), self._hash, self._size, len(todo), threads
        )
        whole = reads_whole(self._options) or request.pz or not todo
        parts = 1 if whole else -(-self._size // len(todo))
        work = Work(self._folder, self._settings, self._options, recipe)
        failures: list[Failure] = []
        with (
            Journal(self._folder, self._shard, self._hash) as journal,
            Progress(None if progress else False, files=len(todo)) as bar,
            make_engine(recipe) as engine,
        ):
            journal.start(host=socket.gethostname(), process=os.getpid(), inputs=len(todo))
            for task, result, messages in _outcomes(engine, todo, parts, work):
                names = tuple(map(str, task.paths))
                if isinstance(result, QnetError):
                    failures.append(Failure(names, result))
                    journal.failed(names, result, Record(sign(names)))
                    self._report.failure(failures[-1])
                    bar.add_file(failed=True)
                else:
                    journal.done(names, task.output, result)
                    bar.add_file(result.rows)
                for message in messages:  # which may end the run, where warnings are errors
                    self._report.warning(message)
        return failures

    def _find_work(self) -> list[Input]:
        """The inputs that are to be classified; a note says why where some are not."""
        earlier = Earlier(self._folder, self._hash)
        found = Counter[str]()
        todo = []
        for each in self._inputs:
            what = earlier.find(each)
            found[what] += 1
            if what != "done":
                todo.append(each)
        if len(todo) < len(self._inputs) or set(found) - {"done", "new"}:
            others = {"changed": "changed since", "failed": "failed before", "new": "new"}
            words = [f"{found[key]} {text}" for key, text in others.items() if found[key]]
            self._report.note(
                f"{found['done']} of {len(self._inputs)} inputs are done already"
                + (f"; to do: {', '.join(words)}" if words else "")
            )
        return todo


def _outcomes(
    engine: Engine, todo: Sequence[Input], parts: int, work: Work
) -> Iterator[tuple[Task, Record | QnetError, Sequence[str]]]:
    """What becomes of each input, as it comes; those in parts are joined and written here."""
    begun: dict[int, tuple[float, tuple[Signature | None, ...]]] = {}

    def tasks() -> Iterator[Task]:
        for number, each in enumerate(todo):
            if parts > 1:
                begun[number] = time.monotonic(), sign(each.paths)
            whole = Task(number, tuple(map(Path, each.paths)), output=each.output)
            yield from split_task(whole, parts)

    for task, results in join_parts(run_tasks(engine, tasks())):
        if parts == 1:
            ((result, messages),) = results
            yield task, result, messages
            continue
        joined, messages = join_results(results)
        start, signatures = begun.pop(task.number)
        if isinstance(joined, Part):
            result, more = work.write(task, joined)
            messages = [*messages, *more]
            if isinstance(result, Record):
                seconds = round(time.monotonic() - start, 4)
                result = dataclasses.replace(result, signatures=signatures, seconds=seconds)
            yield task, result, messages
        else:
            yield task, joined, messages
