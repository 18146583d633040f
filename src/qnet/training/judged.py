"""The spectra of the validation, as Keras takes them. Imports Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from qnet.training.batches import Batch, Batches


class Judged(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches of the validation: the same ones, in the same order, whenever they are judged.

    Not a generator: Keras begins each validation with the first two batches that a generator ever
    gave, and goes on where the one before has ended.

    Parameters
    ----------
    batches : Batches
        Without a seed.
    convert : callable
        Makes of a batch what the network takes.
    """

    def __init__(self, batches: Batches, convert: Callable[[Batch], Any]) -> None:
        super().__init__()
        self._batches = batches
        self._convert = convert

    def __len__(self) -> int:
        return self._batches.steps

    def __getitem__(self, index: int) -> Any:
        return self._convert(self._batches.at(index))
