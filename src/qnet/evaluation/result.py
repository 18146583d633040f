"""Catalogue of any classifier, as the evaluation sees it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import as_names, check_fields
from qnet.core.arrays import BoolArray, FloatArray, IntArray, as_numbers, as_rows
from qnet.core.checks import check_whole
from qnet.core.errors import InputError
from qnet.postprocess.decoding import C_THRESHOLD, MIN_LINES
from qnet.strategies.evidence import Evidence

#: Kinds, dimensions and type of the arrays of a `Result`.
_ARRAYS: Mapping[str, tuple[str, int, type[np.generic]]] = {
    "targetid": ("iu", 1, np.int64),
    "spectrum": ("iu", 1, np.int64),
    **dict.fromkeys(("zbest", "score", "snr", "ra", "dec", "zerr", "p_z"), ("fiu", 1, np.float64)),
    **dict.fromkeys(("is_qso", "never_qso", "is_bal"), ("b", 1, np.bool_)),
    **dict.fromkeys(("c_lines", "z_lines", "c_lines_bal"), ("fiu", 2, np.float64)),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """Catalogue read for evaluation, whatever its classifier.

    Attributes
    ----------
    name, kind : str
        Name of the catalogue, and its classifier: 'qnet', 'quasarnet', 'desi' (the afterburner),
        'redrock' or 'squeze'.
    targetid : ndarray of int64, shape (nspec,)
        Ids; several rows may have the same one.
    zbest : ndarray of float64, shape (nspec,)
        Redshifts; NaN where there is none.
    is_qso, criterion : ndarray of bool, shape (nspec,); str
        Rows called quasars by the catalogue's own criterion, and that criterion in words.
    never_qso : ndarray of bool, shape (nspec,)
        Rows that no criterion calls quasars: no data, bad fibre.
    score, score_name : ndarray of float64, shape (nspec,), or None; str
        P_QSO or PROB, and which of them; None in a catalogue without.
    lines, rest : tuple of str, mapping of str to float
        Emission lines, and their rest wavelengths [Angstrom] as far as known.
    c_lines, z_lines : ndarray of float64, shape (nspec, nlines), or None
        Confidence and redshift of each line; NaN where there is none.
    c_lines_bal : ndarray of float64, shape (nspec, nbal), or None
        Confidences of the BAL lines.
    is_bal : ndarray of bool, shape (nspec,), or None
        Rows called BAL quasars by the catalogue's own criterion.
    snr : ndarray of float64, shape (nspec,), or None
        Signal-to-noise ratio, as the catalogue gives it.
    c_threshold, min_lines : float, int
        The catalogue's own threshold of the confidences, and lines needed above it.
    left_out : mapping of str to int
        Rows of the file that are not here, by reason.
    ra, dec : ndarray of float64, shape (nspec,), or None
        Positions [degree], as far as the catalogue has them.
    zerr, p_z : ndarray of float64, shape (nspec,), or None
        Error of `zbest`, and the probability that it is within 3000 km/s of the truth; NaN where
        there is none.
    spectrum : ndarray of int64, shape (nspec,), or None
        Numbers of the spectra by plate, MJD and fibre (`qnet.io.read_truth`), -1 without.
    evidence : qnet.strategies.evidence.Evidence or None
        The columns that strategies use, as the catalogue gives them.

    Raises
    ------
    InputError
        An array is not of the shape or type above.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet.evaluation import Result
    >>> quasars = np.array([True, False, True])
    >>> result = Result("mine", "qnet", np.arange(3), np.ones(3), quasars, "by eye", ~quasars)
    >>> len(result.select(result.is_qso))
    2
    """

    name: str
    kind: str
    targetid: IntArray
    zbest: FloatArray
    is_qso: BoolArray
    criterion: str
    never_qso: BoolArray
    score: FloatArray | None = None
    score_name: str = ""
    lines: tuple[str, ...] = ()
    rest: Mapping[str, float] = dataclasses.field(default_factory=dict)
    c_lines: FloatArray | None = None
    z_lines: FloatArray | None = None
    c_lines_bal: FloatArray | None = None
    is_bal: BoolArray | None = None
    snr: FloatArray | None = None
    c_threshold: float = C_THRESHOLD
    min_lines: int = MIN_LINES
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    ra: FloatArray | None = None
    dec: FloatArray | None = None
    zerr: FloatArray | None = None
    p_z: FloatArray | None = None
    evidence: Evidence | None = None
    spectrum: IntArray | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "lines", as_names("lines", self.lines))
        nspec = as_numbers("targetid", self.targetid, kinds="iu").shape[:1]
        for field in dataclasses.fields(self):
            if field.name not in _ARRAYS:
                continue
            kinds, ndim, dtype = _ARRAYS[field.name]
            if (given := getattr(self, field.name)) is None and field.default is None:
                continue
            values = as_numbers(field.name, given, kinds=kinds, ndim=ndim)
            of_lines = field.name in ("c_lines", "z_lines")
            expected = (*nspec, len(self.lines)) if of_lines else (*nspec, *values.shape[1:])
            if values.shape != expected:
                raise InputError(
                    f"{field.name} has shape {values.shape}, but {expected} was expected: a row "
                    f"per targetid{', a column per line' if of_lines else ''}"
                )
            object.__setattr__(self, field.name, values.astype(dtype, copy=False))
        check_whole("min_lines", self.min_lines, least=1)

    def __len__(self) -> int:
        return len(self.targetid)

    def select(self, rows: npt.ArrayLike) -> Result:
        """Some of the rows, by index or mask."""
        rows = as_rows(rows, len(self))
        arrays = {
            field.name: getattr(self, field.name)[rows]
            for field in dataclasses.fields(self)
            if isinstance(getattr(self, field.name), np.ndarray)
        }
        evidence = None if self.evidence is None else self.evidence.select(rows)
        return dataclasses.replace(self, **arrays, evidence=evidence)
