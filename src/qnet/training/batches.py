"""Batches of spectra, targets and weights, in an order that the seed alone decides."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from qnet.core.arrays import Float32Array
from qnet.model.architecture import Architecture
from qnet.objective import objective, redshift_target
from qnet.training.data import RUN_LENGTH, Loaded, Rows, TrainingData
from qnet.training.settings import Augmentation

Item = TypeVar("Item")

#: Input, and the targets and weights of each output of the network.
Batch = tuple[Float32Array, tuple[Any, ...], tuple[Any, ...]]

#: Makes a batch of the truth, its rows, their spectra, a generator, and whether it is for training
#: (with augmentation) or validation.
Maker = Callable[[TrainingData, Rows, Loaded, np.random.Generator, bool], Batch]

#: Batches that are made ahead: one that the network takes next, and one in the making.
AHEAD = 2


@dataclasses.dataclass(frozen=True)
class LineMaker:
    """Makes batches for the first stage: normalised spectra, boxes and offsets, redshift bins."""

    architecture: Architecture
    augmentation: Augmentation

    def __call__(
        self,
        data: TrainingData,
        rows: Rows,
        spectra: Loaded,
        rng: np.random.Generator,
        training: bool,
    ) -> Batch:
        """A batch; X has shape (nspec, npix, 1)."""
        X = spectra.normalised(self.augmentation, rng if training else None)
        if self.architecture.clip is not None:
            X = np.clip(X, *self.architecture.clip)
        target, weight = objective(
            data.z[rows],
            data.Y[rows],
            data.bal[rows],
            self.architecture.lines,
            self.architecture.lines_bal,
            self.architecture.nboxes,
            wave=self.architecture.grid,
            rest=self.architecture.rest,
        )
        targets: list[Any] = [values.astype(np.float32) for values in target]
        bins = self.architecture.redshifts
        if bins is not None:
            classes, known = redshift_target(data.z[rows], data.Y[rows], bins)
            targets.append(classes)
            weight = [*weight, known]
        weights = tuple(values.astype(np.float32) for values in weight)
        return X[:, :, None], tuple(targets), weights


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """Batches of some rows of the training data, epoch after epoch."""

    data: TrainingData
    rows: Rows  # a row that occurs twice is seen twice in an epoch
    size: int
    make: Maker
    group: int  # spectra that are read together when they come from disk
    seed: int | None = None  # None (validation) keeps the order and augments nothing
    process: tuple[int, int] = (0, 1)  # which of how many: each yields its part of every batch

    @property
    def steps(self) -> int:
        """Batches per epoch. In training a last one that is not full waits for another epoch."""
        if self.seed is None:
            return -(-len(self.rows) // self.size)
        return max(1, len(self.rows) // self.size)

    def order(self, epoch: int) -> Iterator[Rows]:
        """The rows of an epoch in their order, in groups that are read together.

        In memory all rows are one group, at random. On disk, runs of rows that are together in the
        files are taken at random, and the spectra of several runs are mixed.
        """
        if self.seed is None:
            yield from np.array_split(self.rows, max(1, -(-len(self.rows) // self.group)))
            return
        rng = np.random.default_rng([self.seed, 2, epoch])
        if self.data.in_memory:
            yield rng.permutation(self.rows)
            return
        runs = np.array_split(self.rows, max(1, len(self.rows) // RUN_LENGTH))
        chosen = rng.permutation(len(runs))
        each = max(1, self.group // RUN_LENGTH)
        for start in range(0, len(chosen), each):
            yield rng.permutation(np.concatenate([runs[i] for i in chosen[start : start + each]]))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch."""
        step = 0
        rest = self.rows[:0]
        groups = list(self.order(epoch))
        for number, group in enumerate(groups, start=1):
            waiting = np.concatenate([rest, group])
            count = self.steps - step if number == len(groups) else len(waiting) // self.size
            loaded = self.data.take(waiting)
            for index in range(count):
                part = slice(index * self.size, (index + 1) * self.size)
                yield self._batch(waiting[part], loaded[part], epoch, step)
                step += 1
            rest = waiting[count * self.size :]

    def at(self, step: int) -> Batch:
        """One batch of the validation, whose order is always the same."""
        if self.seed is not None:
            raise ValueError("only batches without a seed can be taken one by one")
        rows = self.rows[step * self.size : (step + 1) * self.size]
        return self._batch(rows, self.data.take(rows), 0, step)

    def endless(self, start: int) -> Iterator[Batch]:
        """The batches of all epochs from one on, made ahead of the network by a thread."""
        return prefetch(batch for epoch in itertools.count(start) for batch in self.epoch(epoch))

    def rows_of(self, epoch: int, step: int) -> Rows:
        """The rows of a batch."""
        order = np.concatenate(list(self.order(epoch)))
        return order[step * self.size : (step + 1) * self.size]

    def _batch(self, rows: Rows, spectra: Loaded, epoch: int, step: int) -> Batch:
        """The part of a batch of this process; its random numbers follow from epoch and step."""
        training = self.seed is not None
        rng = np.random.default_rng([self.seed or 0, 3, epoch if training else 0, step])
        X, target, weight = self.make(self.data, rows, spectra, rng, training)
        own = slice(self.process[0], None, self.process[1])
        return X[own], tuple(part[own] for part in target), tuple(part[own] for part in weight)


def prefetch(items: Iterator[Item], ahead: int = AHEAD) -> Iterator[Item]:
    """Items in their order, made ahead by one thread; what `items` raises is raised in its turn."""
    end: Any = object()
    pool = ThreadPoolExecutor(1, thread_name_prefix="qnet-batches")
    try:
        waiting = deque(pool.submit(next, items, end) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield item
    finally:
        # Reached when the training needs no more batches, too: nobody waits for the thread.
        pool.shutdown(wait=False, cancel_futures=True)
