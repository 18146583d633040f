"""Any table of spectra, or image with wavelengths in its header, by what its columns hold.

The reader of last resort, for FITS, VOTable, ECSV, Parquet and text: a row per spectrum with arrays
in its cells, a row per pixel, an HDU or table per object, or rows of an image.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arrays import AnyArray, IntArray
from qnet.core.errors import InputError, first_few, warn
from qnet.core.spectra import Spectra, stack
from qnet.io.columns import NO_ID
from qnet.io.fits.file import FitsFile
from qnet.io.openfile import OpenFile
from qnet.io.options import ReadOptions
from qnet.io.readers.registry import Reader, Request, left_out, register
from qnet.io.readers.wcs import SpectralAxis, spectral_axis
from qnet.io.roles import ERRORS, OPTIONS, Described, Roles, look_for_roles
from qnet.io.sheets import read_sheets
from qnet.io.tablefile import Sheet, TableFile
from qnet.io.tabular import from_columns
from qnet.io.units import as_unit, is_stated, stated_medium

#: Images that hold flux, where none is called so.
_IMAGES = ("sci", "data", "spectrum", "primary")

#: Name of the wavelengths that a header gives.
_AXIS = " axis"

#: Wavelengths [Angstrom] that are taken as such where no unit is stated.
_PLAIN = (1000.0, 1e5)

#: Cards that name an object, and its position [degree].
_NAME_CARDS = ("TARGETID", "OBJECT", "TARGNAME", "SOURCEID", "OBJID", "EXTNAME")
_POSITION_CARDS = {
    "TARGET_RA": ("RA", "RA_TARG", "TARG_RA"),
    "TARGET_DEC": ("DEC", "DEC_TARG", "TARG_DEC"),
}


@dataclasses.dataclass(frozen=True)
class _Found:
    """A table of spectra: what its columns hold, its spectra, and wavelengths of the header."""

    sheet: Sheet
    roles: Roles
    #: Whether a row is a spectrum, or a pixel.
    vector: bool

    @property
    def nspec(self) -> int:
        """Number of spectra."""
        return self.sheet.nrows if self.vector else 1

    def axis(self, npix: int) -> SpectralAxis | None:
        """Wavelengths by the header of the flux."""
        return spectral_axis(self.sheet.cards(self.roles["flux"]), npix, self.sheet.where)


class _Tables:
    """The reader, with what is given of the files."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._given = {OPTIONS[name]: column for name, column in options.columns.items()}

    def detect(self, file: OpenFile) -> bool:
        """Whether a file has tables of spectra, all of one kind, and no others."""
        return bool(self._find(file)) and not self.fault(file)

    def fault(self, file: OpenFile) -> str:
        """What is wrong with a file that has tables of spectra."""
        found = self._find(file)
        if not found:
            return ""
        kinds = {tuple(sorted(each.roles.items())): each for each in reversed(found)}
        if len(kinds) > 1:
            one, other = list(kinds.values())[-2:][::-1]
            return (
                f"holds spectra in {_name(one)} and in {_name(other)}, whose columns differ: say "
                "with columns which are meant"
            )
        flux = found[0].roles["flux"]
        if found[0].sheet.hdus and "flux" not in self._given:
            alone = not set(ERRORS) & found[0].roles.keys() and found[0].vector
            if alone and not found[0].sheet.name and "wave" not in found[0].roles:
                return (
                    f"has an image of {found[0].nspec} rows, {flux}, without one of its errors, so "
                    f"that a row may be a spectrum or not: say so with columns flux={flux}"
                )
        if self._given or not isinstance(file, FitsFile):
            return ""
        read = {
            each.sheet.hdus[name]
            for each in found
            for name in each.roles.values()
            if name in each.sheet.hdus
        }
        return left_out(file, read)

    def count(self, file: OpenFile) -> int:
        """Number of spectra."""
        return sum(each.nspec for each in self._find(file))

    def read(self, files: Sequence[OpenFile], request: Request) -> Spectra:
        """The spectra of all tables, in their order."""
        found = self._find(files[0])
        starts = np.cumsum([0, *(each.nspec for each in found)])
        rows = np.arange(starts[-1]) if request.rows is None else request.rows
        number = np.searchsorted(starts, rows, side="right") - 1
        parts, order = [], []
        for index, each in enumerate(found):
            chosen = np.flatnonzero(number == index)
            if len(chosen) or len(found) == 1:
                own = None if request.rows is None else rows[chosen] - starts[index]
                parts.append(self._read(each, own, first=int(starts[index])))
                order.append(chosen)
        spectra = parts[0] if len(parts) == 1 else stack(parts)
        back = np.argsort(np.concatenate(order), kind="stable")
        return spectra if (np.diff(back) == 1).all() else spectra.select(back)

    def _find(self, file: OpenFile) -> list[_Found]:
        """The tables of spectra of a file, with what their columns hold."""
        found = []
        sheets = read_sheets(file)
        for sheet in sheets:
            try:
                roles = look_for_roles(sheet.columns, "table", self._given)
            except InputError:
                if len(sheets) == 1:
                    raise
                continue  # without the columns given, or ambiguous
            if (each := _complete(sheet, roles)) is not None:
                found.append(each)
        return found

    def _read(self, found: _Found, rows: IntArray | None, *, first: int) -> Spectra:
        """Spectra of one table; `first` is the number of its first in the file."""
        sheet, roles = found.sheet, dict(found.roles)
        own = rows if found.vector else None
        plain = [c.name for c in sheet.columns if c.vector is False] if found.vector else []
        names = list(dict.fromkeys([*roles.values(), *plain]))
        columns: dict[str, Any] = dict(sheet.read(names, own))
        units = {c.name: c.unit for c in sheet.columns if c.name in names and is_stated(c.unit)}
        if "wave" not in roles and "loglam" not in roles:
            axis = found.axis(np.shape(columns[roles["flux"]])[-1])
            if axis is None:
                raise InputError(f"{sheet.where} states no wavelengths")
            roles["wave"], columns[_AXIS], units[_AXIS] = _AXIS, *axis
        for role, unit in (("wave", self._options.wave_unit), ("flux", self._options.flux_unit)):
            if unit and role in roles:
                units[roles[role]] = unit
                columns[roles[role]] = np.asarray(columns[roles[role]])
        if "wave" in roles:
            units[roles["wave"]] = _wave_unit(units.get(roles["wave"]))
            columns[roles["wave"]] = _shared(columns[roles["wave"]])
            if not is_stated(units.get(roles["wave"])):
                _check_plain(columns[roles["wave"]], sheet.where)
        spectra = from_columns(
            columns,
            "table",
            "table",
            self._air(found),
            False,
            roles=roles,
            units=units,
            where=sheet.where,
            name="table",
        )
        if found.vector and "targetid" in roles:
            return spectra
        nspec = len(spectra)
        row = first + (np.arange(nspec) if own is None else own)
        return dataclasses.replace(spectra, ids=_card_ids(found, spectra.ids, row))

    def _air(self, found: _Found) -> bool:
        """Whether wavelengths are in air, by what the file says, else by the option."""
        wave = found.roles.get("wave") or found.roles.get("loglam")
        column = next((c for c in found.sheet.columns if c.name == wave), Described(""))
        cards = found.sheet.cards(found.roles["flux"])
        air, where = stated_medium(cards, column.name, column.ucd)
        given = self._options.air
        if air is None and given is None:
            warn(
                f"{found.sheet.where} does not say whether its wavelengths are in air or in "
                "vacuum: they are taken for vacuum; say which with air (--medium)"
            )
        elif air is not None and given is not None and air != given:
            said = "air" if air else "vacuum"
            raise InputError(
                f"{found.sheet.where} says that its wavelengths are in {said} ({where}), but "
                f"{'air' if given else 'vacuum'} was given"
            )
        return bool(given if air is None else air)


