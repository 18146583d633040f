"""Calibration of a model: probabilities, errors, and the thresholds of flags."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments, check_fields
from qnet.core.arrays import BoolArray, FloatArray, as_floats
from qnet.core.bins import QUASAR_CLASS as QUASAR_CLASS
from qnet.core.checks import check_finite, check_text
from qnet.core.density import QuasarDensity
from qnet.core.errors import InputError, shown
from qnet.model.laws import Evidence, Logistic, Table
from qnet.model.plain import check_keys, finite_floats, reading, renamed


def rescale(p: npt.ArrayLike, prior: float, mix: float) -> FloatArray:
    """Probability of a class, for another fraction of the class among the spectra.

    p r / (p r + 1 - p), with r the ratio of the odds prior / (1 - prior) and mix / (1 - mix):
    Bayes's theorem, if the spectra of each class stay the same (Saerens, Latinne & Decaestecker
    2002, Neural Computation 14, 21, equation 2.4).

    Parameters
    ----------
    p : array_like of float
        Probabilities. NaN stays NaN.
    prior : float
        Fraction of the class wanted, between 0 and 1.
    mix : float
        Fraction of the class that `p` assumes, between 0 and 1.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    InputError
        A fraction is not between 0 and 1.

    Examples
    --------
    >>> from qnet.model import rescale
    >>> rescale([0.1, 0.5, 0.9], prior=0.1, mix=0.5).round(3)
    array([0.012, 0.1  , 0.5  ])
    """
    check_arguments(rescale, locals())
    for name, fraction in (("prior", prior), ("mix", mix)):
        if not 0 < fraction < 1:
            raise InputError(f"{name} must be between 0 and 1, not {shown(fraction)}")
    probability = as_floats("p", p)
    ratio = prior / (1 - prior) * (1 - mix) / mix
    return multiply_odds(probability, ratio)


def multiply_odds(p: FloatArray, factor: FloatArray | float) -> FloatArray:
    """Probabilities whose odds are multiplied by a factor."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return np.asarray(p * factor / (p * factor + (1 - p)))


#: More candidates of a spectrum than this are an error of a file.
MAX_CANDIDATES = 100

#: Fields that files of format version 2 lack.
SINCE_3 = frozenset({"p_candidate", "candidates", "candidate_floor", "fraction_exponent"})

#: Fields that files of format version 3 lack, too.
SINCE_4 = frozenset({"p_z", "p_z2", "zerr_noise", "evidence", "density"})

#: Keys of the weights files that differ from the attributes of `Calibration`.
FILE_KEYS = {"p_candidate": "p_verified", "fraction_exponent": "share_exponent"}


