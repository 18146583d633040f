"""SDSS-V mwmStar and mwmVisit files of astra: a source's coadds, or its visits.

From sdss/datamodel mwmVisit.json (DR19, DR20) and sdss/astra (products.boss, products.mwm): tables
BOSS/APO, BOSS/LCO, APOGEE/APO and APOGEE/LCO, some without rows, on wavelengths in vacuum by CRVAL
and CDELT or in a column. They are in the rest frame of a star, from which they are taken back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from qnet.core.arrays import AnyArray, FloatArray
from qnet.core.errors import FileError
from qnet.core.spectra import Camera, Spectra, stack
from qnet.io.columns import NO_ID, float_column, id_columns
from qnet.io.fits.file import FitsFile
from qnet.io.readers.registry import Reader, left_out, recognised, register, whole_file
from qnet.io.readers.rows import lacks_columns
from qnet.io.readers.wcs import linear_wave
from qnet.io.units import to_wave
from qnet.lines import SPEED_OF_LIGHT

#: Names of tables of an instrument, and an observatory.
_TABLE = re.compile(r"(BOSS|APOGEE)(/(APO|LCO))?")

#: Columns of tables by their names in a catalogue, the best first.
_COLUMNS = {
    "FIELD": ("FIELDID",),
    "MJD": ("MJD", "MAX_MJD"),
    "CATALOGID": ("CATALOGID",),
    "SDSS_ID": ("SDSS_ID",),
    "OBS": ("TELESCOPE",),
}

#: Cards of the source by the names of columns, where tables have none.
_CARDS = {"SDSS_ID": "SDSS_ID", "CATALOGID": "CAT_ID", "TARGET_RA": "RA", "TARGET_DEC": "DEC"}


def _tables(fits: FitsFile) -> list[int]:
    """Numbers of the tables of spectra."""
    names = enumerate(fits.all_names)
    return [n for n, name in names if _TABLE.fullmatch(name) and fits.is_table(n)]


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such tables."""
    for number in _tables(fits):
        if fault := lacks_columns(fits, fits.all_names[number], ("FLUX", "IVAR")):
            return fault
    return left_out(fits, _tables(fits))


def _count(fits: FitsFile) -> int:
    """Number of spectra, of all tables one after the other."""
    return sum(map(fits.nrows, _tables(fits)))


def _read(fits: FitsFile) -> Spectra:
    """Read all spectra of a source."""
    parts = [_table(fits, number) for number in _tables(fits) if fits.nrows(number)]
    if not parts:
        raise FileError(f"{fits.path}: none of its tables of spectra has a row")
    return stack(parts) if len(parts) > 1 else parts[0]


def _table(fits: FitsFile, number: int) -> Spectra:
    """The spectra of a table."""
    have, nrows = fits.columns(number), fits.nrows(number)
    names = {name: next((c for c in some if c in have), "") for name, some in _COLUMNS.items()}
    velocity = "XCSAO_V_RAD" if "IN_STACK" in have else "V_RAD"
    scalars = [name for name in (*names.values(), velocity, "IN_STACK") if name in have]
    own = ["WAVELENGTH"] if "WAVELENGTH" in have else []
    columns = fits.table(number, ["FLUX", "IVAR", *own, *scalars])
    flux, ivar = (columns[name].reshape(nrows, -1) for name in ("FLUX", "IVAR"))  # nrows > 0
    where = f"{fits.path}: HDU {fits.all_names[number]}"
    if own:
        wave: FloatArray = columns["WAVELENGTH"].astype(np.float64)
    else:
        cards = ("CRVAL", ("CDELT",), "CRPIX")
        wave = to_wave(linear_wave(fits.header(number), flux.shape[1], where, cards=cards))
    speeds = _speeds(columns, velocity, nrows, fits)
    if speeds.any():
        wave = np.broadcast_to(wave, flux.shape) / (1 - speeds / SPEED_OF_LIGHT)[:, None]
    header = fits.header(0)
    ids: dict[str, AnyArray] = {
        name: np.full(nrows, header[card]) for name, card in _CARDS.items() if card in header
    }
    ids |= {name: columns[column] for name, column in names.items() if column in columns}
    ids.setdefault("CATALOGID", np.full(nrows, NO_ID))
    if "OBS" in ids:  # the observatory of a telescope: APO of apo25m
        ids["OBS"] = np.char.upper(ids["OBS"].astype("U3"))
    checked = id_columns(ids, fits.path, target="CATALOGID")
    return Spectra(cameras=(Camera("coadd", wave, flux, ivar),), ids=checked)


def _speeds(
    columns: Mapping[str, AnyArray], velocity: str, nrows: int, fits: FitsFile
) -> FloatArray:
    """Velocities [km/s] that were taken from the wavelengths of each row; 0 where none was."""
    if velocity not in columns:
        return np.zeros(nrows)
    speeds = float_column(columns[velocity], velocity, fits.path)
    # Visits that are not stacked are not shifted; in a coadd all were.
    shifted = np.asarray(columns.get("IN_STACK", np.ones(nrows)), dtype=bool)
    return np.where(shifted & (np.abs(speeds) < SPEED_OF_LIGHT / 10), speeds, 0.0)


register(
    Reader(
        name="SDSS-V mwmStar or mwmVisit file",
        survey="SDSS",
        hdus="tables BOSS/APO, BOSS/LCO, APOGEE/APO, APOGEE/LCO with flux and ivar",
        targetid="catalogid, else CAT_ID of the header, else -1",
        wavelengths="vacuum, centres, taken back from the rest frame of the star",
        no_weight="",
        **recognised(lambda fits: bool(_tables(fits)), _fault),
        **whole_file(_read, _count),
        ids=("TARGETID", *_COLUMNS, "TARGET_NAME", "TARGET_RA", "TARGET_DEC"),
    )
)
