"""The second stage, ready to run: redshift, error and scores in the rest frame of a guess."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import BoolArray, FloatArray, as_floats, as_numbers, as_precision
from qnet.core.checks import check_whole
from qnet.core.errors import InputError
from qnet.lines import SPEED_OF_LIGHT, velocity_between
from qnet.model.architecture import RefineArchitecture
from qnet.model.layers import Weights
from qnet.model.network import CHUNK_SIZE, ConvStack, check_weights
from qnet.preprocess.restframe import rest_frame


class Outputs(NamedTuple):
    """Output of the second stage, as `Refiner.predict` gives it; arrays of shape (nspec,)."""

    dv: npt.NDArray[Any]
    log_sigma: npt.NDArray[Any]
    score: npt.NDArray[Any] | None
    bal: npt.NDArray[Any] | None


class Refined(NamedTuple):
    """Refined redshifts, as `Refiner.refine` gives them; arrays of shape (nspec,)."""

    z: FloatArray
    zerr: FloatArray
    ok: BoolArray
    score: FloatArray
    bal: FloatArray


class Refiner:
    """The second stage of a model, ready to run.

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
        An array is missing, of another shape, or not of finite floats.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> refiner = qnet.load_model().refiner
    >>> grid = refiner.arch.window.grid
    >>> line = 5 * np.exp(-0.5 * ((grid.wave - 1215.67 * 3.5) / 30) ** 2)
    >>> flux, ivar = line[None] + 1, np.full((1, grid.npix), 25.0)
    >>> z, zerr, ok, score, bal = refiner.refine(flux, ivar, [2.49])
    >>> z.shape, ok
    ((1,), array([ True]))
    """

    def __init__(
        self, arch: RefineArchitecture, weights: Weights, dtype: npt.DTypeLike = np.float32
    ) -> None:
        check_arguments(Refiner.__init__, locals())
        check_weights(arch.shapes(), weights)
        self.arch = arch
        self.dtype = as_precision(dtype)
        self._stack = ConvStack(arch.layers, weights, self.dtype)
        (self._head,) = (layer.fold(weights, self.dtype) for layer in arch.layers.heads)

    def predict(self, X: npt.NDArray[Any], chunk_size: int = CHUNK_SIZE) -> Outputs:
        """Run the network once.

        Parameters
        ----------
        X : ndarray, shape (nspec, npooled, 2)
            Spectra in a rest frame (`qnet.preprocess.rest_frame`). A row that is not finite gives
            NaN, and changes no other.
        chunk_size : int
            Spectra held in memory at a time, as activations.

        Raises
        ------
        InputError
            X is not of that shape, or chunk_size is not positive.

        Returns
        -------
        dv : ndarray, shape (nspec,)
            Velocity of the object in the frame, c (z - z_frame) / (1 + z_frame), in units of
            ``arch.dv_scale``.
        log_sigma : ndarray, shape (nspec,)
            Natural logarithm of its error, in the same units.
        score : ndarray, shape (nspec,), or None
            Logit of being a quasar within ``arch.max_dv`` of the frame; None where the stage
            scores no candidates.
        bal : ndarray, shape (nspec,), or None
            Logit of broad absorption, for such a quasar; None if the stage does not detect it.
        """
        check_arguments(Refiner.predict, locals())
        check_whole("chunk_size", chunk_size, least=1)
        X = as_numbers("X", X, ndim=3)
        if X.shape[1:] != (self.arch.window.npooled, 2):
            raise InputError(
                f"X has shape {X.shape}, but (nspec, {self.arch.window.npooled}, 2) was expected"
            )
        out = np.empty((len(X), self.arch.noutputs), dtype=self.dtype)
        kernel, bias = self._head
        for start in range(0, len(X), chunk_size):
            rows = slice(start, start + chunk_size)
            out[rows] = self._stack(X[rows]) @ kernel + bias
        score = out[:, 2] if self.arch.scores else None
        return Outputs(out[:, 0], out[:, 1], score, out[:, 3] if self.arch.bal else None)

    def refine(self, flux: npt.ArrayLike, ivar: npt.ArrayLike, z: npt.ArrayLike) -> Refined:
        """Refine redshifts: ``arch.passes`` times, each in the frame of the last redshift.

        Parameters
        ----------
        flux, ivar : array_like, shape (nspec, npix)
            Spectra on ``arch.window.grid``, as `qnet.preprocess.rebin` gives them; a pixel of ivar
            0 has no weight.
        z : array_like of float, shape (nspec,)
            The guess; NaN gives a row that is not ok.

        Returns
        -------
        z : ndarray of float64, shape (nspec,)
            z_frame + dv/c (1 + z_frame) of the last pass; the guess where `ok` is false.
        zerr : ndarray of float64, shape (nspec,)
            sigma/c (1 + z); NaN where `ok` is false.
        ok : ndarray of bool, shape (nspec,)
            False where the window has too little weight (``arch.min_fraction``), or the redshift
            is not finite or has moved from the guess by more than ``arch.max_dv``.
        score, bal : ndarray of float64, shape (nspec,)
            The logits of the last pass; NaN where `ok` is false or the stage has none.

        Raises
        ------
        InputError
            The shapes disagree.
        """
        arch = self.arch
        guess = as_floats("z", z, ndim=1)
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
                ok &= np.abs(velocity_between(found, guess)) <= arch.max_dv
                found = np.where(ok, found, guess)
            zerr = np.where(ok, sigma / SPEED_OF_LIGHT * (1 + found), np.nan)
            score, bal = (np.where(ok, values, np.nan) for values in (score, bal))
        return Refined(found, zerr, ok, score, bal)
