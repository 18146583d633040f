"""The precision that a network is built with. Imports Keras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from qnet.training.settings import Precision


@contextmanager
def precision(policy: Precision) -> Iterator[None]:
    """Layers that are made inside have this policy; Keras's own is put back afterwards.

    Parameters
    ----------
    policy : {'float32', 'mixed_bfloat16', 'mixed_float16'}
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
