"""ESO Phase 3 spectra: of X-shooter, UVES, FORS, VIMOS and all others of its archive.

ESO Science Data Products Standard (GEN-SPE-ESO-33000-5335), section on spectra: one table of one
row, a vector cell a quantity, which TUTYPn identifies (IVOA Spectrum Data Model 1.1 and 2.0). TUCD
of the spectral axis is em.wl in vacuum, em.wl;obs.atmos in air. QUAL is 0 where a pixel is good.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qnet.core.errors import warn
from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers import aat
from qnet.io.readers.qmost import is_qmost
from qnet.io.readers.registry import Reader, left_out, recognised, register, whole_file
from qnet.io.readers.rows import relative_unit

#: What columns are, by the end of their TUTYP; ESO's own pipelines misspell Accuracy.
_ROLES = {
    "spectralaxis.value": "wave",
    "fluxaxis.value": "flux",
    "fluxaxis.accuracy.staterror": "error",
    "fluxaxis.accurancy.staterror": "error",
    "fluxaxis.accuracy.qualitystatus": "quality",
    "fluxaxis.accurancy.qualitystatus": "quality",
}

#: Names of the columns in files without TUTYP.
_NAMES = {"WAVE": "wave", "FLUX": "flux", "ERR": "error", "ERR_FLUX": "error", "QUAL": "quality"}


class _Column(NamedTuple):
    """A column of the table: its name, role, namespace of TUTYP, UCD and unit."""

    name: str
    role: str
    space: str
    ucd: str
    unit: str

    def rank(self) -> tuple[bool, ...]:
        """Worse things of a flux: normalised, not calibrated, not the main one, ESO's own."""
        other = "meta.main" not in self.ucd
        return "arith.ratio" in self.ucd, "uncalib" in self.ucd, other, self.space == "eso"


def _columns(fits: FitsFile) -> list[_Column]:
    """The columns of HDU 1 that have a role."""
    header, found = fits.header(1), []
    for number, name in enumerate(fits.columns(1), start=1):
        utype, ucd, unit = (
            str(header.get(f"{card}{number}", "")).strip() for card in ("TUTYP", "TUCD", "TUNIT")
        )
        space, _, kind = utype.lower().partition("data.")
        role = _ROLES.get(kind, "") if utype else _NAMES.get(name, "")
        if role:
            found.append(_Column(name, role, space.rstrip(":."), ucd.lower(), unit))
    return found


def _is_phase3(fits: FitsFile) -> bool:
    """Whether HDU 1 is a table of one row that the header says is a Phase 3 spectrum."""
    if fits.nrows(1) != 1 or is_qmost(fits):  # which has a reader of its own
        return False
    product = str(fits.header(0).get("PRODCATG", "")).startswith("SCIENCE.SPECTRUM")
    voclass = str(fits.header(1).get("VOCLASS", "")).upper().startswith("SPECTRUM")
    return (product or voclass) and "flux" in {column.role for column in _columns(fits)}


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such a table."""
    if "wave" not in {column.role for column in _columns(fits)}:
        return f"HDU number 1 lacks a spectral axis; it has {', '.join(fits.columns(1)[:12])}"
    return left_out(fits, [1])


def _read(fits: FitsFile) -> Spectra:
    """Read the default flux of a Phase 3 spectrum, with its errors."""
    columns = _columns(fits)
    flux = min((column for column in columns if column.role == "flux"), key=_Column.rank)
    found: dict[str, Any] = {"flux": flux}
    for role in ("wave", "error", "quality"):
        named = [column for column in columns if column.role == role]
        same = [column for column in named if column.space == flux.space]
        # One wavelength or quality serves all fluxes; an error goes with one only.
        found[role] = next(iter(same or ([] if role == "error" else named)), None)
    chosen = [column.name for column in found.values() if column is not None]
    table = {name: np.atleast_2d(values) for name, values in fits.table(1, chosen).items()}
    wave, error, quality = (found[role] for role in ("wave", "error", "quality"))
    where = f"{fits.path}: HDU 1"
    unit = relative_unit(flux.unit, where)
    if not wave.ucd:
        warn(
            f"{where} does not say by TUCD whether its wavelengths are in air or in vacuum: they "
            "are taken for vacuum"
        )
    pixels = Pixels(
        wave=table[wave.name],
        flux=table[flux.name],
        weights=None if error is None else table[error.name],
        kind="std",
        wave_unit=wave.unit,
        flux_unit=unit,
        weight_unit=None if error is None or unit is None else error.unit or unit,
        bad=None if quality is None else table[quality.name] > 0,
        air="obs.atmos" in wave.ucd,
        name=str(fits.header(0).get("INSTRUME", "ESO")),
        where=where,
    )
    return make_spectra([pixels], aat.card_ids(fits, 0, ["OBJECT"]))


register(
    Reader(
        name="ESO Phase 3 spectrum",
        survey="ESO",
        hdus="HDU 1 a table of one row with TUTYP or WAVE, FLUX, ERR; PRODCATG SCIENCE.SPECTRUM",
        targetid="-1, with OBJECT in TARGET_NAME",
        wavelengths="air, converted to vacuum, if TUCD states obs.atmos, else vacuum; centres",
        no_weight="pixels whose QUAL is not 0",
        **recognised(_is_phase3, _fault),
        **whole_file(_read),
        ids=("TARGETID", "TARGET_NAME", "TARGET_RA", "TARGET_DEC"),
    )
)
