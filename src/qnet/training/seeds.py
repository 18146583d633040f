"""Runs that can be repeated. Imports Keras."""

from __future__ import annotations

import keras


def set_seed(seed: int) -> None:
    """Set Keras's seeds, and have the backend add in one order, so that a run can be repeated.

    TensorFlow's threads add in any order unless it is told otherwise; that holds for the process.

    Parameters
    ----------
    seed : int
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