def _name(found: _Found) -> str:
    """Name of a table in messages."""
    images = [name for name in found.roles.values() if not found.sheet.name]
    return found.sheet.name or (f"the images {first_few(images)}" if images else "a table")


def _complete(sheet: Sheet, roles: Roles) -> _Found | None:
    """A table of spectra of a sheet; None where it lacks flux or wavelengths."""
    if sheet.hdus and len(set(sheet.hdus.values())) == len(sheet.columns) and "flux" not in roles:
        names = {c.name.lower(): c.name for c in sheet.columns if c.name not in roles.values()}
        if (name := next((names[n] for n in _IMAGES if n in names), None)) is None:
            return None
        roles = {**roles, "flux": name}
    if "flux" not in roles:
        return None
    flux = next(c for c in sheet.columns if c.name == roles["flux"])
    found = _Found(sheet, roles, bool(flux.vector))
    if "wave" in roles or "loglam" in roles or found.axis(1) is not None:
        return found
    return None


def _shared(wave: Any) -> Any:
    """Wavelengths that are the same in all rows as those of one."""
    if getattr(wave, "ndim", 0) == 2 and len(wave) > 1 and wave.dtype.kind == "f":
        rows = np.asarray(wave)
        if not np.ma.is_masked(wave) and (rows == rows[0]).all():
            return wave[0]
    return wave


