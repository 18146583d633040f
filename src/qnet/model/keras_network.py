"""Both networks and their losses in Keras 3, for training. Importing this module imports Keras.

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

from qnet.core.arguments import check_arguments
from qnet.core.bins import RedshiftBins
from qnet.core.errors import InputError
from qnet.core.grid import WavelengthGrid
from qnet.model.architecture import Architecture, Stage, quasarnet_layers
from qnet.model.keras_config import RESCALE_SCALE, RESCALE_SHIFT, KerasNetwork
from qnet.model.layers import (
    PRECISE,
    ConvLayer,
    DenseLayer,
    LayerList,
    Shape,
    Weights,
    by_layer,
)
from qnet.objective import NBOXES

#: Added to counts and clipped from logarithms in the loss (QuasarNET's code; Keras's epsilon).
EPSILON = 1e-7

#: Weight of the offsets in `cross_entropy_loss`, and the miss [boxes] from which it is linear:
#: chosen on simulated spectra.
OFFSET_WEIGHT, OFFSET_SCALE = 4.0, 0.02

#: Weights of the score and of broad absorption against the redshift in `refine_loss`: chosen on
#: simulated spectra.
SCORE_WEIGHT, BAL_WEIGHT = 2.0, 1.0

#: Offsets by QuasarNET's names: activation, scale and shift.
_OFFSETS: Mapping[str, tuple[str, float, float]] = {
    "rescaled_sigmoid": ("sigmoid", RESCALE_SCALE, RESCALE_SHIFT),
    "sigmoid": ("sigmoid", 1.0, 0.0),
    "linear": ("linear", 1.0, 0.0),
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
    """The network of Busca & Balland (2018, arXiv:1808.09955, section 3) in Keras, untrained.

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
        Fraction of the activations dropped after each convolution, in training.
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

    Examples
    --------
    >>> import qnet
    >>> network = qnet.model.QuasarNET((443, 1), nlines=7)
    >>> network.count_params()
    521882
    >>> len(network.outputs), network.output_shape[0]
    (7, (None, 26))
    """
    check_arguments(QuasarNET, locals())
    if offset_activation_function not in _OFFSETS:
        raise InputError(
            f"offset_activation_function must be one of {', '.join(_OFFSETS)}, not "
            f"{offset_activation_function!r}"
        )
    sizes, widths = by_layer("filters", filters, nlayers), by_layer("width", width, nlayers)
    convs = [
        ConvLayer(size, span, strides, padding)  # type: ignore[arg-type]
        for size, span in zip(sizes, widths, strict=True)
    ]
    offset = _OFFSETS[offset_activation_function]
    network = quasarnet_layers(
        input_shape[0], convs, DenseLayer(units), nlines, boxes, offset, redshift_outputs
    )
    network.check()
    return _quasarnet(network, dropout, reg_conv, reg_fc)


def _quasarnet(
    network: LayerList, dropout: float = 0.0, reg_conv: float = 0.0, reg_fc: float = 0.0
) -> keras.Model:
    """QuasarNET's layers in Keras, boxes and offsets of each line side by side."""
    rates = {layer.name: dropout for layer in network.convs}
    regularizers = keras.regularizers.L2(reg_conv), keras.regularizers.L2(reg_fc)
    inputs, heads = _build(network, rates, _names(network), regularizers)
    pairs, redshift = heads[: len(heads) // 2 * 2], heads[len(heads) // 2 * 2 :]
    outputs = [
        layers.Concatenate(name=f"conc_box_{line}", dtype=PRECISE)(pairs[2 * line : 2 * line + 2])
        for line in range(len(pairs) // 2)
    ]
    return keras.Model(inputs, outputs + redshift, name="QuasarNET")


def build_stage(arch: Stage, arrays: Weights | None = None, *, dropout: float = 0.0) -> keras.Model:
    """A network with one head in Keras, the second stage for one; untrained without its arrays.

    `dropout` is the fraction of the activations dropped before the dense layer, in training.
    """
    inputs, (output,) = _build(arch.layers, {arch.layers.common.name: dropout})
    model = keras.Model(inputs, output, name=type(arch).__name__)
    if arrays is not None:
        _give_arrays(model, arch.shapes(), arrays)
    return model


def _build(
    network: LayerList,
    dropout: Mapping[str, float],
    names: Mapping[str, str] | None = None,
    regularizers: tuple[Any, Any] = (None, None),
) -> tuple[Any, list[Any]]:
    """Input and heads of a network; dropout by layer, regularizers of convolutions and others."""
    x = inputs = keras.Input(shape=network.inputs)
    for layer in network.trunk:
        rate = dropout.get(layer.name, 0.0)
        regularizer = regularizers[isinstance(layer.kind, DenseLayer)]
        x = layer.build(layers, x, names=names, dropout=rate, regularizer=regularizer)
    return inputs, [
        layer.build(layers, x, names=names, regularizer=regularizers[1]) for layer in network.heads
    ]


def _names(network: LayerList) -> dict[str, str]:
    """QuasarNET's names of the layers in Keras that differ from those in `Layer.build`."""
    names = {}
    for number, layer in enumerate(network.trunk, start=1):
        names[layer.norm] = f"batch_normalization_{number}"
        names[f"{layer.name}_relu"] = f"activation_{number}"
        names[f"{layer.name}_dropout"] = f"dropout_{number}"
    lines = range(len(network.heads) // 2)
    names |= {f"fc_offset_{line}_rescale": f"rescale_{line}" for line in lines}
    return names | {"fc_common_relu": "fc_activation"}


def build(architecture: Architecture, arrays: Weights) -> keras.Model:
    """A Keras model with an architecture and its weights; `take` is the inverse."""
    network = architecture.layers
    model = _quasarnet(network)
    _give_arrays(model, network.shapes(), arrays, _names(network))
    return model


def _give_arrays(
    model: keras.Model,
    shapes: Mapping[str, Shape],
    arrays: Weights,
    names: Mapping[str, str] | None = None,
) -> None:
    """Set the arrays of a Keras model, the inverse of `take_arrays`; `names` as in `_names`."""
    parts: dict[str, list[npt.NDArray[Any]]] = {}
    for name in shapes:
        parts.setdefault(name.split(".")[0], []).append(arrays[name])
    for ours, values in parts.items():
        model.get_layer((names or {}).get(ours, ours)).set_weights(values)


def take(
    model: keras.Model,
    *,
    lines: Sequence[str] | None = None,
    lines_bal: Sequence[str] | None = None,
    grid: WavelengthGrid | None = None,
    rest: Mapping[str, float] | None = None,
    redshifts: RedshiftBins | None = None,
) -> tuple[Architecture, dict[str, npt.NDArray[Any]]]:
    """Architecture and weights of a Keras model (`qnet.Model.from_keras`)."""
    try:
        network = KerasNetwork(json.loads(model.to_json()))
        architecture = network.architecture(lines, lines_bal, grid, rest, redshifts)
        return architecture, take_arrays(model, architecture.shapes(), network.names)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"the Keras model is no QuasarNET network ({error!r})") from error


def take_arrays(
    model: keras.Model, shapes: Mapping[str, Shape], names: Mapping[str, str] | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a Keras model by their names in a weights file; `names` as `KerasNetwork.names`."""
    arrays = {}
    for name, shape in shapes.items():
        layer, part = name.split(".")
        variables = model.get_layer((names or {}).get(layer, layer)).variables
        values = {variable.name: np.asarray(variable) for variable in variables}
        arrays[name] = values[part].reshape(shape)
    return arrays


@keras.saving.register_keras_serializable(package="qnet")  # type: ignore[untyped-decorator]
def custom_loss(y_true: Any, y_pred: Any) -> Any:
    """QuasarNET's loss of one line (Busca & Balland 2018, arXiv:1808.09955, section 4; its code).

    Cross-entropy of the boxes that hold the line and of those that do not, each divided by its
    count, plus the squared error of the offset in the box of the line.

    Parameters
    ----------
    y_true, y_pred : tensor, shape (nspec, 2 * nboxes)
        Boxes, then offsets, as `qnet.objective.objective` and the network give them.

    Returns
    -------
    tensor, shape (nspec,)
        Loss of each spectrum; Keras weights and averages them.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> truth = np.array([[0.0, 1.0, 0.0, 0.4]], "f4")  # two boxes, then their offsets
    >>> pred = np.array([[0.1, 0.9, 0.0, 0.5]], "f4")
    >>> loss = qnet.model.custom_loss(truth, pred)
    >>> float(np.asarray(loss)[0]).__round__(4)
    0.2207
    """
    box, offset, place, log_yes, log_no = _parts(y_true, y_pred)
    inside = ops.sum(box, axis=-1) + EPSILON
    outside = ops.sum(1 - box, axis=-1) + EPSILON
    loss = -ops.sum(box * log_yes, axis=-1) / inside
    loss = loss - ops.sum((1 - box) * log_no, axis=-1) / outside
    return loss + ops.sum(box * ops.square(offset - place), axis=-1) / inside


@keras.saving.register_keras_serializable(package="qnet")  # type: ignore[untyped-decorator]
def cross_entropy_loss(y_true: Any, y_pred: Any) -> Any:
    """A loss of one line whose confidences are probabilities; shapes as of `custom_loss`.

    Binary cross-entropy summed over the boxes, so that a confidence tends to the fraction of
    spectra that have the line in that box (`custom_loss` divides each half by its count, which puts
    0.5 elsewhere), plus ``OFFSET_WEIGHT`` times the smooth-L1 error of the offset in the box of the
    line (Girshick 2015, arXiv:1504.08083, eq. 3): quadratic below ``OFFSET_SCALE`` boxes, linear
    above.
    """
    box, offset, place, log_yes, log_no = _parts(y_true, y_pred)
    miss = ops.abs(offset - place)
    smooth = ops.where(
        miss < OFFSET_SCALE, ops.square(miss) / (2 * OFFSET_SCALE), miss - OFFSET_SCALE / 2
    )
    loss = -box * log_yes - (1 - box) * log_no + OFFSET_WEIGHT * box * smooth
    return ops.sum(loss, axis=-1)


def _parts(y_true: Any, y_pred: Any) -> tuple[Any, Any, Any, Any, Any]:
    """True boxes and offsets, predicted offsets, logarithms of the confidences and of 1 - these."""
    nboxes = y_pred.shape[-1] // 2
    y_true = ops.cast(y_true, y_pred.dtype)
    box, offset = y_true[:, :nboxes], y_true[:, nboxes:]
    found, place = y_pred[:, :nboxes], y_pred[:, nboxes:]
    log_yes = ops.log(ops.clip(found, EPSILON, 1 - EPSILON))
    log_no = ops.log(ops.clip(1 - found, EPSILON, 1 - EPSILON))
    return box, offset, place, log_yes, log_no


@keras.saving.register_keras_serializable(package="qnet")  # type: ignore[untyped-decorator]
def refine_loss(y_true: Any, y_pred: Any) -> Any:
    """Loss of the second stage, shape (nspec,): of its redshift, and of the logits that it has.

    The redshift's is the negative logarithm of a Laplace density of the velocity, but for a
    constant: |y - mu| / b + log b, of the predicted mu and log b, in frames that are right. The
    error that is learned is a typical one, which outliers do not drive. The score's is the
    cross-entropy of whether the frame is right, times ``SCORE_WEIGHT``; that of broad absorption
    the same, of frames that are right and quasars of which it is known.

    `y_true` (nspec, 2 or 4): velocity; 1 where the frame is that of a quasar, else 0; 1 where there
    is broad absorption; 1 where that is known and the frame right. `y_pred` (nspec, 2 to 4):
    velocity, logarithm of its error, score, logit of broad absorption.
    """
    right = y_true[:, 1]
    log_b = ops.clip(y_pred[:, 1], -6.0, 6.0)
    loss = right * (ops.abs(y_true[:, 0] - y_pred[:, 0]) * ops.exp(-log_b) + log_b)
    if y_pred.shape[-1] == 2:
        return loss
    logit = y_pred[:, 2]
    # -log sigmoid(x) = softplus(-x), -log(1 - sigmoid(x)) = softplus(x).
    loss = loss + SCORE_WEIGHT * (ops.softplus(logit) - right * logit)
    if y_pred.shape[-1] == 3:
        return loss
    absorbed, known, logit = y_true[:, 2], y_true[:, 3], y_pred[:, 3]
    return loss + BAL_WEIGHT * known * (ops.softplus(logit) - absorbed * logit)


#: The losses, by the names of `qnet.training.Settings`.
LOSSES = {"quasarnet": custom_loss, "cross-entropy": cross_entropy_loss}

#: The loss of the redshift head: cross-entropy of the class that is given by its number.
REDSHIFT_LOSS = "sparse_categorical_crossentropy"
