"""The folder of a training run: checkpoints, weights, history."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import Columns
from qnet.core.errors import FileError, InputError, OutputExistsError
from qnet.core.files import atomic_write
from qnet.io.fits.file import FitsFile
from qnet.io.tables import write_table

if TYPE_CHECKING:
    import keras

    from qnet.model.model import Model
    from qnet.training.batches import Batches
    from qnet.training.settings import Settings

#: What the folder of a run holds.
BEST, LAST = "best.safetensors", "last.safetensors"
HISTORY = ("history.fits", "history.csv")
STATE = "state.json"
VALIDATION = "validation.fits"

#: What ``qnet train`` adds: the evaluation on the validation, and figures.
EVALUATION, EVALUATION_JSON = "evaluation.txt", "evaluation.json"
HISTORY_FIGURE, REDSHIFT_FIGURE = "history.png", "redshifts.png"
REPORTS = (EVALUATION, EVALUATION_JSON, HISTORY_FIGURE, REDSHIFT_FIGURE)

_CHECKPOINT = "checkpoint-{:05d}.keras"

#: The best weights until the state names their epoch (`save_checkpoint`).
_BEST_OF = "best-{:05d}.safetensors"


@dataclasses.dataclass
class State:
    """How far a run has come."""

    plan: dict[str, Any]  # settings and data; a run is resumed by the same plan only
    epoch: int = 0  # epochs done
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)  # a row per epoch
    best_epoch: int = 0  # from 1; 0 before the first
    best_loss: float = float("inf")  # of validation, or of training where there is none

    def is_done(self, settings: Settings) -> bool:
        """Whether a run has all its epochs, or had no better one for too long."""
        patience = settings.patience
        waited = patience is not None and self.epoch - self.best_epoch >= patience
        return waited or self.epoch >= settings.epochs


def member_folder(folder: Path, member: int, members: int) -> Path:
    """Folder of one of several networks, counted from 1; of a single one that of the run."""
    return folder if members == 1 else folder / f"member-{member:02d}"


def best_of(epoch: int) -> str:
    """Name under which the weights of an epoch that is the best so far are written."""
    return _BEST_OF.format(epoch)


def identity(model: Model) -> str:
    """The hash of a model's file, or of its arrays where it has none."""
    if model.sha256:
        return model.sha256
    digest = hashlib.sha256(json.dumps(model.architecture.to_dict(), sort_keys=True).encode())
    for name, values in sorted(model.weights.arrays.items()):
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def check_folder(folder: Path, members: int, *, resume: bool, overwrite: bool) -> None:
    """Raise, before any work is done, unless a run of some networks may use a folder."""
    runs = _runs(folder)
    if resume and not (folder.is_dir() and (runs or not any(folder.iterdir()))):
        raise FileError(f"{folder}: holds no run that could be resumed: start it without --resume")
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder}: is a file, but the folder of a run was expected")
    if resume and members > 1 and _held(folder):
        raise InputError(f"{folder}: holds the run of a single network, not of several")
    if resume and members == 1 and any(run != folder for run in runs):
        raise InputError(f"{folder}: holds the runs of several networks, not of a single one")
    if runs and not (resume or overwrite):
        raise OutputExistsError(
            f"{runs[0]}: holds a training run ({_held(runs[0])[0]}); ask for resuming (--resume, "
            "resume=True) or overwriting it (--overwrite, overwrite=True)"
        )


def clear_others(folder: Path, members: int) -> None:
    """Remove, from a folder that is overwritten, the networks that the new run does not replace."""
    own = {member_folder(folder, number, members) for number in range(1, members + 1)}
    for other in _runs(folder):
        if other in own:
            continue
        _remove(other, [*_held(other), *_named(other, _CHECKPOINT)])
        if other != folder and not any(other.iterdir()):
            other.rmdir()


