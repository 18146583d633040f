"""Batches of spectra, targets and weights, in an order that the seed alone decides."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from qnet.core.arrays import Float32Array
from qnet.model.architecture import Architecture
from qnet.objective import objective, redshift_target
from qnet.training.data import RUN_LENGTH, Held, Rows, TrainingData
from qnet.training.prefetch import prefetch
from qnet.training.settings import Augmentation

#: What Keras takes: input, targets and weights of each output.
Batch = tuple[Float32Array, tuple[Any, ...], tuple[Any, ...]]


class Maker(Protocol):
    """What makes a batch of some spectra."""

    def __call__(
        self,
        data: TrainingData,
        held: Held,
        part: slice,
        rows: Rows,
        rng: np.random.Generator,
        training: bool,
    ) -> Batch:
        """Input, targets and weights.

        Parameters
        ----------
        data : TrainingData
            Truth.
        held : Held
            Spectra that are in memory.
        part : slice
            Which of these.
        rows : ndarray of int64
            The same ones in `data`.
        rng : numpy.random.Generator
        training : bool
            False leaves the spectra as they are.
        """


@dataclasses.dataclass(frozen=True)
class LineMaker:
    """Batches for the first stage: normalised spectra, boxes and offsets, redshift classes.

    Attributes
    ----------
    architecture : Architecture
        What the targets are made for.
    augmentation : Augmentation
    """

    architecture: Architecture
    augmentation: Augmentation

    def __call__(
        self,
        data: TrainingData,
        held: Held,
        part: slice,
        rows: Rows,
        rng: np.random.Generator,
        training: bool,
    ) -> Batch:
        """Input, targets and weights."""
        X = held.normalised(part, self.augmentation, rng if training else None)
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
        single = np.float32
        targets: list[Any] = [values.astype(single) for values in target]
        bins = self.architecture.redshifts
        if bins is not None:
            classes, known = redshift_target(data.z[rows], data.Y[rows], bins)
            targets.append(classes)
            weight = [*weight, known]
        return X[:, :, None], tuple(targets), tuple(values.astype(single) for values in weight)


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """Batches of some spectra, epoch after epoch.

    Attributes
    ----------
    data : TrainingData
    rows : ndarray of int64
        The spectra; one that stands twice is seen twice in an epoch.
    size : int
        Spectra per batch.
    make : Maker
        Makes the batches.
    group : int
        Spectra that are read together when they come from disk.
    seed : int or None
        Of order and augmentation; None keeps the order and augments nothing.
    share : (int, int)
        Of several processes that feed one training: which, and how many. Each yields its part of
        every batch.
    """

    data: TrainingData
    rows: Rows
    size: int
    make: Maker
    group: int
    seed: int | None = None
    share: tuple[int, int] = (0, 1)

    @property
    def steps(self) -> int:
        """Batches per epoch. In training a last one that is not full waits for another epoch."""
        if self.seed is None:
            return -(-len(self.rows) // self.size)
        return max(1, len(self.rows) // self.size)

    def order(self, epoch: int) -> Iterator[Rows]:
        """The spectra of an epoch in their order, in groups that are read together.

        In memory that is one group: all of them at random. On disk, runs that lie together in the
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
            held = self.data.held(waiting)
            for index in range(count):
                yield self._batch(held, waiting, index, epoch, step)
                step += 1
            rest = waiting[count * self.size :]

    def at(self, step: int) -> Batch:
        """One batch of the first epoch; of those that are not at random alone."""
        if self.seed is not None:
            raise ValueError("only batches without a seed can be taken one by one")
        rows = self.rows[step * self.size : (step + 1) * self.size]
        return self._batch(self.data.held(rows), rows, 0, 0, step)

    def endless(self, start: int) -> Iterator[Batch]:
        """The batches of all epochs from one on, made ahead of the network by a thread."""
        return prefetch(batch for epoch in itertools.count(start) for batch in self.epoch(epoch))

    def rows_of(self, epoch: int, step: int) -> Rows:
        """The spectra of a batch."""
        order = np.concatenate(list(self.order(epoch)))
        return order[step * self.size : (step + 1) * self.size]

    def _batch(self, held: Held, rows: Rows, index: int, epoch: int, step: int) -> Batch:
        """The batch at a place of some rows; of several processes that feed one training its part.

        Its random numbers follow from epoch and step.
        """
        part = slice(index * self.size, min((index + 1) * self.size, len(rows)))
        training = self.seed is not None
        rng = np.random.default_rng([self.seed or 0, 3, epoch if training else 0, step])
        X, target, weight = self.make(self.data, held, part, rows[part], rng, training)
        own = slice(self.share[0], None, self.share[1])
        return X[own], tuple(part[own] for part in target), tuple(part[own] for part in weight)
