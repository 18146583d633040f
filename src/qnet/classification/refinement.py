"""Candidates of a redshift before the second stage: the best one, the next, and their odds."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray
from qnet.core.flags import DISAGREE_VELOCITY
from qnet.core.spectra import Spectra
from qnet.core.threads import share_work
from qnet.lines import SPEED_OF_LIGHT
from qnet.model.refiner import Refiner
from qnet.postprocess.features import CONFIDENCE_EPSILON, ChosenCandidates
from qnet.preprocess.rebinning import ROW_BLOCK
from qnet.preprocess.restframe import fine_spectra


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """Redshifts of some spectra, each refined in its own frame, most probable guess first.

    Attributes
    ----------
    guess, share : ndarray of float64, shape (nspec, count)
        What the first stage proposed, and its share of the posterior.
    z, zerr, score, bal : ndarray of float64, shape (nspec, count)
        As `qnet.model.refiner.Refined` has them; NaN where a candidate was not looked at.
    ok : ndarray of bool, shape (nspec, count)
        Whether it was, and could be refined.
    """

    guess: FloatArray
    share: FloatArray
    z: FloatArray
    zerr: FloatArray
    score: FloatArray
    bal: FloatArray
    ok: BoolArray

    def choose(self, exponent: float = 0.0) -> ChosenCandidates:
        """The best candidate of each spectrum, and the next.

        The one of largest score + exponent x log(share) is the best, or the first where there are
        no scores; the next is the largest of
        those whose refined redshift is more than 6000 km/s from it.

        Parameters
        ----------
        exponent : float
            Weight of the first stage's opinion against the second's.

        Returns
        -------
        Verdict
        """
        rows = np.arange(len(self.z))
        weight = self.score + exponent * np.log(np.fmax(self.share, CONFIDENCE_EPSILON))
        weight = np.where(self.ok & np.isfinite(weight), weight, -np.inf)
        best = weight.argmax(axis=1)
        ok, first = self.ok[rows, best], self.z[rows, best]
        with np.errstate(invalid="ignore"):
            velocity = SPEED_OF_LIGHT * np.abs(self.z - first[:, None]) / (1 + first[:, None])
            others = np.where(velocity > DISAGREE_VELOCITY, weight, -np.inf)
        following = others.argmax(axis=1)
        there = others[rows, following] > -np.inf
        with np.errstate(invalid="ignore"):
            behind = np.where(there, others[rows, following] - weight[rows, best], -np.inf)

        def second(values: FloatArray) -> FloatArray:
            return np.where(there, values[rows, following], np.nan)

        return ChosenCandidates(
            z=np.where(ok, first, self.guess[rows, best]),
            zerr=np.where(ok, self.zerr[rows, best], np.nan),
            ok=ok,
            score=self.score[rows, best],
            probability=self.share[rows, best],
            bal=self.bal[rows, best],
            z2=second(self.z),
            score2=second(self.score),
            probability2=second(self.share),
            odds2=np.exp(behind),
        )


def refine_candidates(
    spectra: Spectra,
    refiner: Refiner,
    z: npt.ArrayLike,
    share: npt.ArrayLike,
    floor: float = 0.0,
    *,
    threads: int = 1,
) -> Candidates:
    """Refine the candidates of each spectrum, each in its own frame.

    A second stage that scores no candidates refines the first of them alone.

    Parameters
    ----------
    spectra : Spectra
    refiner : Refiner
    z, share : array_like, shape (nspec, count)
        Redshifts of the candidates and their shares of the first stage's posterior, most probable
        first (`qnet.postprocess.candidates.find_candidates`). A redshift of NaN is none.
    floor : float
        Candidates after the first are looked at where their share is at least this.
    threads : int
        Threads that share the rows; the results do not depend on it.

    Returns
    -------
    Candidates
    """
    count = None if refiner.arch.scores else 1
    guess, shares = (np.asarray(values, np.float64)[:, :count] for values in (z, share))
    found, zerr, score, bal = (np.full(guess.shape, np.nan) for _ in range(4))
    ok = np.zeros(guess.shape, dtype=bool)
    wanted = np.isfinite(guess)
    wanted[:, 1:] &= shares[:, 1:] >= floor

    def work(start: int) -> None:
        block = np.arange(start, min(start + ROW_BLOCK, len(guess)))
        flux, ivar = fine_spectra(spectra.select(block).cameras, refiner.arch.window.grid)
        place, rank = np.nonzero(wanted[block])
        out = refiner.refine(flux[place], ivar[place], guess[block[place], rank])
        at = block[place], rank
        found[at], zerr[at], ok[at], score[at], bal[at] = out

    share_work(work, range(0, len(guess), ROW_BLOCK), threads)
    return Candidates(guess, shares, found, zerr, score, bal, ok)
