"""What a network takes over from the model that it starts from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, get_args

from qnet.core.arguments import check_arguments
from qnet.core.errors import InputError, warn
from qnet.model.architecture import RefineArchitecture
from qnet.model.model import Model
from qnet.model.weights import WeightsFile
from qnet.training.settings import Augmentation, Settings, Stage

#: Rate of fine-tuning, in units of that of the training from random weights: a low one, with which
#: a few thousand spectra do not make a model worse (docs/how-to/own-survey.md).
TUNING_RATE = 0.1

#: Settings that are those of the training of the model that is started from.
INHERITED = ("learning_rate", "schedule", "weight_decay", "loss", "precision", "z_lim")

#: Key of the record of the calibration of a model whose networks changed after it.
INHERITED_KEY = "inherited_from"

_SUFFIX = "-tuned"


def inherit_settings(model: Model, stage: Stage = "lines", **changes: Any) -> Settings:
    """Settings to train a model further: those of its own training.

    Loss, schedule, weight decay, augmentation, precision and the limit of the quasar classes are
    those that the model's stage was trained with, as its weights file records them; the defaults of
    `Settings` where it has no such record. The learning rate is a tenth of the rate of the training
    from random weights: that of the model, or of the first model from which it was trained further.
    The licence is the model's, and the name is its name with "-tuned".

    Parameters
    ----------
    model : Model
        The model to start from.
    stage : {'lines', 'refine'}
        The stage that is trained.
    **changes
        Other values of settings, by their names.

    Returns
    -------
    Settings

    Raises
    ------
    InputError
        There is no such setting or stage, or a value, also in the model's record, is not valid.

    Examples
    --------
    >>> import qnet
    >>> settings = qnet.training.inherit_settings(qnet.load_model(), epochs=3)
    >>> settings.loss, settings.schedule, settings.epochs, settings.name
    ('cross-entropy', 'one-cycle', 3, 'qnet-tuned')
    """
    check_arguments(inherit_settings, locals())
    if stage not in get_args(Stage):
        raise InputError(f"stage must be one of {', '.join(get_args(Stage))}, not {stage!r}")
    legal = [field.name for field in dataclasses.fields(Settings)]
    if unknown := sorted(set(changes) - set(legal)):
        raise InputError(f"unknown setting(s) {unknown}: the legal ones are {legal}")
    record = _record(model, stage)
    given = _mapping(record.get("settings"))
    values: dict[str, Any] = {name: given[name] for name in INHERITED if name in given}
    names = {field.name for field in dataclasses.fields(Augmentation)}
    change = {k: v for k, v in _mapping(given.get("augmentation")).items() if k in names}
    name, version = _tuned_name(model.weights)
    values |= {"name": name, "version": version, "licence": model.weights.licence}
    try:
        values["augmentation"] = Augmentation(**change)
        values["learning_rate"] = TUNING_RATE * first_rate(model, stage)
        inherited = Settings(**values)
    except InputError as error:
        raise InputError(f"{model.name}: the settings of its training: {error}") from error
    return dataclasses.replace(inherited, **changes)


def first_rate(model: Model, stage: Stage) -> float:
    """The learning rate of a stage when it was trained from random weights."""
    record = _record(model, stage)
    settings = _mapping(record.get("settings")) | _mapping(record.get("parent"))
    rate = settings.get("learning_rate")
    if isinstance(rate, (int, float)) and 0 < rate < math.inf:
        return float(rate)
    return Settings().learning_rate


def inherited_dropout(parent: Model | None) -> float:
    """The dropout of the second stage's training, where it is on record."""
    dropout = 0.0 if parent is None else _record(parent, "refine").get("dropout", 0.0)
    return dropout if isinstance(dropout, (int, float)) else 0.0


def parent_record(parent: Model | None, stage: Stage) -> dict[str, Any] | None:
    """Record, for a weights file, of the model that a stage was started from."""
    if parent is None:
        return None
    rate = first_rate(parent, stage)
    return {"name": parent.name, "sha256": parent.sha256, "learning_rate": rate}


def own_name(settings: Settings, parent: Model | None) -> Settings:
    """The settings, with another name where it is that of the model that is started from."""
    if parent is None or f"{settings.name}@{settings.version}" != parent.name:
        return settings
    name, version = _tuned_name(parent.weights)
    return dataclasses.replace(settings, name=name, version=version)


def carry_over(parent: Model, first: WeightsFile) -> WeightsFile:
    """A new first stage, with the second stage, calibration and notices of its parent."""
    whole = parent.weights
    return dataclasses.replace(
        first,
        arrays={**whole.arrays, **first.arrays},
        refine=whole.refine,
        calibration=whole.calibration,
        notices=whole.notices,
    )


def with_second_stage(
    base: Model, refine: RefineArchitecture, arrays: Mapping[str, Any]
) -> WeightsFile:
    """The first stage, calibration and notices of a model, with a new second stage."""
    whole = base.weights
    old = {} if whole.refine is None else whole.refine.shapes()
    kept = {name: values for name, values in whole.arrays.items() if name not in old}
    return dataclasses.replace(whole, refine=refine, arrays={**kept, **arrays}, sha256="")


def carried_records(parent: Model) -> dict[str, Any]:
    """Records of a model's second stage and calibration, for a model that has both from it."""
    made = parent.weights.provenance
    records = {"refine": made["refine"]} if "refine" in made else {}
    return records | calibration_record(parent)


def calibration_record(parent: Model) -> dict[str, Any]:
    """Record of a calibration that is that of another model's networks."""
    if parent.calibration is None:
        return {}
    record = _mapping(parent.weights.provenance.get("calibration"))
    return {"calibration": {INHERITED_KEY: parent.name} | record}


def is_calibration_inherited(model: Model) -> bool:
    """Whether the networks of a model changed after its calibration."""
    return INHERITED_KEY in _mapping(model.weights.provenance.get("calibration"))


def warn_inherited(model: Model, why: str) -> None:
    """Warn that the calibration of a model is that of another one."""
    record = _mapping(model.weights.provenance.get("calibration"))
    warn(
        f"{model.name}: its calibration (P_QSO, ZERR, flags) is that of {record[INHERITED_KEY]}, "
        f"whose networks were others: {why}"
    )


def _record(model: Model, stage: Stage) -> dict[str, Any]:
    """What a weights file records of the training of a stage."""
    made = model.weights.provenance
    return _mapping(made.get("refine")) if stage == "refine" else dict(made)


def _mapping(value: Any) -> dict[str, Any]:
    """A mapping, which a file need not hold where one is expected."""
    return dict(value) if isinstance(value, Mapping) else {}


def _tuned_name(parent: WeightsFile) -> tuple[str, str]:
    """Name and version of a model that is started from another one."""
    if not parent.name.endswith(_SUFFIX):
        return f"{parent.name}{_SUFFIX}", "1"
    version = parent.version
    plain = version.isascii() and version.isdecimal() and len(version) < 10
    return parent.name, str(int(version) + 1) if plain else f"{version}.1"