#: The class of those fields that have one of their own.
_KINDS: Mapping[str, type] = {
    **dict.fromkeys(("p_qso", "p_bal", "p_candidate", "p_z", "p_z2"), Logistic),
    **dict.fromkeys(("zerr", "zerr_noise"), Table),
    "evidence": Evidence,
    "density": QuasarDensity,
}


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Calibration stored with a model: plain values that give the catalogue's columns.

    Parameters
    ----------
    p_qso : Logistic
        P_QSO of the first stage, from the features that it names (`qnet.postprocess.features`).
    mix : mapping of str to float
        Fraction of each class in the sample that P_QSO assumes; 'QSO' is one, the sum is 1.
    z_range : tuple of float
        Redshifts that the model was trained on.
    p_threshold : float
        A quasar has P_QSO above this, unless the user gives another threshold.
    refine_floor : float
        The second stage is run on rows with P_QSO above this.
    p_bal : Logistic, optional
        P_BAL of quasars, from the features that it names.
    p_bal_threshold : float
        A BAL quasar has P_BAL above this.
    zerr : Table, optional
        Factor on the second stage's error, by log10 S/N (clipped to 0.05 .. 100) and redshift. 1
        when None.
    zerr_lines : mapping of str to Table
        Error [km/s] of the redshift of each line alone, by the logit of its confidence and log10
        S/N. Lines without a table have no error.
    ambiguous : float
        A second redshift with P2 above this makes a row AMBIGUOUS.
    outlier_threshold : float, optional
        Mahalanobis distance of the common layer's activations above which a spectrum is an
        OUTLIER; the arrays ``outlier_mean`` and ``outlier_scale`` are in the weights. No row is
        one when None.
    joints, skylines : tuple of (float, float)
        First and last wavelength [Angstrom, observed] of camera joints and strong sky lines in the
        training data.
    p_candidate : Logistic, optional
        P_QSO of the rows whose candidates the second stage has scored, from the features that it
        names; the others, and all when None, keep that of `p_qso`.
    candidates : int
        Largest number of candidates of a spectrum that the second stage scores.
    candidate_floor : float
        Candidates after the first are scored where their probability is at least this.
    fraction_exponent : float
        The best candidate has the largest score + fraction_exponent * log(probability).
    p_z : Logistic, optional
        P_Z of quasars, the probability that ZBEST is within 3000 km/s of the truth, from the
        features that it names.
    p_z2 : Logistic, optional
        The probability that Z2 is within 3000 km/s of the truth, of quasars whose ZBEST is not:
        P2 is (1 - P_Z) times it.
    zerr_noise : Table, optional
        Factor on the second stage's error for ZERR_NOISE, by the same as `zerr`.
    evidence : Evidence, optional
        Thresholds of NO_EVIDENCE; no row has it when None.
    density : QuasarDensity, optional
        Quasars of the sample by redshift and r magnitude (`QuasarDensity.of_sample`): the prior
        that a population's replaces. No other prior is possible when None.

    Raises
    ------
    InputError
        A value is not valid.

    Examples
    --------
    >>> import qnet
    >>> calibration = qnet.load_model().calibration
    >>> calibration.p_threshold, calibration.z_range[1]
    (0.5, 6.8)
    >>> round(calibration.quasar_fraction, 2)
    0.54
    >>> calibration.p_qso.names[:3]
    ('logit_quasar', 'logit_c1', 'logit_c2')
    """

    p_qso: Logistic
    mix: Mapping[str, float]
    z_range: tuple[float, float]
    p_threshold: float = 0.5
    refine_floor: float = 0.05
    p_bal: Logistic | None = None
    p_bal_threshold: float = 0.5
    zerr: Table | None = None
    zerr_lines: Mapping[str, Table] = dataclasses.field(default_factory=dict)
    ambiguous: float = 0.5
    outlier_threshold: float | None = None
    joints: tuple[tuple[float, float], ...] = ()
    skylines: tuple[tuple[float, float], ...] = ()
    p_candidate: Logistic | None = None
    candidates: int = 1
    candidate_floor: float = 0.0
    fraction_exponent: float = 0.0
    p_z: Logistic | None = None
    p_z2: Logistic | None = None
    zerr_noise: Table | None = None
    evidence: Evidence | None = None
    density: QuasarDensity | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name, fraction in self.mix.items():
            check_text("a class of mix", name)
            check_finite(f"mix[{name!r}]", fraction)
        object.__setattr__(self, "mix", dict(self.mix))
        object.__setattr__(self, "zerr_lines", dict(self.zerr_lines))
        if not all(name.isascii() and name.isprintable() for name in self.mix):
            raise InputError(f"names of classes must be plain text, not {list(self.mix)}")
        if not 0 < self.mix.get(QUASAR_CLASS, 0.0) < 1:
            raise InputError(f"the mix {self.mix} must give {QUASAR_CLASS} a fraction in 0 .. 1")
        if min(self.mix.values()) < 0 or not math.isclose(sum(self.mix.values()), 1, abs_tol=1e-3):
            raise InputError(f"the fractions of the mix {self.mix} must add up to 1")
        limits = ("p_threshold", "refine_floor", "p_bal_threshold", "ambiguous", "candidate_floor")
        for name in limits:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} must be in 0 .. 1, not {shown(value)}")
        if not 1 <= self.candidates <= MAX_CANDIDATES:
            raise InputError(
                f"candidates must be an integer in 1 .. {MAX_CANDIDATES}, not "
                f"{shown(self.candidates)}"
            )
        (exponent,) = finite_floats((self.fraction_exponent,), "fraction_exponent")
        object.__setattr__(self, "fraction_exponent", exponent)
        if self.outlier_threshold is not None and not self.outlier_threshold > 0:
            raise InputError(
                f"outlier_threshold must be positive, not {shown(self.outlier_threshold)}"
            )
        for name in ("joints", "skylines"):
            pairs = getattr(self, name)
            if not isinstance(pairs, (list, tuple)):
                raise InputError(f"{name} must be a list of ranges, not {shown(pairs)}")
            ranges = tuple(_range(pair, name) for pair in pairs)
            object.__setattr__(self, name, ranges)
        object.__setattr__(self, "z_range", _range(self.z_range, "z_range"))

    @property
    def quasar_fraction(self) -> float:
        """Fraction of quasars in the mix that P_QSO assumes."""
        return self.mix[QUASAR_CLASS]

    def to_dict(self) -> dict[str, Any]:
        """The calibration as plain values, for JSON; `from_dict` is the inverse."""
        return renamed(dataclasses.asdict(self), FILE_KEYS)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Calibration from the plain values of `to_dict`; InputError for any other."""
        with reading("a calibration", values):
            plain = renamed(values, {key: name for name, key in FILE_KEYS.items()})
            expected = {field.name for field in dataclasses.fields(cls)} - SINCE_3 - SINCE_4
            check_keys(plain, expected, "the calibration")
            for name, kind in _KINDS.items():
                if plain.get(name) is not None:
                    plain[name] = kind(**plain[name])
            plain["zerr_lines"] = {
                str(line): Table(**table) for line, table in plain["zerr_lines"].items()
            }
            plain["mix"] = {str(name): float(value) for name, value in plain["mix"].items()}
            if not isinstance(plain["p_qso"], Logistic):
                raise InputError("the calibration has no p_qso")
            return cls(**plain)


def in_ranges(values: npt.ArrayLike, ranges: tuple[tuple[float, float], ...]) -> BoolArray:
    """Whether each value lies in one of some closed ranges; NaN does not."""
    array = np.asarray(values, dtype=np.float64)
    inside = np.zeros(array.shape, dtype=bool)
    for low, high in ranges:
        inside |= (array >= low) & (array <= high)
    return inside


def _range(values: Any, name: str) -> tuple[float, float]:
    """Two finite numbers that increase."""
    pair = finite_floats(values, name)
    if len(pair) != 2 or not pair[0] < pair[1]:
        raise InputError(f"{name} must be made of two numbers that increase, not {shown(values)}")
    return pair[0], pair[1]
