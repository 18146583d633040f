"""Candidate redshifts refined by the second stage: the best one, the next, and their odds."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray
from qnet.core.flags import DISAGREE_VELOCITY
from qnet.core.spectra import Spectra
from qnet.core.threads import share_work
from qnet.lines import velocity_between
from qnet.model.refiner import Refiner
from qnet.postprocess.features import CONFIDENCE_EPSILON, ChosenCandidates
from qnet.preprocess.rebinning import ROW_BLOCK
from qnet.preprocess.restframe import fine_spectra


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates of spectra, (nspec, count), each refined in its own frame, most probable first."""

    guess: FloatArray  # redshift by the first stage
    probability: FloatArray  # and its probability in the posterior
    z: FloatArray  # as `qnet.model.refiner.Refined`; NaN where the candidate was not refined
    zerr: FloatArray
    score: FloatArray
    bal: FloatArray
    ok: BoolArray  # whether it was refined, without failure
    weight: FloatArray  # of the population asked for, relative to the training sample

    def log_odds(self, exponent: float) -> FloatArray:
        """Score + exponent x log(probability) + log(weight); -inf where it was not refined."""
        odds = self.score + exponent * np.log(np.fmax(self.probability, CONFIDENCE_EPSILON))
        with np.errstate(divide="ignore"):
            odds += np.log(self.weight)
        return np.where(self.ok & np.isfinite(odds), odds, -np.inf)

    def choose(self, exponent: float = 0.0) -> ChosenCandidates:
        """The best candidate of each spectrum, by score + exponent x log(probability); the next."""
        # Without scores the first is the best; the next is more than DISAGREE_VELOCITY from it.
        rows = np.arange(len(self.z))
        weight = self.log_odds(exponent)
        best = weight.argmax(axis=1)
        ok, first = self.ok[rows, best], self.z[rows, best]
        apart = np.abs(velocity_between(self.z, first[:, None])) > DISAGREE_VELOCITY
        others = np.where(apart, weight, -np.inf)
        following = others.argmax(axis=1)
        known = others[rows, following] > -np.inf
        with np.errstate(invalid="ignore"):
            log_odds = np.where(known, others[rows, following] - weight[rows, best], -np.inf)

        def second(values: FloatArray) -> FloatArray:
            return np.where(known, values[rows, following], np.nan)

        return ChosenCandidates(
            z=np.where(ok, first, self.guess[rows, best]),
            zerr=np.where(ok, self.zerr[rows, best], np.nan),
            ok=ok,
            score=self.score[rows, best],
            probability=self.probability[rows, best],
            weight=self.weight[rows, best],
            bal=self.bal[rows, best],
            z2=second(self.z),
            score2=second(self.score),
            probability2=second(self.probability),
            weight2=second(self.weight),
            odds2=np.exp(log_odds),
        )


def refine_candidates(
    spectra: Spectra,
    refiner: Refiner,
    z: npt.ArrayLike,
    probability: npt.ArrayLike,
    floor: float = 0.0,
    weight: npt.ArrayLike | None = None,
    *,
    threads: int = 1,
) -> Candidates:
    """Refine candidates (nspec, count), most probable first: the first, others above `floor`."""
    # A second stage that scores no candidates refines the first alone.
    count = None if refiner.arch.scores else 1
    given = (z, probability, np.ones_like(z) if weight is None else weight)
    guess, p, weights = (np.asarray(values, np.float64)[:, :count] for values in given)
    refined, zerr, score, bal = (np.full(guess.shape, np.nan) for _ in range(4))
    ok = np.zeros(guess.shape, dtype=bool)
    wanted = np.isfinite(guess)
    wanted[:, 1:] &= (p * weights)[:, 1:] >= floor

    def work(start: int) -> None:
        block = np.arange(start, min(start + ROW_BLOCK, len(guess)))
        flux, ivar = fine_spectra(spectra.select(block).cameras, refiner.arch.window.grid)
        row, rank = np.nonzero(wanted[block])
        out = refiner.refine(flux[row], ivar[row], guess[block[row], rank])
        at = block[row], rank
        refined[at], zerr[at], ok[at], score[at], bal[at] = out

    share_work(work, range(0, len(guess), ROW_BLOCK), threads)
    return Candidates(guess, p, refined, zerr, score, bal, ok, weights)
