"""Calibration of a model: probabilities, errors, and the thresholds of flags."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments, check_fields
from qnet.core.arrays import BoolArray, FloatArray, IntArray, as_floats
from qnet.core.checks import check_finite, check_text
from qnet.core.errors import InputError, shown
from qnet.model.plain import check_keys, finite_floats, reading, renamed

#: The class whose probability is P_QSO.
QUASAR_CLASS = "QSO"


def rescale(p: npt.ArrayLike, prior: float, mix: float) -> FloatArray:
    """Probability of a class, for another fraction of the class among the spectra.

    p r / (p r + 1 - p), with r the ratio of the odds prior / (1 - prior) and mix / (1 - mix):
    Bayes's theorem where the spectra of each class stay what they were (Saerens, Latinne &
    Decaestecker 2002, Neural Computation 14, 21, equation 2.4).

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
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return np.asarray(probability * ratio / (probability * ratio + (1 - probability)))


#: More features than this are an error of a file.
MAX_FEATURES = 100


@dataclasses.dataclass(frozen=True)
class Logistic:
    """A logistic regression on all monomials up to a degree, 1 or 2, of scaled features.

    p = 1 / (1 + exp(-eta)), eta the sum of coefficients times monomials of (x - centre) / scale, in
    the order of `monomials`. Features are clipped to low .. high, the range of the data of the fit.
    """

    names: tuple[str, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    coefficients: tuple[float, ...]
    degree: int = 2

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("centre", "scale", "low", "high", "coefficients"):
            object.__setattr__(self, name, finite_floats(getattr(self, name), name))
        object.__setattr__(self, "names", tuple(self.names))
        nfeatures = len(self.names)
        if nfeatures > MAX_FEATURES:
            raise InputError(f"there are {nfeatures} features, above {MAX_FEATURES}")
        if not nfeatures or not all(isinstance(name, str) for name in self.names):
            raise InputError(f"names must be those of one feature or more, not {shown(self.names)}")
        for name in ("centre", "scale", "low", "high"):
            if len(getattr(self, name)) != nfeatures:
                raise InputError(
                    f"{name} has {len(getattr(self, name))} values for {nfeatures} features"
                )
        if not all(value > 0 for value in self.scale):
            raise InputError(f"scale must be positive, not {self.scale}")
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise InputError(f"low {self.low} must not be above high {self.high}")
        expected = len(self.monomials)
        if len(self.coefficients) != expected:
            raise InputError(
                f"{nfeatures} features of degree {self.degree} need {expected} coefficients, not "
                f"{len(self.coefficients)}"
            )

    @property
    def monomials(self) -> list[tuple[int, ...]]:
        """The features that each monomial multiplies; () is the constant."""
        return list_monomials(len(self.names), self.degree)

    def probability(self, features: npt.ArrayLike) -> FloatArray:
        """Probabilities (nspec,) from features (nspec, nfeatures); a row with NaN gives NaN."""
        x = np.asarray(features, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.names):
            raise InputError(
                f"features have shape {x.shape}, but (nspec, {len(self.names)}) was expected: "
                f"{', '.join(self.names)}"
            )
        scaled = (np.clip(x, self.low, self.high) - self.centre) / np.array(self.scale)
        eta = expand(scaled, self.monomials) @ np.array(self.coefficients)
        return sigmoid(eta)


def list_monomials(nfeatures: int, degree: int) -> list[tuple[int, ...]]:
    """Features of each monomial: (), (0,), (1,), ..., (0, 0), (0, 1), ..."""
    if type(degree) is not int or degree not in (1, 2):
        raise InputError(f"degree must be 1 or 2, not {shown(degree)}")
    return [
        factors
        for size in range(degree + 1)
        for factors in itertools.combinations_with_replacement(range(nfeatures), size)
    ]


def expand(x: FloatArray, monomials: Sequence[tuple[int, ...]]) -> FloatArray:
    """Monomials of scaled features: (nspec, nmonomials)."""
    return np.stack([np.prod(x[:, list(factors)], axis=1) for factors in monomials], axis=1)


def sigmoid(eta: FloatArray) -> FloatArray:
    """1 / (1 + exp(-eta)), without overflow."""
    small = np.exp(-np.abs(eta))
    return np.asarray(np.where(eta >= 0, 1.0, small) / (1 + small))


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of positive numbers over bins of x and y.

    ``values[i][j]`` is the number of bin i of x and j of y, whose edges increase; it is
    interpolated bilinearly between the middles of the bins, and constant beyond the outer ones.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            edges = finite_floats(getattr(self, name), name)
            object.__setattr__(self, name, edges)
            if len(edges) < 2 or any(b <= a for a, b in itertools.pairwise(edges)):
                raise InputError(f"{name} must be two edges or more that increase, not {edges}")
        object.__setattr__(
            self, "values", tuple(finite_floats(row, "values") for row in self.values)
        )
        shape = (len(self.x) - 1, len(self.y) - 1)
        if len(self.values) != shape[0] or any(len(row) != shape[1] for row in self.values):
            raise InputError(f"values must have the shape {shape} of the bins")
        if not all(value > 0 for row in self.values for value in row):
            raise InputError("values of a table must be positive")

    def __call__(self, x: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
        """The numbers at x and y, of shapes that broadcast; NaN gives NaN."""
        values = np.array(self.values)
        xs, ys = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        (i, next_i, fx), (j, next_j, fy) = _position(xs, self.x), _position(ys, self.y)
        first = values[i, j] * (1 - fy) + values[i, next_j] * fy
        second = values[next_i, j] * (1 - fy) + values[next_i, next_j] * fy
        return np.asarray(first * (1 - fx) + second * fx)


#: More candidates of a spectrum than this are an error of a file.
MAX_CANDIDATES = 100

#: Fields that files of format version 2 lack.
SINCE_3 = frozenset({"p_candidate", "candidates", "candidate_floor", "fraction_exponent"})

#: Keys of the weights files that differ from the attributes of `Calibration`.
FILE_KEYS = {"p_candidate": "p_verified", "fraction_exponent": "share_exponent"}


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

    Raises
    ------
    InputError
        A value is not legal.

    Examples
    --------
    >>> import qnet
    >>> calibration = qnet.load_model().calibration
    >>> calibration.p_threshold, calibration.z_range
    (0.5, (0.05, 6.8))
    >>> round(calibration.quasar_fraction, 2)
    0.54
    >>> calibration.p_qso.names
    ('logit_quasar', 'logit_c1', 'logit_c2', 'logit_agree', 'log_snr')
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
            expected = {field.name for field in dataclasses.fields(cls)} - SINCE_3
            check_keys(plain, expected, "the calibration")
            for name in ("p_qso", "p_bal", "p_candidate"):
                if plain.get(name) is not None:
                    plain[name] = Logistic(**plain[name])
            if plain["zerr"] is not None:
                plain["zerr"] = Table(**plain["zerr"])
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


def _position(
    values: FloatArray, edges: tuple[float, ...]
) -> tuple[IntArray, IntArray, FloatArray]:
    """Bins whose middles are on either side of each value, and its distance from the first."""
    middle = (np.array(edges[1:]) + np.array(edges[:-1])) / 2
    last = len(middle) - 1
    # Clipped at the ends; NaN keeps its NaN in the fraction.
    position = np.interp(values, middle, np.arange(last + 1.0))
    first = np.clip(np.nan_to_num(position, nan=0.0), 0, max(last - 1, 0)).astype(np.int64)
    return first, np.minimum(first + 1, last), np.asarray(position - first)
