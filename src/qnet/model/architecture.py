"""Architectures of the two stages: plain data that comes with the weights, and lists of layers."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from qnet.core.arguments import as_names, check_fields
from qnet.core.arrays import as_numbers
from qnet.core.bins import RedshiftBins
from qnet.core.errors import InputError, shown
from qnet.core.grid import WavelengthGrid
from qnet.lines import rest_wavelengths
from qnet.model.layers import (
    ConvLayer,
    DenseLayer,
    Layer,
    LayerList,
    Shape,
    check_epsilon,
    count_parameters,
    stack,
)
from qnet.model.plain import check_keys, reading, renamed
from qnet.preprocess.restframe import Window

#: A second stage is applied no more often than this.
MAX_PASSES = 20


class Stage(ABC):
    """A stage of a model: a network that is a list of layers."""

    @property
    @abstractmethod
    def layers(self) -> LayerList:
        """The layers, with the names that their arrays have in a weights file."""

    @property
    def nparameters(self) -> int:
        """Number of values in the weights, moving means and variances included."""
        return count_parameters(self.shapes())

    def shapes(self) -> dict[str, Shape]:
        """Shape of every array of the weights, by its name in the weights file."""
        return self.layers.shapes()

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The architecture as plain values, for JSON; `from_dict` is the inverse."""


