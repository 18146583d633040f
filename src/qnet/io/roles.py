"""What the columns of a table of spectra hold: by UTYPE, by UCD, or by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qnet.core.errors import InputError, first_few

#: Names of columns, in lower case, by what they hold; best first.
NAMES: Mapping[str, tuple[str, ...]] = {
    "wave": (
        *("wave", "wavelength", "wavelengths", "lambda", "lam", "wl", "spectral_axis"),
        *("wave_vac", "wavelength_vac", "wave_air", "wavelength_air", "spectrum_lambda"),
    ),
    "loglam": ("loglam", "log_lambda", "log_wave", "log_wavelength"),
    "flux": (
        *("flux", "flux_value", "signal", "flux_density", "fluxdensity", "spectrum_flux"),
        *("flam", "f_lambda", "flux_lambda", "fnu", "f_nu", "flux_nu"),
    ),
    "ivar": ("ivar", "flux_ivar", "invvar", "inverse_variance", "spectrum_ivar"),
    "std": (
        *("error", "flux_error", "err", "sigma", "uncertainty", "err_flux", "flux_err", "e_flux"),
        *("error_flux", "flux_uncertainty", "flux_sigma", "fluxerr", "noise", "stdev", "std"),
    ),
    "var": ("variance", "var", "flux_var", "fluxvariance", "flux_variance", "var_flux"),
    "mask": ("mask", "qual", "dq", "quality", "spectrum_mask"),
    "and_mask": ("and_mask", "andmask"),
}

#: What the option `columns` calls these.
OPTIONS: Mapping[str, str] = {
    **{name: name for name in ("wave", "loglam", "flux", "ivar", "mask", "targetid")},
    "error": "std",
    "variance": "var",
}

#: Of these kinds one is needed.
_WAVES = ("wave", "loglam")
_NEEDED = (_WAVES, ("flux",))
ERRORS = ("ivar", "std", "var")

#: Ends of UTYPEs of the IVOA's Spectrum data model 1.1, in lower case.
_UTYPES = {
    "spectralaxis.value": "wave",
    "fluxaxis.value": "flux",
    "fluxaxis.accuracy.staterror": "std",
    "fluxaxis.quality": "mask",
}

#: UCDs of the IVOA's list 1.5, in lower case: the first word, and one of the others.
_UCDS = (
    (r"em\.(wl|freq|energy)\b.*", "wave"),
    (r"phot\.flux\.?dens(ity)?\b(?!.*\bstat\.).*", "flux"),
    (r"stat\.(error|stdev);phot\.flux.*|phot\.flux.*;stat\.(error|stdev)", "std"),
    (r"stat\.variance;phot\.flux.*|phot\.flux.*;stat\.variance", "var"),
    (r"meta\.code\.(qual|error)\b.*", "mask"),
    (r"meta\.id;meta\.main", "targetid"),
)


def is_pixels(name: str) -> bool:
    """Whether a column of this name holds pixels."""
    return any(name.lower() in names for names in NAMES.values())


class Described(NamedTuple):
    """A column of a table, or an image that is used as one, without its values."""

    name: str
    #: Text, or of astropy; None or '' where none is stated.
    unit: Any = None
    ucd: str = ""
    utype: str = ""
    #: Whether a row holds many numbers; None where that is not known before they are read.
    vector: bool | None = None


#: Names of the columns by what they hold.
Roles = dict[str, str]


def find_roles(
    columns: Sequence[Described], what: str, given: Mapping[str, str] | None = None
) -> Roles:
    """Names of the columns of pixels by what they hold; InputError where one is missing.

    Those that are `given` stand for what they are said to hold, by `OPTIONS`.
    """
    found = look_for_roles(columns, what, given)
    for kinds in (*_NEEDED, ERRORS):
        if kinds is not ERRORS and not any(kind in found for kind in kinds):
            legal = [name for kind in kinds for name in NAMES[kind]]
            few = first_few([column.name for column in columns], 12)
            raise InputError(f"the {what} lacks a column named one of {legal}; it has {few}")
    return found


def look_for_roles(
    columns: Sequence[Described], what: str, given: Mapping[str, str] | None = None
) -> Roles:
    """`find_roles` of a table that may lack some."""
    names = {column.name.lower(): column.name for column in columns}
    if twice := [column.name for column in columns if names[column.name.lower()] != column.name]:
        also = [names[name.lower()] for name in twice]
        raise InputError(
            f"columns {twice} and {also} of the {what} have one name but for letter case"
        )
    found = {role: _given(name, columns, what) for role, name in (given or {}).items()}
    # What is given rules out the other kinds of the same.
    ruled = {kind for kinds in (ERRORS, _WAVES) if found.keys() & kinds for kind in kinds}
    for role, column in _by_meaning(columns).items():
        if role not in ruled and column not in found.values():
            found.setdefault(role, column)
    if "targetid" in names:
        found.setdefault("targetid", names["targetid"])
    # The part of a structure is named after a point.
    last = {name.rpartition(".")[2]: full for name, full in reversed(names.items())}
    for role, candidates in NAMES.items():
        if role not in found and role not in ruled and not (role == "loglam" and "wave" in found):
            by_name = (last[name] for name in candidates if name in last)
            if (column := next(by_name, "")) and column not in found.values():
                found[role] = column
    return found


def _given(name: str, columns: Sequence[Described], what: str) -> str:
    """The column of a name, in any letter case, or of a number from 1."""
    for column in columns:
        if column.name.lower() == name.lower():
            return column.name
    if re.fullmatch(r"[0-9]{1,4}", name) and 0 < int(name) <= len(columns):
        return columns[int(name) - 1].name
    few = first_few([column.name for column in columns], 12)
    raise InputError(f"the {what} lacks the column {name!r} that was given; it has {few}")


def _by_meaning(columns: Sequence[Described]) -> Roles:
    """Columns by their UTYPE, else their UCD; of several that one whose name says so."""
    found: Roles = {}
    for meaning in (_of_utype, _of_ucd):
        candidates: dict[str, list[str]] = {}
        for described in columns:
            if (role := meaning(described)) and role not in found:
                candidates.setdefault(role, []).append(described.name)
        for role, names in candidates.items():
            named = [name for name in names if name.lower() in NAMES.get(role, ())]
            if (column := (named or names)[0]) not in found.values():
                found[role] = column
    return found


def _of_utype(column: Described) -> str:
    """What a column holds by its UTYPE; '' where that does not say."""
    space, _, path = column.utype.lower().rpartition(":")
    if space == "eso":  # of the flux before its reduction
        return ""
    return next((role for end, role in _UTYPES.items() if path.endswith(end)), "")


def _of_ucd(column: Described) -> str:
    """What a column holds by its UCD; '' where that does not say."""
    ucd = re.sub(r"\s", "", column.ucd.lower())
    return next((role for pattern, role in _UCDS if re.fullmatch(pattern, ucd)), "")