def _wave_unit(unit: Any) -> Any:
    """A unit of wavelengths, or of frequencies or energies; a text that astropy does not know."""
    if not isinstance(unit, str) or not is_stated(unit):
        return unit
    return as_unit(unit) or unit


def _check_plain(wave: Any, where: str) -> None:
    """Raise InputError unless wavelengths without a unit may be in Angstrom."""
    if getattr(wave, "dtype", np.dtype(object)).kind not in "fiu":
        return  # lists, and what is no number
    numbers = np.ma.compressed(np.ma.asarray(wave))
    good = numbers[np.isfinite(numbers) & (numbers > 0)]
    if len(good) and not _PLAIN[0] <= np.median(good) <= _PLAIN[1]:
        raise InputError(
            f"{where} states no unit of its wavelengths, which are {good.min():g} to "
            f"{good.max():g}, not Angstrom: say it with wave_unit"
        )


def _card_ids(found: _Found, ids: Mapping[str, AnyArray], rows: IntArray) -> dict[str, AnyArray]:
    """Ids with the name and position that cards give to a single object, else row numbers."""
    sheet, nspec = found.sheet, len(rows)
    cards = sheet.cards(found.roles["flux"])
    result = dict(ids)
    if found.nspec == 1:
        for column, names in _POSITION_CARDS.items():
            values = [cards[n] for n in names if isinstance(cards.get(n), float)]
            if values and column not in result:
                result[column] = np.full(nspec, values[0])
        text = [str(cards[n]).strip() for n in _NAME_CARDS if cards.get(n) not in (None, "")]
        if text and re.fullmatch(r"\d{1,18}", text[0]):
            return {**result, "TARGETID": np.full(nspec, int(text[0]))}
        if text:
            named = {"TARGETID": np.full(nspec, NO_ID), "TARGET_NAME": np.full(nspec, text[0])}
            return {**result, **named}
    warn(f"{sheet.where} has no TARGETID: it is the row number")
    return {**result, "TARGETID": np.asarray(rows, dtype=np.int64)}


def table_reader(options: ReadOptions) -> Reader:
    """The reader of tables, with what is given of them."""
    tables = _Tables(options)
    return Reader(
        name="table",
        survey="",
        hdus=(
            "columns, or images, of flux and wavelengths, perhaps ivar, error or variance, and "
            "mask: by UTYPE, UCD or names; or wavelengths by CRVAL1 and CDELT1 or CD1_1"
        ),
        targetid="column TARGETID; card OBJECT, as TARGET_NAME; else the row number",
        wavelengths="as the file states, else as --medium, else vacuum with a warning",
        no_weight="mask, quality or DQ not 0; bit 25 of and_mask",
        detect=tables.detect,
        fault=tables.fault,
        count=tables.count,
        read=tables.read,
        whole=False,
        ids=("TARGETID", "TARGET_NAME", "TARGET_RA", "TARGET_DEC", "all other plain columns"),
        opens=(FitsFile, TableFile),
        fallback=True,
    )


register(table_reader(ReadOptions()))