def open_folder(folder: Path, *, overwrite: bool) -> None:
    """Make the folder of a new run; the files of an older one are removed."""
    # Another process may have begun a run here while the data were read.
    check_folder(folder, 1, resume=False, overwrite=overwrite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: cannot be made ready for a run ({error})") from error
    _remove(folder, [*_held(folder), *_named(folder, _CHECKPOINT)])


def save_checkpoint(folder: Path, model: keras.Model, state: State) -> None:
    """Write the network with its optimiser, then the state that names it.

    A run that is killed at any moment leaves a state, and the checkpoint and the best weights that
    belong to it: these get their name, `BEST`, when the state says that they are the best.
    """
    path = folder / _CHECKPOINT.format(state.epoch)
    with atomic_write(path, overwrite=True) as partial:
        model.save(partial)
    with atomic_write(folder / STATE, overwrite=True) as partial:
        partial.write_text(json.dumps(dataclasses.asdict(state)))
    _remove(folder, [old for old in _named(folder, _CHECKPOINT) if old != path.name])
    _settle(folder, state)


def _settle(folder: Path, state: State) -> None:
    """Give the weights of the best epoch their name, and remove those of an epoch undone."""
    try:
        if (best := folder / best_of(state.best_epoch)).exists():
            os.replace(best, folder / BEST)
    except OSError as error:
        raise FileError(f"{folder / BEST}: could not be written ({error})") from error
    _remove(folder, _named(folder, _BEST_OF))


def load_checkpoint(
    folder: Path, plan: Mapping[str, Any], losses: Mapping[str, Any]
) -> tuple[keras.Model, State]:
    """The network with its optimiser and the state of a stopped run; `losses` by their names."""
    import keras

    file = folder / STATE
    try:
        state = State(**json.loads(file.read_text()))
        was, now = _flatten(dict(state.plan)), _flatten(json.loads(json.dumps(plan)))
        path = folder / _CHECKPOINT.format(state.epoch)
    except (OSError, ValueError, TypeError) as error:
        raise FileError(f"{file}: cannot be read ({error})") from error
    differing = sorted(was.items() ^ now.items())
    if differing:
        key = differing[0][0]
        raise InputError(
            f"{folder}: the run cannot be resumed: its {key} was "
            f"{was.get(key, 'not stated')}, and is now {now.get(key, 'not stated')}"
        )
    _settle(folder, state)
    try:
        model = keras.saving.load_model(path, dict(losses), safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise FileError(f"{path}: cannot be read ({error})") from error
    return model, state


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """Write the rows of the epochs as FITS and CSV."""
    columns: dict[str, npt.NDArray[Any]] = {
        name.upper(): np.array(
            [row[name] for row in history], dtype=np.int32 if name == "epoch" else np.float64
        )
        for name in history[0]
    }
    for name in HISTORY:
        write_table(folder / name, columns, extname="HISTORY", overwrite=True)


def write_validation(folder: Path, validation: Batches) -> None:
    """Write which rows of which data files are the validation, if any."""
    data, rows = validation.data, validation.rows
    columns: Columns = {
        "TARGETID": data.tids[rows],
        "INPUT_INDEX": data.file[rows].astype(np.int32),
        "INPUT_ROW": data.row[rows].astype(np.int32),
    }
    if len(rows):
        write_table(folder / VALIDATION, columns, extname="VALIDATION", overwrite=True)


def read_validation(folder: Path) -> Columns | None:
    """What `write_validation` wrote: TARGETID, INPUT_INDEX, INPUT_ROW; None without any."""
    if not (folder / VALIDATION).exists():
        return None
    with FitsFile(folder / VALIDATION) as fits:
        return fits.table(1, ["TARGETID", "INPUT_INDEX", "INPUT_ROW"])


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values under joined names, as text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, list):
            value = dict(enumerate(value, start=1))
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def _held(folder: Path) -> list[str]:
    """Names of the files of a run in a folder, its checkpoints aside."""
    known = (STATE, BEST, LAST, *HISTORY, VALIDATION, *REPORTS)
    names = [name for name in known if (folder / name).is_file()]
    return names + _named(folder, _BEST_OF)


def _named(folder: Path, template: str) -> list[str]:
    """Names of the files of all epochs, by the template of their names."""
    return sorted(path.name for path in folder.glob(template.replace("{:05d}", "*")))


def _runs(folder: Path) -> list[Path]:
    """The folder and those of several networks in it, as far as they hold a run."""
    return [path for path in (folder, *sorted(folder.glob("member-*"))) if _held(path)]


def _remove(folder: Path, names: list[str]) -> None:
    """Remove files of a run."""
    try:
        for name in names:
            (folder / name).unlink()
    except OSError as error:
        raise FileError(f"{folder}: the files of a run cannot be removed ({error})") from error
