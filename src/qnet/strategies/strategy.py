"""A strategy: a named rule from evidence to a decision and a redshift."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arguments import as_names, check_fields
from qnet.core.arrays import BoolArray, FloatArray
from qnet.core.errors import InputError, reason, shown, warn
from qnet.core.flags import NEVER_QSO, QNFlag
from qnet.strategies.evidence import EVIDENCE, PREDICTIONS, Evidence

if TYPE_CHECKING:
    from astropy.table import Table


@dataclasses.dataclass(frozen=True, eq=False)
class Decision:
    """Decisions of a strategy, row by row.

    Attributes
    ----------
    is_qso : ndarray of bool, shape (nrows,)
        Rows that are quasars.
    z : ndarray of float64, shape (nrows,)
        Redshift, if it is a quasar; NaN without any.
    inspect : ndarray of bool, shape (nrows,)
        Rows that need visual inspection; they are not quasars without it.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.strategies import STRATEGIES
    >>> rows = Table({"C_LINES": [[0.7, 0.1], [0.2, 0.3]], "ZBEST": [2.1, 0.4]})
    >>> decision = STRATEGIES["tutorial"](rows)
    >>> decision.is_qso, decision.z
    (array([ True, False]), array([2.1, 0.4]))
    """

    is_qso: BoolArray
    z: FloatArray
    inspect: BoolArray

    def __len__(self) -> int:
        return len(self.z)

    def to_table(self) -> Table:
        """`astropy.table.Table` with the columns IS_QSO, Z and INSPECT."""
        from astropy.table import Table

        return Table({"IS_QSO": self.is_qso, "Z": self.z, "INSPECT": self.inspect})


#: A rule: evidence and the strategy's numbers to rows that are quasars, their redshifts, and, where
#: it leaves some to visual inspection, these.
Rule = Callable[[Evidence, Mapping[str, Any]], tuple[Any, ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class Strategy:
    """A published selection criterion: a pure function of a table.

    Called with a table (an astropy Table, or a mapping of columns), it returns a `Decision`. Rows
    with the flags `NODATA`, `CONSTANT` or `NOT_TARGET` in QN_FLAG are never quasars; nor are those
    with `NO_EVIDENCE` or `BAD_FIBER`, unless the strategy has its own rule for fibres.

    Attributes
    ----------
    name, version : str, int
        The version changes with any decision that it makes.
    summary : str
        The rule in words, with the redshift that it gives.
    source : str
        Where it is published.
    numbers : mapping of str to float or tuple
        Its thresholds and limits; `summary` names them as ``{c_threshold:g}``.
    needs, uses : tuple of str
        Required and optional evidence (`qnet.strategies.evidence.EVIDENCE`). A `QnetWarning` names
        missing optional evidence.

    Raises
    ------
    InputError
        The table lacks required evidence, or a column is of the wrong type.

    See Also
    --------
    as_strategy : the strategy of a name.

    Examples
    --------
    >>> from qnet.strategies import STRATEGIES
    >>> strategy = STRATEGIES["quasarnet"]
    >>> print(strategy, dict(strategy.numbers))
    quasarnet@1 {'c_threshold': 0.4, 'min_lines': 1}
    """

    name: str
    version: int
    summary: str
    source: str
    rule: Rule
    numbers: Mapping[str, Any]
    needs: tuple[str, ...]
    uses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("needs", "uses"):
            items = as_names(name, getattr(self, name), "kinds of evidence")
            if unknown := [item for item in items if item not in EVIDENCE]:
                raise InputError(
                    f"{name} must be among {', '.join(EVIDENCE)}, not {shown(unknown[0])}"
                )
        try:
            object.__setattr__(self, "summary", self.summary.format(**self.numbers))
        except (LookupError, ValueError, AttributeError, TypeError) as error:
            raise InputError(
                f"summary must name numbers in braces, which {shown(self.summary)} does not "
                f"({reason(error)})"
            ) from error

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def of_predictions(self) -> bool:
        """Whether it needs the predictions of a model only."""
        return set(self.needs) <= PREDICTIONS

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it needs, each by its first name."""
        return tuple(EVIDENCE[item].columns[0] for item in self.needs)

    @property
    def further_columns(self) -> tuple[str, ...]:
        """The optional columns, each by its first name."""
        return tuple(EVIDENCE[item].columns[0] for item in self.uses)

    def __call__(self, table: Table | Mapping[str, Any] | Evidence) -> Decision:
        """The decisions for the rows of a table."""
        evidence = table if isinstance(table, Evidence) else Evidence(table)
        for item in self.needs:
            if item not in evidence:
                raise type(error := evidence.missing(item))(f"{self}: {error}")
        if absent := evidence.lacking(self.uses):
            warn(f"{self}: the table has no {', '.join(absent)}: decided without")
        with np.errstate(invalid="ignore"):
            is_qso, z, *inspect = self.rule(evidence, self.numbers)
        never = np.zeros(len(evidence), dtype=bool)
        if "qn_flag" in evidence:
            own = QNFlag.BAD_FIBER | QNFlag.NO_EVIDENCE if "fiberstatus" in self.uses else 0
            never = (evidence["qn_flag"] & (NEVER_QSO & ~own)) != 0
        rest = inspect[0] if inspect else np.zeros_like(never)
        return Decision(is_qso & ~never, z.astype(np.float64), rest & ~never)
