"""The second stage and its loss in Keras, for training. Keras is imported when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qnet.model.architecture import RefineArchitecture

if TYPE_CHECKING:
    import keras

#: Weight of the verdict against the redshift in the loss: chosen on simulated spectra.
SCORE_WEIGHT = 2.0

#: Weight of broad absorption in the loss.
BAL_WEIGHT = 1.0


def build_refiner(arch: RefineArchitecture, *, dropout: float = 0.0) -> keras.Model:
    """The second stage in Keras, untrained.

    Parameters
    ----------
    arch : RefineArchitecture
    dropout : float
        Share of the activations dropped before the dense layer, in training.

    Returns
    -------
    keras.Model
        (nspec, npooled, 2) to (nspec, arch.noutputs): velocity and the logarithm of its error, in
        units of ``arch.dv_scale``, and the logits of the verdict and of broad absorption.
        `take_refiner` gives its arrays.
    """
    import keras
    from keras import layers

    inputs = keras.Input(shape=(arch.window.npooled, 2))
    x = inputs
    for number, conv in enumerate(arch.convs, start=1):
        x = layers.Conv1D(
            conv.filters,
            conv.width,
            strides=conv.stride,
            padding=conv.padding,
            name=f"refine_conv_{number}",
        )(x)
        x = layers.BatchNormalization(epsilon=conv.epsilon, name=f"refine_bn_{number}")(x)
        x = layers.Activation("relu")(x)
    x = layers.Flatten()(x)
    if dropout:
        x = layers.Dropout(dropout)(x)
    x = layers.Dense(arch.units, name="refine_fc")(x)
    x = layers.BatchNormalization(epsilon=arch.epsilon, name="refine_bn_fc")(x)
    x = layers.Activation("relu")(x)
    outputs = layers.Dense(arch.noutputs, name="refine_out", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="Refiner")


def take_refiner(model: keras.Model, arch: RefineArchitecture) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a second stage that was trained in Keras, by their names in a weights file."""
    arrays = {}
    for name, shape in arch.shapes().items():
        layer, part = name.split(".")
        source = model.get_layer(layer)
        values = {variable.name: np.asarray(variable) for variable in source.variables}
        arrays[name] = values[part].reshape(shape)
    return arrays


def refine_loss(y_true: Any, y_pred: Any) -> Any:
    """Loss of the second stage: of its redshift, and of its verdict where there is one.

    The redshift's is the negative logarithm of a Laplace density of the velocity, but for a
    constant: |y - mu| / b + log b, of the predicted mu and log b, in frames that are right. The
    error that is learned is a typical one, which outliers do not drive. The verdict's is the
    cross-entropy of whether the frame is right, times ``SCORE_WEIGHT``; that of broad absorption
    the same, of frames that are right and quasars of which it is known.

    Parameters
    ----------
    y_true : tensor, shape (nspec, 2) or (nspec, 4)
        Velocity; 1 where the frame is that of a quasar, else 0; 1 where there is broad absorption,
        else 0; 1 where that is known and the frame right, else 0.
    y_pred : tensor, shape (nspec, 2), (nspec, 3) or (nspec, 4)
        Velocity, logarithm of its error, logit of the verdict, logit of broad absorption.

    Returns
    -------
    tensor, shape (nspec,)
    """
    from keras import ops

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
