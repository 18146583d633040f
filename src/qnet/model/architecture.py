"""What a network is made of: plain data that comes with the weights, checked on the way in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from qnet.core.bins import RedshiftBins
from qnet.core.errors import InputError
from qnet.core.grid import WavelengthGrid
from qnet.lines import rest_wavelengths
from qnet.model.layers import (
    ConvLayer,
    check_epsilon,
    check_network,
    dense_shapes,
    flat_length,
    renamed,
    stack_shapes,
)
from qnet.preprocess.restframe import Window

#: A second stage is applied no more often than this.
MAX_PASSES = 20


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A QuasarNET network (Busca & Balland 2018, section 3), and what its outputs mean.

    Convolutions, flatten, a dense layer with batch normalisation and ReLU, then per line two dense
    layers of nboxes: confidences (sigmoid) and offsets.

    Attributes
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
        Of the dense layer's batch normalisation.
    offset_activation : {'sigmoid', 'linear'}
        Activation of the offsets.
    offset_scale, offset_shift : float
        The offset is shift + scale * activation: 1.2 and -0.1 in QuasarNET's later networks.
    redshifts : RedshiftBins, optional
        One dense layer more beside those of the lines: a softmax over the redshifts of a quasar
        and other classes. None, as in QuasarNET, without it.
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

    def __post_init__(self) -> None:
        if not self.lines:
            raise InputError("a network needs at least one emission line")
        for name in (*self.lines, *self.lines_bal):
            if not (name.isascii() and name.isprintable()):
                raise InputError(f"names of lines must be plain text, not {name!r}")
        object.__setattr__(self, "rest", dict(self.rest))
        rest_wavelengths((*self.lines, *self.lines_bal), self.rest)
        if not all(math.isfinite(value) and value > 0 for value in self.rest.values()):
            raise InputError(f"rest wavelengths must be positive [Angstrom], not {self.rest}")
        if self.offset_activation not in ("sigmoid", "linear"):
            raise InputError(
                f"offset activation must be 'sigmoid' or 'linear', not {self.offset_activation!r}"
            )
        if not (math.isfinite(self.offset_scale) and math.isfinite(self.offset_shift)):
            raise InputError("offset scale and shift must be finite")
        if min(self.nboxes, self.units, len(self.convs)) < 1:
            raise InputError("a network needs at least one box, one unit and one convolution")
        check_epsilon(self.epsilon)
        check_network(self, self.grid.npix)

    @property
    def nlines(self) -> int:
        """Number of outputs: emission and BAL lines."""
        return len(self.lines) + len(self.lines_bal)

    @property
    def flat_length(self) -> int:
        """Number of values that reach the dense layer."""
        return flat_length(self.convs, self.grid.npix)

    @property
    def nparameters(self) -> int:
        """Number of values in the weights, moving means and variances included."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array of the weights, by its name in the weights file."""
        shapes = stack_shapes(self.convs, 1, "conv", "bn")
        shapes |= dense_shapes("fc_common", "bn_common", self.flat_length, self.units)
        for line in range(self.nlines):
            for part in ("box", "offset"):
                shapes[f"fc_{part}_{line}.kernel"] = (self.units, self.nboxes)
                shapes[f"fc_{part}_{line}.bias"] = (self.nboxes,)
        if self.redshifts is not None:
            shapes["fc_redshift.kernel"] = (self.units, self.redshifts.noutputs)
            shapes["fc_redshift.bias"] = (self.redshifts.noutputs,)
        return shapes

    def to_dict(self) -> dict[str, Any]:
        """The architecture as plain values, for JSON; `from_dict` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Architecture:
        """Architecture from the plain values of `to_dict`.

        Raises
        ------
        InputError
            A key is missing, unknown or of the wrong kind, or the network is not legal.
        """
        try:
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
            )
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"not a network's architecture: {error!r}") from error


#: Keys of the weights files that are called differently from the attributes.
FILE_KEYS = {"scores": "verify", "min_fraction": "min_share"}


@dataclasses.dataclass(frozen=True)
class RefineArchitecture:
    """The second stage: a precise redshift from the spectrum in the rest frame of a first guess.

    The observed spectrum, on a fine log grid, is shifted by whole pixels, cut to a window of rest
    wavelengths, and pooled (`qnet.preprocess.rest_frame`). Convolutions, flatten, a dense
    layer with batch normalisation and ReLU, then a linear layer: the velocity of the guess, the
    logarithm of its error and, where it verifies, the logit of being a quasar near the guess and,
    where it looks for it, that of broad absorption.

    Attributes
    ----------
    window : Window
        Geometry of the input.
    convs : tuple of ConvLayer
        The convolutions, first to last.
    units : int
        Width of the dense layer.
    epsilon : float
        Of the dense layer's batch normalisation.
    dv_scale : float
        Unit of the outputs [km/s].
    passes : int
        How often the stage is applied: each time in the frame of the last redshift.
    max_dv : float
        A redshift that ends further than this [km/s] from the first guess is given up.
    min_fraction : float
        A redshift whose window has weight in a smaller share of its pixels is given up.
    scores : bool
        Whether there is a third output: the logit of the probability that the spectrum is that of
        a quasar within ``max_dv`` of the guess.
    bal : bool
        Whether there is a fourth: the logit of the probability that such a quasar has broad
        absorption. Only a stage that verifies can have it.

    Notes
    -----
    The defaults are choices of this package; those of a network come with its weights.
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
        for name in ("units", "passes"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise InputError(f"{name} must be a positive integer, not {value!r}")
        for name in ("scores", "bal"):
            if type(getattr(self, name)) is not bool:
                raise InputError(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.bal and not self.scores:
            raise InputError("a second stage that looks for broad absorption must score candidates")
        for name in ("dv_scale", "max_dv"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be positive, not {value!r}")
        if not 0 <= self.min_fraction <= 1:
            raise InputError(f"min_fraction must be in 0 .. 1, not {self.min_fraction!r}")
        if not self.convs:
            raise InputError("the second stage needs at least one convolution")
        check_epsilon(self.epsilon)
        if self.passes > MAX_PASSES:
            raise InputError(f"passes must be at most {MAX_PASSES}, not {self.passes}")
        check_network(self, self.window.npooled)

    @property
    def noutputs(self) -> int:
        """Number of outputs: velocity and error, and the logits that there are."""
        return 2 + self.scores + self.bal

    @property
    def flat_length(self) -> int:
        """Number of values that reach the dense layer."""
        return flat_length(self.convs, self.window.npooled)

    @property
    def nparameters(self) -> int:
        """Number of values in the weights, moving means and variances included."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array of the weights, by its name in the weights file."""
        shapes = stack_shapes(self.convs, 2, "refine_conv", "refine_bn")
        shapes |= dense_shapes("refine_fc", "refine_bn_fc", self.flat_length, self.units)
        shapes["refine_out.kernel"] = (self.units, self.noutputs)
        shapes["refine_out.bias"] = (self.noutputs,)
        return shapes

    def to_dict(self) -> dict[str, Any]:
        """The architecture as plain values, for JSON; `from_dict` is the inverse."""
        plain = renamed(dataclasses.asdict(self), FILE_KEYS)
        window: dict[str, Any] = plain.pop("window")
        return window | plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RefineArchitecture:
        """Architecture from the plain values of `to_dict`.

        Raises
        ------
        InputError
            A key is missing, unknown or of the wrong kind, or the network is not legal.
        """
        try:
            plain = renamed(values, {key: name for name, key in FILE_KEYS.items()})
            # Older files do not say that their stage verifies nothing, or looks for no absorption.
            plain = {"scores": False, "bal": False} | plain
            geometry = [field.name for field in dataclasses.fields(Window)]
            own = {field.name for field in dataclasses.fields(cls)} - {"window"}
            if missing := own.union(geometry) - set(plain):
                raise InputError(f"the second stage's architecture lacks {sorted(missing)}")
            plain["grid"] = WavelengthGrid.from_dict(plain["grid"])
            plain["convs"] = tuple(ConvLayer(**layer) for layer in plain["convs"])
            window = Window(**{name: plain.pop(name) for name in geometry})
            return cls(window=window, **plain)
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"not a second stage's architecture: {error!r}") from error
