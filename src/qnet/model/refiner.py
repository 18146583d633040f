"""The second stage: a precise redshift in the rest frame of a guess, its error, its verdict."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import BoolArray, FloatArray
from qnet.lines import SPEED_OF_LIGHT
from qnet.model.architecture import RefineArchitecture
from qnet.model.network import CHUNK_SIZE, ConvStack, Weights, check_weights
from qnet.preprocess.restframe import rest_frame


class Outputs(NamedTuple):
    """What the network of the second stage says of some spectra, each in its frame.

    Attributes
    ----------
    dv : ndarray, shape (nspec,)
        Velocity of the object in the frame, in units of ``arch.dv_scale``:
        dv = c (z - z_frame) / (1 + z_frame).
    log_sigma : ndarray, shape (nspec,)
        Natural logarithm of its error, in the same units.
    score : ndarray, shape (nspec,), or None
        Logit of being a quasar within ``arch.max_dv`` of the frame; None where the stage does not
        verify.
    bal : ndarray, shape (nspec,), or None
        Logit of broad absorption, if it is such a quasar; None where the stage does not look.
    """

    dv: npt.NDArray[Any]
    log_sigma: npt.NDArray[Any]
    score: npt.NDArray[Any] | None
    bal: npt.NDArray[Any] | None


class Refined(NamedTuple):
    """Redshifts of the second stage.

    Attributes
    ----------
    z : ndarray of float64, shape (nspec,)
        z_frame + dv/c (1 + z_frame) of the last pass; the guess where ``ok`` is false.
    zerr : ndarray of float64, shape (nspec,)
        sigma/c (1 + z); NaN where ``ok`` is false.
    ok : ndarray of bool, shape (nspec,)
        False where the window has too little weight (``arch.min_fraction``), or the redshift is
        not finite or has moved from the guess by more than ``arch.max_dv``.
    score, bal : ndarray of float64, shape (nspec,)
        The logits of the last pass (`Outputs`); NaN where ``ok`` is false or the stage
        has none.
    """

    z: FloatArray
    zerr: FloatArray
    ok: BoolArray
    score: FloatArray
    bal: FloatArray


class Refiner:
    """The second stage, ready to run.

    Parameters
    ----------
    arch : RefineArchitecture
    weights : mapping of str to ndarray
        Every array of ``arch.shapes()``.
    dtype : dtype
        Precision of the computation: float32 or float64.

    Raises
    ------
    InputError
        An array is missing or of another shape.
    """

    def __init__(
        self, arch: RefineArchitecture, weights: Weights, dtype: npt.DTypeLike = np.float32
    ) -> None:
        check_weights(arch, weights)
        self.arch = arch
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        names = [
            (f"refine_conv_{number}", f"refine_bn_{number}")
            for number in range(1, len(arch.convs) + 1)
        ]
        self._stack = ConvStack(
            arch.convs, [*names, ("refine_fc", "refine_bn_fc")], arch.epsilon, weights, self.dtype
        )
        self._out = tuple(
            weights[f"refine_out.{name}"].astype(self.dtype) for name in ("kernel", "bias")
        )

    def predict(self, X: npt.NDArray[Any], chunk_size: int = CHUNK_SIZE) -> Outputs:
        """Run the network once.

        Parameters
        ----------
        X : ndarray, shape (nspec, npooled, 2)
            What `rest_frame` makes. A row that is not finite gives NaN, and touches no other.
        chunk_size : int
            Spectra held in memory at a time, as activations.

        Returns
        -------
        Outputs
        """
        out = np.empty((len(X), self.arch.noutputs), dtype=self.dtype)
        kernel, bias = self._out
        for start in range(0, len(X), chunk_size):
            chunk = np.array(X[start : start + chunk_size], dtype=self.dtype)
            bad = ~np.isfinite(chunk).all(axis=(1, 2))
            chunk[bad] = 0
            result = self._stack(chunk) @ kernel + bias
            result[bad] = np.nan
            out[start : start + chunk_size] = result
        score = out[:, 2] if self.arch.scores else None
        return Outputs(out[:, 0], out[:, 1], score, out[:, 3] if self.arch.bal else None)

    def refine(self, flux: npt.ArrayLike, ivar: npt.ArrayLike, z: npt.ArrayLike) -> Refined:
        """Refine redshifts: ``arch.passes`` times, each in the frame of the last redshift.

        Parameters
        ----------
        flux, ivar : array_like, shape (nspec, npix)
            Spectra on ``arch.window.grid``, as `qnet.preprocess.rebin` gives them.
        z : array_like of float, shape (nspec,)
            The guess.

        Returns
        -------
        Refined

        Raises
        ------
        InputError
            The shapes disagree.
        """
        arch = self.arch
        guess = np.asarray(z, dtype=np.float64)
        found, (sigma, score, bal) = guess, np.full((3, *guess.shape), np.nan)
        ok = np.ones(guess.shape, dtype=bool)
        with np.errstate(invalid="ignore", over="ignore"):
            for _ in range(arch.passes):
                X, z_frame = rest_frame(flux, ivar, found, arch.window)
                out = self.predict(X)
                dv = arch.dv_scale * out.dv.astype(np.float64)
                found = z_frame + dv / SPEED_OF_LIGHT * (1 + z_frame)
                sigma = arch.dv_scale * np.exp(out.log_sigma.astype(np.float64))
                if out.score is not None:
                    score = out.score.astype(np.float64)
                if out.bal is not None:
                    bal = out.bal.astype(np.float64)
                ok &= X[:, :, 1].mean(axis=1) >= max(arch.min_fraction, 1 / arch.window.npooled)
                ok &= np.isfinite(found) & np.isfinite(sigma)
                # Also between the passes: a frame that has run away gives no second opinion.
                ok &= SPEED_OF_LIGHT * np.abs(found - guess) <= arch.max_dv * (1 + guess)
                found = np.where(ok, found, guess)
            zerr = np.where(ok, sigma / SPEED_OF_LIGHT * (1 + found), np.nan)
            score, bal = (np.where(ok, values, np.nan) for values in (score, bal))
        return Refined(found, zerr, ok, score, bal)
