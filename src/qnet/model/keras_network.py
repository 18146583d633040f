"""The network and its loss in Keras 3, for training. Importing this module imports Keras.

Written with ``keras.ops``, so that it runs on the TensorFlow, JAX and torch backends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from qnet.core.bins import RedshiftBins
from qnet.core.errors import InputError
from qnet.core.grid import WavelengthGrid
from qnet.model.architecture import Architecture
from qnet.model.keras_config import REDSHIFT_LAYER, RESCALE_SCALE, RESCALE_SHIFT, KerasNetwork
from qnet.model.layers import BATCH_NORM, by_layer
from qnet.objective import NBOXES

#: Added to counts and clipped from logarithms in the loss (QuasarNET's code; Keras's epsilon).
EPSILON = 1e-7

#: Weight of the offsets in `cross_entropy_loss`, and the miss [boxes] from which it is linear:
#: chosen on simulated spectra.
OFFSET_WEIGHT, OFFSET_SCALE = 4.0, 0.02

#: Precision of the last layers and the losses, also where the rest is computed in a lower one.
_PRECISE = "float32"

#: Offset activations by QuasarNET's names: Keras activation, and whether it is rescaled.
_OFFSETS: Mapping[str, tuple[str, bool]] = {
    "rescaled_sigmoid": ("sigmoid", True),
    "sigmoid": ("sigmoid", False),
    "linear": ("linear", False),
}


def QuasarNET(
    input_shape: tuple[int, int],
    boxes: int = NBOXES,
    nlines: int = 1,
    reg_conv: float = 0.0,
    reg_fc: float = 0.0,
    offset_activation_function: str = "rescaled_sigmoid",
    nlayers: int = 4,
    *,
    filters: int | Sequence[int] = 100,
    width: int | Sequence[int] = 10,
    strides: int = 2,
    padding: str = "valid",
    units: int = 100,
    dropout: float = 0.0,
    redshift_outputs: int = 0,
) -> keras.Model:
    """The network of Busca & Balland (2018, section 3), untrained.

    Parameters
    ----------
    input_shape : (int, int)
        (npix, 1).
    boxes : int
        Boxes per line.
    nlines : int
        Number of outputs: emission lines, then BAL lines.
    reg_conv, reg_fc : float
        L2 regularisation of the kernels of the convolutions and of the dense layers.
    offset_activation_function : {'rescaled_sigmoid', 'sigmoid', 'linear'}
        Activation of the offsets; the rescaled sigmoid is -0.1 + 1.2 sigmoid.
    nlayers : int
        Number of convolutions.
    filters, width : int or sequence of int
        Number of filters and width of each convolution; of all of them, where it is one number.
    strides : int
        Step of each convolution.
    padding : {'valid', 'same'}
        Padding of the convolutions.
    units : int
        Width of the common dense layer.
    dropout : float
        Share of the activations dropped after each convolution, in training.
    redshift_outputs : int
        Classes of a softmax beside the lines, over redshift bins and other objects
        (`qnet.core.bins.RedshiftBins.noutputs`), as a last output; 0, as in QuasarNET, for none.

    Returns
    -------
    keras.Model
        A functional model with an output (nspec, 2 * boxes) per line, and one (nspec,
        redshift_outputs) if there is such a head. It holds no Lambda layer, so that it is reloaded
        from a .keras file in safe mode; where it was compiled with `custom_loss`, this must be
        imported first, as Keras asks of any loss of one's own.

    Raises
    ------
    InputError
        The activation is unknown, the input too short for the convolutions, or the numbers of
        filters or the widths are not one for each.
    """
    if offset_activation_function not in _OFFSETS:
        raise InputError(
            f"offset_activation_function must be one of {', '.join(_OFFSETS)}, not "
            f"{offset_activation_function!r}"
        )
    activation, rescaled = _OFFSETS[offset_activation_function]
    sizes, widths = by_layer("filters", filters, nlayers), by_layer("width", width, nlayers)
    inputs = keras.Input(shape=input_shape)
    x = inputs
    for index, (size, span) in enumerate(zip(sizes, widths, strict=True), start=1):
        if padding == "valid" and x.shape[1] < span:
            raise InputError(
                f"{input_shape[0]} pixels are too few for {nlayers} convolutions of width {width}, "
                f"stride {strides} and padding 'valid': the input of number {index} is "
                f"{x.shape[1]} long"
            )
        x = layers.Conv1D(
            size,
            span,
            strides=strides,
            padding=padding,
            kernel_initializer="glorot_uniform",
            kernel_regularizer=keras.regularizers.L2(reg_conv),
            name=f"conv_{index}",
        )(x)
        x = layers.BatchNormalization(name=f"batch_normalization_{index}")(x)
        x = layers.Activation("relu", name=f"activation_{index}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout_{index}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = _dense(units, "linear", "fc_common", reg_fc)(x)
    x = layers.BatchNormalization(name=f"batch_normalization_{nlayers + 1}")(x)
    x = layers.Activation("relu", name="fc_activation")(x)
    outputs = []
    for line in range(nlines):
        box = _dense(boxes, "sigmoid", f"fc_box_{line}", reg_fc)(x)
        offset = _dense(boxes, activation, f"fc_offset_{line}", reg_fc)(x)
        if rescaled:
            offset = layers.Rescaling(
                RESCALE_SCALE, RESCALE_SHIFT, name=f"rescale_{line}", dtype=_PRECISE
            )(offset)
        outputs.append(layers.Concatenate(name=f"conc_box_{line}", dtype=_PRECISE)([box, offset]))
    if redshift_outputs:
        outputs.append(_dense(redshift_outputs, "softmax", REDSHIFT_LAYER, reg_fc)(x))
    return keras.Model(inputs, outputs, name="QuasarNET")


def _dense(size: int, activation: str, name: str, l2: float) -> Any:
    """A dense layer; what ends in a loss is computed in single precision, whatever the policy."""
    return layers.Dense(
        size,
        activation=activation,
        kernel_regularizer=keras.regularizers.L2(l2),
        name=name,
        dtype=None if activation == "linear" and name == "fc_common" else _PRECISE,
    )


@keras.saving.register_keras_serializable(package="qnet")  # type: ignore[untyped-decorator]
def custom_loss(y_true: Any, y_pred: Any) -> Any:
    """QuasarNET's loss of one line (Busca & Balland 2018, section 4; QuasarNET's code).

    Cross-entropy of the boxes that hold the line and of those that do not, each divided by its
    count, plus the squared error of the offset in the box of the line.

    Parameters
    ----------
    y_true, y_pred : tensor, shape (nspec, 2 * nboxes)
        Boxes, then offsets, as `qnet.objective.objective` and the network give them.

    Returns
    -------
    tensor, shape (nspec,)
        Of each spectrum; Keras weights and averages them.
    """
    nboxes = y_pred.shape[-1] // 2
    y_true = ops.cast(y_true, y_pred.dtype)
    box, offset = y_true[:, :nboxes], y_true[:, nboxes:]
    found, place = y_pred[:, :nboxes], y_pred[:, nboxes:]
    inside = ops.sum(box, axis=-1) + EPSILON
    outside = ops.sum(1 - box, axis=-1) + EPSILON
    log_yes = ops.log(ops.clip(found, EPSILON, 1 - EPSILON))
    log_no = ops.log(ops.clip(1 - found, EPSILON, 1 - EPSILON))
    loss = -ops.sum(box * log_yes, axis=-1) / inside
    loss = loss - ops.sum((1 - box) * log_no, axis=-1) / outside
    return loss + ops.sum(box * ops.square(offset - place), axis=-1) / inside


@keras.saving.register_keras_serializable(package="qnet")  # type: ignore[untyped-decorator]
def cross_entropy_loss(y_true: Any, y_pred: Any) -> Any:
    """A loss of one line whose confidences are probabilities.

    Binary cross-entropy summed over the boxes, so that a confidence tends to the share of spectra
    that have the line in that box (`custom_loss` divides each half by its count, which puts 0.5
    elsewhere), plus ``OFFSET_WEIGHT`` times the smooth-L1 error of the offset in the box of the
    line (Girshick 2015, arXiv:1504.08083, eq. 3): quadratic below ``OFFSET_SCALE`` boxes, linear
    above.

    Parameters
    ----------
    y_true, y_pred : tensor, shape (nspec, 2 * nboxes)
        As for `custom_loss`.

    Returns
    -------
    tensor, shape (nspec,)
        Of each spectrum; Keras weights and averages them.
    """
    nboxes = y_pred.shape[-1] // 2
    y_true = ops.cast(y_true, y_pred.dtype)
    box, offset = y_true[:, :nboxes], y_true[:, nboxes:]
    found, place = y_pred[:, :nboxes], y_pred[:, nboxes:]
    log_yes = ops.log(ops.clip(found, EPSILON, 1 - EPSILON))
    log_no = ops.log(ops.clip(1 - found, EPSILON, 1 - EPSILON))
    miss = ops.abs(offset - place)
    smooth = ops.where(
        miss < OFFSET_SCALE, ops.square(miss) / (2 * OFFSET_SCALE), miss - OFFSET_SCALE / 2
    )
    loss = -box * log_yes - (1 - box) * log_no + OFFSET_WEIGHT * box * smooth
    return ops.sum(loss, axis=-1)


#: The losses, by the names of `qnet.training.Settings`.
LOSSES = {"quasarnet": custom_loss, "cross-entropy": cross_entropy_loss}

#: The loss of the redshift head: cross-entropy of the class that is stated by its number.
REDSHIFT_LOSS = "sparse_categorical_crossentropy"


def build(architecture: Architecture, arrays: Mapping[str, npt.NDArray[Any]]) -> keras.Model:
    """A Keras model with an architecture and its weights; `take` is the inverse.

    Parameters
    ----------
    architecture : Architecture
    arrays : mapping of str to ndarray
        The arrays of `Architecture.shapes`.

    Returns
    -------
    keras.Model

    Raises
    ------
    InputError
        The convolutions differ in stride or padding, or the offsets are rescaled in another way.
    """
    first = architecture.convs[0]
    if any(
        (conv.stride, conv.padding) != (first.stride, first.padding) for conv in architecture.convs
    ):
        raise InputError(
            "a network whose convolutions differ in stride or padding cannot be built in Keras by "
            "qnet"
        )
    rescale = (architecture.offset_scale, architecture.offset_shift)
    kinds = {
        ("sigmoid", (RESCALE_SCALE, RESCALE_SHIFT)): "rescaled_sigmoid",
        ("sigmoid", (1.0, 0.0)): "sigmoid",
        ("linear", (1.0, 0.0)): "linear",
    }
    kind = kinds.get((architecture.offset_activation, rescale))
    if kind is None:
        raise InputError(
            f"offsets of {rescale[1]:g} + {rescale[0]:g} {architecture.offset_activation} cannot "
            "be built in Keras by qnet"
        )
    model = QuasarNET(
        (architecture.grid.npix, 1),
        architecture.nboxes,
        architecture.nlines,
        offset_activation_function=kind,
        nlayers=len(architecture.convs),
        filters=[conv.filters for conv in architecture.convs],
        width=[conv.width for conv in architecture.convs],
        strides=first.stride,
        padding=first.padding,
        units=architecture.units,
        redshift_outputs=0 if architecture.redshifts is None else architecture.redshifts.noutputs,
    )
    network = KerasNetwork(json.loads(model.to_json()))
    epsilons = [*(conv.epsilon for conv in architecture.convs), architecture.epsilon]
    for name, epsilon in zip((*network.conv_norms, network.common_norm), epsilons, strict=True):
        model.get_layer(name).epsilon = epsilon
    for ours, theirs in network.array_layers():
        model.get_layer(theirs).set_weights([arrays[f"{ours}.{part}"] for part in _parts(ours)])
    return model


def take(
    model: keras.Model,
    *,
    lines: Sequence[str] | None = None,
    lines_bal: Sequence[str] | None = None,
    grid: WavelengthGrid | None = None,
    rest: Mapping[str, float] | None = None,
    redshifts: RedshiftBins | None = None,
) -> tuple[Architecture, dict[str, npt.NDArray[Any]]]:
    """Architecture and weights of a Keras model; `build` is the inverse.

    Parameters
    ----------
    model : keras.Model
        As `QuasarNET` makes it.
    lines, lines_bal : sequence of str, optional
        Names of the outputs. QuasarNET's when None.
    grid : WavelengthGrid, optional
        Grid of the input. QuasarNET's of the input's length when None.
    rest : mapping of str to float, optional
        Rest wavelengths [Angstrom]. QuasarNET's when None.
    redshifts : RedshiftBins, optional
        What the outputs of a redshift head mean; needed where there is one.

    Returns
    -------
    architecture : Architecture
    arrays : dict of str to ndarray

    Raises
    ------
    InputError
        The model is no QuasarNET network, or lines or grid do not fit it.
    """
    try:
        network = KerasNetwork(json.loads(model.to_json()))
        architecture = network.architecture(lines, lines_bal, grid, rest, redshifts)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"the Keras model is no QuasarNET network ({error!r})") from error
    arrays = {}
    for ours, theirs in network.array_layers():
        for part, values in zip(_parts(ours), model.get_layer(theirs).get_weights(), strict=True):
            arrays[f"{ours}.{part}"] = np.asarray(values)
    return architecture, arrays


def _parts(layer: str) -> tuple[str, ...]:
    """Arrays of a layer, in Keras's order."""
    return BATCH_NORM if layer.startswith("bn_") else ("kernel", "bias")