@dataclasses.dataclass(frozen=True)
class Architecture(Stage):
    """Architecture of the first stage, a QuasarNET network, and the meaning of its outputs.

    Convolutions, flatten, a dense layer, each with batch normalisation and ReLU; then per line two
    dense layers of nboxes: confidences (sigmoid) and offsets (Busca & Balland 2018,
    arXiv:1808.09955, section 3).

    Parameters
    ----------
    grid : WavelengthGrid
        Grid of the input.
    lines, lines_bal : tuple of str
        Emission and BAL lines, in the order of the outputs.
    rest : mapping of str to float
        Rest wavelength [Angstrom] of every one of them.
    nboxes : int
        Boxes per line.
    convs : tuple of ConvLayer
        The convolutions, first to last.
    units : int
        Width of the dense layer.
    epsilon : float
        Added to the variance in the dense layer's batch normalisation.
    offset_activation : {'sigmoid', 'linear'}
        Activation of the offsets.
    offset_scale, offset_shift : float
        The offset is shift + scale * activation: 1.2 and -0.1 in QuasarNET's later networks.
    redshifts : RedshiftBins, optional
        Classes of a further dense layer with a softmax: the redshifts of a quasar, and other
        kinds of objects. None, as in QuasarNET, without it.
    clip : tuple of float, optional
        Limits of the input: `qnet.Model` clips normalised spectra to them, in which pixels without
        weight and spikes may have any value. None, as in QuasarNET, for none.

    Raises
    ------
    InputError
        A line is unknown, a value is out of range, or the network has no pixels left or more than
        2e8 parameters.

    Examples
    --------
    >>> import qnet
    >>> architecture = qnet.load_model().architecture
    >>> architecture.nparameters, architecture.nboxes
    (687316, 13)
    >>> architecture.shapes()["conv_1.kernel"]
    (10, 1, 24)
    """

    grid: WavelengthGrid
    lines: tuple[str, ...]
    lines_bal: tuple[str, ...]
    rest: Mapping[str, float]
    nboxes: int
    convs: tuple[ConvLayer, ...]
    units: int
    epsilon: float = 1e-3
    offset_activation: Literal["sigmoid", "linear"] = "sigmoid"
    offset_scale: float = 1.0
    offset_shift: float = 0.0
    redshifts: RedshiftBins | None = None
    clip: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "clip", as_limits(self.clip))
        for kind in ("lines", "lines_bal"):
            object.__setattr__(self, kind, as_names(kind, getattr(self, kind)))
        if not self.lines:
            raise InputError("a network needs at least one emission line")
        for name in (*self.lines, *self.lines_bal):
            if not (name.isascii() and name.isprintable()):
                raise InputError(f"names of lines must be plain text, not {shown(name)}")
        object.__setattr__(self, "rest", dict(self.rest))
        rest_wavelengths((*self.lines, *self.lines_bal), self.rest)
        if not (math.isfinite(self.offset_scale) and math.isfinite(self.offset_shift)):
            raise InputError("offset scale and shift must be finite")
        if min(self.nboxes, self.units, len(self.convs)) < 1:
            raise InputError("a network needs at least one box, one unit and one convolution")
        check_epsilon(self.epsilon)
        self.layers.check()

    @property
    def nlines(self) -> int:
        """Number of outputs: emission and BAL lines."""
        return len(self.lines) + len(self.lines_bal)

    @property
    def layers(self) -> LayerList:
        """The layers: QuasarNET's, and perhaps a redshift head."""
        return quasarnet_layers(
            self.grid.npix,
            self.convs,
            DenseLayer(self.units, self.epsilon),
            self.nlines,
            self.nboxes,
            (self.offset_activation, self.offset_scale, self.offset_shift),
            0 if self.redshifts is None else self.redshifts.noutputs,
        )

    def to_dict(self) -> dict[str, Any]:
        """The architecture as plain values, for JSON; `from_dict` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Architecture:
        """Architecture from the plain values of `to_dict`; InputError for any other."""
        with reading("a network's architecture", values):
            redshifts = values.get("redshifts")
            return cls(
                grid=WavelengthGrid.from_dict(values["grid"]),
                lines=tuple(str(name) for name in values["lines"]),
                lines_bal=tuple(str(name) for name in values["lines_bal"]),
                rest={str(name): float(rest) for name, rest in values["rest"].items()},
                nboxes=int(values["nboxes"]),
                convs=tuple(ConvLayer(**layer) for layer in values["convs"]),
                units=int(values["units"]),
                epsilon=float(values["epsilon"]),
                offset_activation=values["offset_activation"],
                offset_scale=float(values["offset_scale"]),
                offset_shift=float(values["offset_shift"]),
                redshifts=None if redshifts is None else RedshiftBins.from_dict(redshifts),
                clip=values.get("clip"),
            )


def as_limits(clip: Any) -> tuple[float, float] | None:
    """Limits of the input as two numbers, below and above 0; None for none."""
    if clip is None:
        return None
    limits = as_numbers("clip", clip)
    low, high = map(float, limits) if limits.shape == (2,) else (0.0, 0.0)
    if not -math.inf < low < 0 < high < math.inf:
        raise InputError(f"clip must be a negative and a positive number, not {shown(clip)}")
    return low, high


def quasarnet_layers(
    npix: int,
    convs: Sequence[ConvLayer],
    common: DenseLayer,
    nlines: int,
    nboxes: int,
    offset: tuple[str, float, float],
    noutputs: int = 0,
) -> LayerList:
    """QuasarNET's layers; `offset` is activation, scale and shift, `noutputs` a redshift head's."""
    activation, scale, shift = offset
    box = DenseLayer(nboxes, activation="sigmoid")
    kinds = {"box": box, "offset": DenseLayer(nboxes, 1e-3, activation, scale, shift)}
    heads = [Layer(f"fc_{part}_{i}", kind) for i in range(nlines) for part, kind in kinds.items()]
    if noutputs:
        heads.append(Layer("fc_redshift", DenseLayer(noutputs, activation="softmax")))
    return LayerList((npix, 1), stack(convs), Layer("fc_common", common, "bn_common"), tuple(heads))


#: Keys of the weights files that differ from the attributes of `RefineArchitecture`.
FILE_KEYS = {"scores": "verify", "min_fraction": "min_share"}


@dataclasses.dataclass(frozen=True)
class RefineArchitecture(Stage):
    """Architecture of the second stage: a redshift from the rest frame of a first guess.

    The observed spectrum, on a fine log grid, is shifted by whole pixels, cut to a window of rest
    wavelengths, and pooled (`qnet.preprocess.rest_frame`). Convolutions, flatten, a dense layer,
    each with batch normalisation and ReLU, then a linear layer: the velocity of the object in the
    frame, the logarithm of its error and, as far as the stage has them, two logits.

    Parameters
    ----------
    window : Window
        Geometry of the input.
    convs : tuple of ConvLayer
        The convolutions, first to last.
    units : int
        Width of the dense layer.
    epsilon : float
        Added to the variance in the dense layer's batch normalisation.
    dv_scale : float
        Unit of the outputs [km/s].
    passes : int
        Number of times that the stage is applied, each time in the frame of the last redshift.
    max_dv : float
        A redshift further than this [km/s] from the first guess is rejected.
    min_fraction : float
        A redshift is rejected if a smaller fraction of the window's pixels has weight.
    scores : bool
        Whether there is a third output: the logit of the probability that the spectrum is that of
        a quasar within ``max_dv`` of the guess.
    bal : bool
        Whether there is a fourth: the logit of the probability that such a quasar has broad
        absorption. Only a stage that scores can have it.

    Raises
    ------
    InputError
        A value is out of range, or the network has no pixels left or more than 2e8 parameters.

    Notes
    -----
    The defaults are choices of this package; those of a network come with its weights.

    Examples
    --------
    >>> import qnet
    >>> from qnet.model import ConvLayer, RefineArchitecture
    >>> from qnet.preprocess import Window
    >>> grid = qnet.WavelengthGrid.log(3600.0, 10400.0, 2.5e-4)
    >>> convs = (ConvLayer(filters=8, width=9, stride=2, padding="valid"),) * 4
    >>> RefineArchitecture(Window(grid), convs, units=16).nparameters
    7522
    """

    window: Window
    convs: tuple[ConvLayer, ...]
    units: int
    epsilon: float = 1e-3
    dv_scale: float = 1000.0
    passes: int = 2
    max_dv: float = 6000.0
    min_fraction: float = 0.02
    scores: bool = False
    bal: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("units", "passes"):
            value = getattr(self, name)
            if value < 1:
                raise InputError(f"{name} must be a positive integer, not {shown(value)}")
        for name in ("scores", "bal"):
            if type(getattr(self, name)) is not bool:
                raise InputError(f"{name} must be true or false, not {shown(getattr(self, name))}")
        if self.bal and not self.scores:
            raise InputError("a second stage that looks for broad absorption must score candidates")
        for name in ("dv_scale", "max_dv"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be positive, not {shown(value)}")
        if not 0 <= self.min_fraction <= 1:
            raise InputError(f"min_fraction must be in 0 .. 1, not {shown(self.min_fraction)}")
        if not self.convs:
            raise InputError("the second stage needs at least one convolution")
        check_epsilon(self.epsilon)
        if self.passes > MAX_PASSES:
            raise InputError(f"passes must be at most {MAX_PASSES}, not {self.passes}")
        self.layers.check()

    @property
    def noutputs(self) -> int:
        """Number of outputs: velocity and error, and the logits that there are."""
        return 2 + self.scores + self.bal

    @property
    def layers(self) -> LayerList:
        """The layers, with one head for all outputs."""
        return LayerList(
            (self.window.npooled, 2),
            stack(self.convs, "refine_"),
            Layer("refine_fc", DenseLayer(self.units, self.epsilon), "refine_bn_fc"),
            (Layer("refine_out", DenseLayer(self.noutputs)),),
        )

    def to_dict(self) -> dict[str, Any]:
        """The architecture as plain values, for JSON; `from_dict` is the inverse."""
        plain = renamed(dataclasses.asdict(self), FILE_KEYS)
        window: dict[str, Any] = plain.pop("window")
        return window | plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RefineArchitecture:
        """Architecture from the plain values of `to_dict`; InputError for any other."""
        with reading("a second stage's architecture", values):
            plain = renamed(values, {key: name for name, key in FILE_KEYS.items()})
            # Files of format version 2 have neither.
            plain = {"scores": False, "bal": False} | plain
            geometry = [field.name for field in dataclasses.fields(Window)]
            own = {field.name for field in dataclasses.fields(cls)} - {"window"}
            check_keys(plain, own.union(geometry), "the second stage's architecture")
            plain["grid"] = WavelengthGrid.from_dict(plain["grid"])
            plain["convs"] = tuple(ConvLayer(**layer) for layer in plain["convs"])
            window = Window(**{name: plain.pop(name) for name in geometry})
            return cls(window=window, **plain)
