"""What the line finders' answers say together: features of the calibration, a second redshift."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.calibration import log_snr, logit
from qnet.errors import InputError
from qnet.flags import DISAGREE_VELOCITY
from qnet.grid import WavelengthGrid
from qnet.lines import SPEED_OF_LIGHT, rest_wavelengths
from qnet.postprocess import Predictions

FloatArray = npt.NDArray[np.float64]

#: A second redshift is further than this from the first [km/s]: the velocity at which lines
#: disagree.
SECOND_VELOCITY = DISAGREE_VELOCITY


@dataclasses.dataclass(frozen=True, eq=False)
class _Evidence:
    """Decoded predictions and signal-to-noise ratios (nspec,)."""

    found: Predictions
    snr: npt.NDArray[Any]

    def ranked(self, rank: int) -> FloatArray:
        """Logit of the confidence of the rank-th best line, from 0; of the last one beyond it."""
        ordered = -np.sort(-self.found.c_line, axis=0)
        return logit(ordered[min(rank, len(ordered) - 1)])

    def agreeing(self) -> FloatArray:
        """Logit of the largest confidence of another line near the redshift of the best."""
        c_line, z_line, zbest = self.found.c_line, self.found.z_line, self.found.zbest
        with np.errstate(invalid="ignore"):
            near = SPEED_OF_LIGHT * np.abs(z_line - zbest) <= SECOND_VELOCITY * (1 + zbest)
        others = np.where(near, c_line, 0.0)
        others[c_line.argmax(axis=0), np.arange(len(zbest))] = 0.0
        return np.where(np.isnan(zbest), np.nan, logit(others.max(axis=0)))

    def bal(self) -> FloatArray:
        """Logit of the largest confidence of a BAL line."""
        c_bal = self.found.c_line_bal
        return logit(c_bal.max(axis=0) if len(c_bal) else np.zeros(len(self.found)))

    def bal_emission(self) -> FloatArray:
        """Logit of the largest confidence of an emission line that is a BAL line too."""
        lines = [self.found.lines.index(x) for x in self.found.lines_bal if x in self.found.lines]
        if not lines:
            return np.full(len(self.found), logit(0.0))
        return logit(self.found.c_line[lines].max(axis=0))


#: The features that a calibration may name, and how they are made.
FEATURES: Mapping[str, Callable[[_Evidence], FloatArray]] = MappingProxyType(
    {
        "logit_c1": lambda evidence: evidence.ranked(0),
        "logit_c2": lambda evidence: evidence.ranked(1),
        "logit_c3": lambda evidence: evidence.ranked(2),
        "logit_agree": _Evidence.agreeing,
        "log_snr": lambda evidence: log_snr(evidence.snr),
        "log_1pz": lambda evidence: np.log10(np.maximum(1 + evidence.found.zbest, 1e-3)),
        "logit_bal": _Evidence.bal,
        "logit_bal_emission": _Evidence.bal_emission,
    }
)

#: Features of P_QSO, unless a calibration names others.
P_QSO_FEATURES = ("logit_c1", "logit_c2", "logit_c3", "log_snr")

#: Features of P_BAL, unless a calibration names others.
P_BAL_FEATURES = ("logit_bal", "log_snr", "logit_bal_emission")


def features(names: Sequence[str], found: Predictions, snr: npt.ArrayLike) -> FloatArray:
    """Features of some spectra, for `qnet.logistic.Logistic`.

    Parameters
    ----------
    names : sequence of str
        Out of ``FEATURES``: ``logit_c1`` .. ``logit_c3``, of the three largest line confidences
        (the last is repeated where there are fewer lines); ``logit_agree``, of the largest
        confidence among the other lines within 6000 km/s of the most confident one's redshift;
        ``log_snr``, log10 of the median S/N, clipped to 0.05 .. 100; ``log_1pz``, log10(1 + z) of
        the most confident line; ``logit_bal``, of the largest BAL confidence;
        ``logit_bal_emission``, of the emission line of the same name. Confidences are clipped to
        1e-6 .. 1 - 1e-6.
    found : Predictions
        Of the line finders.
    snr : array_like, shape (nspec,)
        Median S/N per pixel of the model's grid (`qnet.preprocess.Preprocessed.snr`).

    Returns
    -------
    ndarray of float64, shape (nspec, nfeatures)
        NaN in the rows that have no answer.

    Raises
    ------
    InputError
        A name is unknown.
    """
    check_features(names)
    evidence = _Evidence(found, np.asarray(snr))
    return np.stack([FEATURES[name](evidence) for name in names], axis=1)


def check_features(names: Sequence[str]) -> None:
    """Check that features are known.

    Raises
    ------
    InputError
        One is not.
    """
    if unknown := [name for name in names if name not in FEATURES]:
        raise InputError(f"unknown feature(s) {unknown}: the legal ones are {sorted(FEATURES)}")


def second_redshift(
    preds: Sequence[npt.ArrayLike] | npt.NDArray[Any],
    lines: Sequence[str],
    grid: WavelengthGrid,
    rest: Mapping[str, float],
    zbest: npt.ArrayLike,
) -> tuple[FloatArray, FloatArray]:
    """The best redshift that is not the first.

    Of each line the two most confident boxes are decoded. Of those whose redshift is more than
    6000 km/s from `zbest`, the one of largest confidence is taken.

    Parameters
    ----------
    preds : sequence of array_like, each of shape (nspec, 2 * nboxes)
        Output of ``Model.predict``: emission lines first; those after `lines` are left unread.
    lines : sequence of str
        The emission lines.
    grid : WavelengthGrid
        The network's grid.
    rest : mapping of str to float
        Rest wavelengths [Angstrom].
    zbest : array_like, shape (nspec,)
        The first redshift.

    Returns
    -------
    z2, p2 : ndarray of float64, shape (nspec,)
        The redshift, and the confidence of its box: NaN where `zbest` is NaN, or no other redshift
        is positive and away from the first.
    """
    wave_rest = rest_wavelengths(lines, rest)
    first = np.asarray(zbest, dtype=np.float64)
    redshifts, confidences = [], []
    for line, pred in enumerate(list(preds)[: len(wave_rest)]):
        array = np.asarray(pred)
        nboxes = array.shape[1] // 2
        boxes = np.argsort(-array[:, :nboxes], axis=1, kind="stable")[:, :2]
        offset = np.take_along_axis(array[:, nboxes:], boxes, axis=1)
        redshifts.append(grid.from_box(boxes, offset, nboxes) / wave_rest[line] - 1)
        confidences.append(np.take_along_axis(array[:, :nboxes], boxes, axis=1))
    z, c = np.hstack(redshifts), np.hstack(confidences).astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = SPEED_OF_LIGHT * np.abs(z - first[:, None]) > SECOND_VELOCITY * (1 + first[:, None])
    # A line blueward of its rest wavelength is no redshift of a quasar.
    c = np.where(apart & (z > 0), c, -np.inf)
    best = c.argmax(axis=1)[:, None]
    p2 = np.take_along_axis(c, best, axis=1)[:, 0]
    known = np.isfinite(p2)
    z2 = np.take_along_axis(z, best, axis=1)[:, 0]
    return np.where(known, z2, np.nan), np.where(known, p2, np.nan)
