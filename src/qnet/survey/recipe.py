"""What workers do for a survey, made anew in each from the survey's settings."""

from __future__ import annotations

import dataclasses
import inspect
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qnet.classification.driver import Task
from qnet.classification.files import classify_task
from qnet.classification.header import Part, assemble
from qnet.classification.options import Options
from qnet.core.arguments import as_plain
from qnet.core.arrays import as_integers
from qnet.core.errors import FileError, InputError, QnetError, type_name
from qnet.core.exports import EXPORTS
from qnet.core.files import sha256
from qnet.core.guards import Guarded, guarded_call
from qnet.io.catalogue import Catalogue, write_catalogue
from qnet.io.exports.writing import export
from qnet.io.options import ReadOptions
from qnet.io.pz import write_pz
from qnet.model.loading import DEFAULT_FILE
from qnet.model.shipped import DEFAULT_MODEL
from qnet.survey.folder import Folder, hash_settings, read_settings
from qnet.survey.journal import Record, sign

#: Options of a classification that are files, where they are paths at all.
_FILES = ("prior", "spall")

#: Options of how files of no known layout are read.
READING = tuple(field.name for field in dataclasses.fields(ReadOptions))

#: Options that are integers.
_INTEGERS = ("targetids", "rows")

#: What the names of the files of redshift distributions end in.
_PZ = "-pz.fits"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Makes the work of a process: small, so that it may travel with each task."""

    outdir: str
    settings: str  # their hash
    workers: int
    inputs: int
    threads: int | None

    def __call__(self) -> Callable[[Task], Any]:
        """The work of a process; the model is loaded."""
        folder = Folder(self.outdir)
        settings = read_settings(folder)
        if hash_settings(settings) != self.settings:
            raise FileError(f"{folder.settings}: was changed by another run")
        return Work(folder, settings, make_options(settings, self.workers, self.threads), self)


def find_model(model: str | os.PathLike[str] | None) -> str:
    """The name or the absolute path by which every worker finds the same model."""
    given = os.fspath(model or os.environ.get(DEFAULT_FILE) or DEFAULT_MODEL)
    return os.path.abspath(given) if os.path.exists(given) else given


def make_settings(options: Mapping[str, Any], model: str, **more: Any) -> dict[str, Any]:
    """The options of a survey as plain values, and what identifies the files among them."""
    plain: dict[str, Any] = {}
    reading: dict[str, Any] = {}
    identities: dict[str, Any] = {}
    for name, value in options.items():
        if name in READING:
            reading |= {name: as_plain(value)} if value not in (None, {}) else {}
        elif value is None or (isinstance(value, str | bool) and value == _default(name)):
            continue
        elif name in _INTEGERS:
            plain[name] = sorted(as_integers(name, value))
        elif name not in _FILES:
            plain[name] = as_plain(value)
        elif not isinstance(value, str | os.PathLike):
            raise InputError(f"{name} must be a name or a path, not {type_name(value)}")
        elif os.path.exists(value):
            plain[name] = os.path.abspath(value)
            # The first may be gigabytes, which every run would read.
            identities[name] = sign([value])[0] if name == "spall" else sha256(value)
        else:
            plain[name] = os.fspath(value)
    return {"options": plain, "reading": reading, "files": identities, "model": model, **more}


def _default(name: str) -> Any:
    """The default of an option; those of the criterion have none."""
    known = inspect.signature(Options).parameters
    return known[name].default if name in known else None


def make_options(
    settings: Mapping[str, Any], workers: int = 1, threads: int | None = None
) -> Options:
    """The options of settings; raises where the model is another one by now."""
    options = Options(
        settings["model"],
        **settings["options"],
        reading=ReadOptions(**settings["reading"]),
        workers=workers,
        threads=threads,
    )
    known = settings.get("model_sha256", options.model.sha256)
    if options.model.sha256 != known:
        raise FileError(
            f"{settings['model']}: its SHA-256 is {options.model.sha256}, but {known} was expected"
        )
    return options


class Work:
    """What a process does with a task: the columns of an input, and its catalogue."""

    def __init__(
        self, folder: Folder, settings: Mapping[str, Any], options: Options, recipe: Recipe
    ) -> None:
        self._folder, self._options, self._recipe = folder, options, recipe
        self._to: str = settings["to"]

    def __call__(self, task: Task) -> Guarded[Record | Part | None]:
        """The record of an input whose catalogue is written, or a part of it, or its failure."""
        start, signatures = time.perf_counter(), sign(task.paths)
        result, messages = classify_task(task, self._options, self._recipe.inputs)
        if not isinstance(result, Part) or task.parts > 1:
            return result, messages
        written, more = self.write(task, result)
        if isinstance(written, QnetError):
            return written, [*messages, *more]
        seconds = round(time.perf_counter() - start, 4)
        record = dataclasses.replace(written, signatures=signatures, seconds=seconds)
        return record, [*messages, *more]

    def write(self, task: Task, part: Part) -> Guarded[Record]:
        """Write the catalogue of an input; an error of the survey's folder is raised."""
        names, options = [tuple(map(str, task.paths))], self._options

        def work() -> Catalogue:
            return assemble([part], names, options.model, options.criterion)

        catalogue, messages = guarded_call(work, str(task.paths[0]), "classified")
        if isinstance(catalogue, QnetError):
            return catalogue, messages
        path = self._folder.path / task.output
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{path}: its folder cannot be made ({error.strerror})") from error
        try:
            self._write(catalogue, path)
        except InputError as error:  # the format needs what this input lacks
            return FileError(f"{names[0][0]}: was not written: {error}"), messages
        quasars = int(catalogue.columns["IS_QSO"].sum())
        return Record((), rows=len(catalogue), quasars=quasars), messages

    def _write(self, catalogue: Catalogue, path: Path) -> None:
        """Write it, and its redshift distributions where they were asked for."""
        if self._options.pz:
            write_pz(catalogue, name_pz(str(path), self._to), overwrite=True)
        if self._to:
            export(catalogue, path, to=self._to, overwrite=True)
        else:
            write_catalogue(catalogue, path, overwrite=True)


def find_suffix(to: str) -> str:
    """Suffix of the catalogues of a format, the first that it has; of qnet's own for ''."""
    return EXPORTS[to].suffixes[0] if to else ".fits"


def name_pz(output: str, to: str) -> str:
    """The file of redshift distributions beside a catalogue."""
    return output.removesuffix(find_suffix(to)) + _PZ
