"""Settings of a training run: plain values, checked when they are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from qnet.core.arguments import as_names, check_fields
from qnet.core.bins import RedshiftBins
from qnet.core.checks import check_finite, check_whole
from qnet.core.errors import InputError
from qnet.io.training_data import Z_LIM
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL, absorber_IGM, as_rest
from qnet.model.architecture import as_limits
from qnet.model.layers import MAX_LAYERS, by_layer
from qnet.objective import NBOXES

Schedule = Literal["constant", "exponential", "cosine", "one-cycle"]
Loss = Literal["quasarnet", "cross-entropy"]
Stage = Literal["lines", "refine"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]

#: Rest wavelengths [Angstrom] that new networks are trained with, all in vacuum. QuasarNET's table
#: has Halpha in air; its value in vacuum is of Vanden Berk et al. (2001, AJ 122, 549, table 2).
VACUUM_REST: Mapping[str, float] = {**absorber_IGM, "Halpha": 6564.61}


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Changes of the training spectra, drawn anew in every epoch, that keep their redshifts.

    Attributes
    ----------
    noise : float
        Gaussian noise is added, of up to this many times each pixel's own noise (drawn uniformly
        from 0 to this), and the inverse variance is lowered accordingly.
    tilt : float
        Scatter of the logarithm of a smooth factor: a random quadratic in log wavelength.
    coverage : float
        Fraction of the spectra of which only a part is kept: a window, an arm, the range of another
        instrument, all cameras but one, or pixels between gaps.
    fault : float
        Fraction of the spectra that get a fault of data: a step or an offset between cameras or
        inside one, spikes, or pixels of flux 0 with tiny errors.

    Raises
    ------
    InputError
        A value is negative or not finite, or a fraction above 1.

    Examples
    --------
    >>> from qnet.training import Augmentation, Settings
    >>> Settings(augmentation=Augmentation(noise=1.0, coverage=0.5)).augmentation
    Augmentation(noise=1.0, tilt=0.0, coverage=0.5, fault=0.0)
    """

    noise: float = 0.0
    tilt: float = 0.0
    coverage: float = 0.0
    fault: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value in dataclasses.asdict(self).items():
            check_finite(f"augmentation {name}", value, least=0)
            if name in ("coverage", "fault") and value > 1:
                raise InputError(f"augmentation {name} is a fraction, at most 1, not {value!r}")

    def __bool__(self) -> bool:
        return any(dataclasses.asdict(self).values())


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """Options of the network that is trained, those of `qnet.model.QuasarNET`.

    Attributes
    ----------
    lines, lines_bal : tuple of str
        Emission and BAL lines, in the order of the outputs.
    rest : mapping of str to float
        Rest wavelengths [Angstrom] by line; those of the lines are used.
    boxes, nlayers, filters, width, strides, padding, units, dropout, reg_conv, reg_fc
        As `qnet.model.QuasarNET` takes them; ``filters`` and ``width`` are one number, or one
        for each layer.
    redshifts : RedshiftBins, optional
        Bins of a redshift head beside the lines; None, as in QuasarNET, for none.
    clip : tuple of float, optional
        Limits of the input, as `qnet.model.Architecture` has them; None, as in QuasarNET, for none.

    Raises
    ------
    InputError
        A line has no rest wavelength, or a size is not a positive whole number.

    Examples
    --------
    >>> from qnet.training import NetworkOptions
    >>> network = NetworkOptions(lines=("LYA", "MgII(2796)"), nlayers=3, filters=(8, 16, 16))
    >>> network.rest
    {'LYA': 1215.67, 'MgII(2796)': 2796.3511, 'CIV(1548)': 1548.2049}
    """

    lines: tuple[str, ...] = QUASARNET_LINES
    lines_bal: tuple[str, ...] = QUASARNET_LINES_BAL
    rest: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(VACUUM_REST))
    boxes: int = NBOXES
    nlayers: int = 4
    filters: int | tuple[int, ...] = 100
    width: int | tuple[int, ...] = 10
    strides: int = 2
    padding: Literal["valid", "same"] = "valid"
    units: int = 100
    dropout: float = 0.0
    reg_conv: float = 0.0
    reg_fc: float = 0.0
    redshifts: RedshiftBins | None = None
    clip: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        as_rest(self.rest)
        object.__setattr__(self, "clip", as_limits(self.clip))
        for kind in ("lines", "lines_bal"):
            object.__setattr__(self, kind, as_names(kind, getattr(self, kind)))
        names = (*self.lines, *self.lines_bal)
        unknown = [name for name in names if name not in self.rest]
        for kind in ("lines", "lines_bal"):
            given = getattr(self, kind)
            if len(set(given)) < len(given):
                raise InputError(f"{kind} must differ from one another, not {given}")
        if unknown or not self.lines:
            raise InputError(
                f"lines {names} must be one or more of those with a rest wavelength: "
                f"{', '.join(self.rest)}"
            )
        object.__setattr__(self, "rest", {name: self.rest[name] for name in dict.fromkeys(names)})
        for name in ("boxes", "strides", "units"):
            check_whole(name, getattr(self, name), least=1)
        check_whole("nlayers", self.nlayers, least=1, most=MAX_LAYERS)
        for name in ("filters", "width"):
            given = getattr(self, name)
            # One number alone is one for all, as on the command line.
            single = isinstance(given, Sequence) and len(given) == 1
            sizes = by_layer(name, given[0] if single else given, self.nlayers)
            for size in sizes:
                check_whole(name, size, least=1)
            # One form for one meaning: settings are compared when a run is resumed.
            object.__setattr__(self, name, sizes[0] if len(set(sizes)) == 1 else sizes)
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout must be in 0 .. 1, not {self.dropout!r}")

    def keras_options(self) -> dict[str, Any]:
        """Keyword arguments of `qnet.model.QuasarNET`."""
        names = ("lines", "lines_bal", "rest", "redshifts", "clip")
        options = {k: v for k, v in dataclasses.asdict(self).items() if k not in names}
        return options | {
            "nlines": len(self.lines) + len(self.lines_bal),
            "redshift_outputs": 0 if self.redshifts is None else self.redshifts.noutputs,
        }


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a training run.

    Attributes
    ----------
    epochs, batch_size : int
        Passes over the data, and spectra per step.
    learning_rate : float
        Of Adam: constant, or where its schedule begins (the highest one of 'one-cycle').
    schedule : {'constant', 'exponential', 'cosine', 'one-cycle'}
        'exponential' falls by a factor of 10 over the run, 'cosine' to 0; 'one-cycle' rises over
        the first third and then falls to 0 as a cosine (Smith & Topin 2018, arXiv:1708.07120).
    weight_decay : float
        Decoupled weight decay (AdamW, Loshchilov & Hutter 2019, arXiv:1711.05101); 0 is Adam.
    loss : {'quasarnet', 'cross-entropy'}
        `qnet.model.keras_network.custom_loss`, or `qnet.model.keras_network.cross_entropy_loss`.
    precision : {'float32', 'mixed_bfloat16', 'mixed_float16'}
        Keras's policy: the mixed ones compute the convolutions in half precision, which is faster
        on processors and accelerators made for it, and keep weights, outputs and losses in single
        precision.
    validation : float
        Fraction of the TARGETIDs that is kept out of training; 0 for none.
    patience : int or None
        Stop when the validation loss has not fallen for this many epochs.
    seed : int
        Of the initial weights, the split, the order of the spectra and the augmentation.
    memory : float
        Memory for the spectra [GiB]; if they do not fit, they are read from disk in each epoch.
    augmentation : Augmentation
    network : NetworkOptions
    z_lim : float
        Redshift that separates the classes QSO_LZ and QSO_HZ; it does not affect the network.
    name, version, licence : str
        Of the model.

    Raises
    ------
    InputError
        A value is not valid.

    Examples
    --------
    >>> from qnet.training import Settings
    >>> settings = Settings(epochs=30, schedule="one-cycle", patience=5, seed=1)
    >>> settings.learning_rate
    0.001
    >>> Settings(validation=1.5)
    Traceback (most recent call last):
    ...
    qnet.core.errors.InputError: validation must be in 0 .. 1, not 1.5
    """

    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    loss: Loss = "quasarnet"
    precision: Precision = "float32"
    validation: float = 0.1
    patience: int | None = None
    seed: int = 0
    memory: float = 4.0
    augmentation: Augmentation = Augmentation()
    network: NetworkOptions = dataclasses.field(default_factory=NetworkOptions)
    z_lim: float = Z_LIM
    name: str = "quasarnet"
    version: str = "1"
    licence: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("epochs", "batch_size"):
            check_whole(name, getattr(self, name), least=1)
        for name in ("learning_rate", "memory"):
            check_finite(name, getattr(self, name), above=0)
        check_finite("z_lim", self.z_lim)
        check_finite("weight_decay", self.weight_decay, least=0)
        if not 0 <= self.validation < 1:
            raise InputError(f"validation must be in 0 .. 1, not {self.validation!r}")
        if self.patience is not None:
            check_whole("patience", self.patience, least=1)
            if self.validation == 0:
                raise InputError("patience needs a validation loss: validation must not be 0")
        check_whole("seed", self.seed, least=0)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for JSON."""
        return dataclasses.asdict(self)


def resumable(settings: Mapping[str, Any], *, in_memory: bool) -> dict[str, Any]:
    """Those of the settings that must be the same for a run to be resumed.

    A run may be longer than was planned where the rate does not depend on its length, and the
    memory sets the order of the spectra only where they are left on disk.
    """
    free = {"patience"}
    if settings["schedule"] == "constant":
        free.add("epochs")
    if in_memory:
        free.add("memory")
    return {name: value for name, value in settings.items() if name not in free}
