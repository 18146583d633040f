"""SDSS, BOSS, eBOSS and SDSS-V spec files: one spectrum each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qnet.core.arrays import AnyArray
from qnet.core.columns import SDSS_TARGETS
from qnet.core.errors import FileError
from qnet.core.spectra import Camera, Spectra
from qnet.io.columns import NO_ID, float_column, id_columns, pixel_column
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import settle_flux
from qnet.io.readers import sdss
from qnet.io.readers.lamost import is_lamost
from qnet.io.readers.registry import Reader, left_out, recognised, register, whole_file
from qnet.io.readers.rows import lacks_columns
from qnet.io.units import Stated, check_loglam, stated_unit, stated_vacuum, to_wave

#: Id columns of a catalogue by their names in the one-row table of a spec file, best first.
_IDS: Mapping[str, tuple[str, ...]] = {
    "PLATE": ("PLATE", "PLATEID"),
    "MJD": ("MJD",),
    "FIBERID": ("FIBERID",),
    "THING_ID": ("THING_ID",),
    "FIELD": ("FIELD",),
    "CATALOGID": ("CATALOGID",),
    "SDSS_ID": ("SDSS_ID",),
    "TARGET_INDEX": ("TARGET_INDEX",),
    "TARGET_RA": ("PLUG_RA", "RACAT", "FIBER_RA", "RA"),
    "TARGET_DEC": ("PLUG_DEC", "DECCAT", "FIBER_DEC", "DEC"),
    "OBJTYPE": ("OBJTYPE",),
    "OBS": ("OBS",),
}

#: Columns that only SDSS-V has; FIELD means something else in older files.
_SDSS5_ONLY = ("FIELD", "CATALOGID", "SDSS_ID", "TARGET_INDEX", "OBS")

#: Of the header's cards these are the telescope's, not the object's.
_TELESCOPE_CARDS = ("RA", "DEC", "OBJTYPE")

#: Columns of the coadd that are read; AND_MASK too, where there is one.
_COLUMNS = ("LOGLAM", "FLUX", "IVAR")

#: Names of tables of single exposures, which the coadd is made of.
_EXPOSURES = r"[BR]\d-\d+.*|MJD_EXP_.*"


def _coadd(fits: FitsFile) -> str | int:
    """The table of the coadd: by its name, else HDU 1."""
    return "COADD" if "COADD" in fits else 1


def _is_spec(fits: FitsFile) -> bool:
    """Whether there is a table COADD, or a column loglam in HDU 1."""
    have = fits.columns(key := _coadd(fits))
    return bool(have) and (key == "COADD" or "LOGLAM" in have) and not is_lamost(fits)


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such a table: a missing column, or other spectra."""
    have = fits.columns(key := _coadd(fits))
    label = f"HDU {key}" if key == "COADD" else "HDU number 1"
    if fault := lacks_columns(fits, key, _COLUMNS):
        return fault
    masks = [name for name in have if "MASK" in name and name != "OR_MASK"]
    if masks and "AND_MASK" not in masks:
        return f"{label} has the mask {', '.join(masks)} in place of and_mask"
    if shape := fits.shape(0):
        return f"holds an image {shape} in HDU 0 beside the spectrum, that would be left out"
    number = fits.all_names.index("COADD") if key == "COADD" else 1
    return left_out(fits, [number], but=_EXPOSURES)


def _read(fits: FitsFile) -> Spectra:
    """Read a spec file."""
    key = _coadd(fits)
    masked = ["AND_MASK"] if "AND_MASK" in fits.columns(key) else []
    data = fits.table(key, [*_COLUMNS, *masked])
    loglam = float_column(data["LOGLAM"], "LOGLAM", fits.path)
    check_loglam(stated_unit(fits, key, "LOGLAM"))
    flux, ivar = (pixel_column(data[name], name, fits.path) for name in ("FLUX", "IVAR"))
    if masked:
        mask = pixel_column(data["AND_MASK"], "AND_MASK", fits.path, integers=True)
        ivar = sdss.without_rejected(ivar, mask)
    ids = _read_ids(fits)
    camera = Camera("coadd", to_wave(loglam), flux[None], ivar[None])
    units = [stated_unit(fits, key, name) for name in ("FLUX", "IVAR")]
    stated = Stated(f"{fits.path}: HDU {key}", *units) if units[0] else sdss.stated_units(fits)
    cameras, unit = settle_flux([stated_vacuum(camera, fits, 0, key)], [stated])
    return Spectra(
        cameras=cameras,
        ids=ids,
        flag=sdss.sky_flag(ids),
        cards=sdss.reduction_cards(fits),
        flux_unit=unit,
    )


def _read_ids(fits: FitsFile) -> dict[str, AnyArray]:
    """Ids of a spec file, from its one-row table, or from the header where that lacks them."""
    table = next((name for name in ("SPALL", "SPECOBJ") if name in fits), None)
    row = table or (2 if fits.is_table(2) and fits.nrows(2) == 1 else None)
    if row is not None and fits.nrows(row) != 1:
        raise FileError(f"{fits.path}: HDU {row} has {fits.nrows(row)} rows, but 1 was expected")
    have = [] if row is None else fits.columns(row)
    header = fits.header(0)
    sdss5 = "CATALOGID" in have or "SDSS_ID" in have
    columns: dict[str, str] = {}
    values: dict[str, AnyArray] = {}
    for name, candidates in _IDS.items():
        if name in _SDSS5_ONLY and not sdss5:
            continue
        column = next((candidate for candidate in candidates if candidate in have), None)
        if column is not None:
            columns[name] = column
        else:
            cards = [header.get(card) for card in candidates if card not in _TELESCOPE_CARDS]
            if known := [value for value in cards if value is not None]:
                values[name] = np.array(known[:1])
    columns |= {name: name for name in SDSS_TARGETS if name in have}
    if row is not None and columns:
        found = fits.table(row, list(columns.values()))
        values |= {name: found[column] for name, column in columns.items()}
    source = "CATALOGID" if sdss5 else "THING_ID"
    if source not in values:
        sdss.warn_no_id(fits, source)
        values[source] = np.full(1, NO_ID, dtype=np.int64)
    return id_columns(sdss.without_null_bits(values), fits.path, target=source)


register(
    Reader(
        name="SDSS spec file",
        survey="SDSS",
        hdus="table COADD, or HDU 1 with a column loglam: loglam, flux, ivar, perhaps and_mask",
        targetid="THING_ID, in SDSS-V CATALOGID, else -1",
        wavelengths="vacuum, centres",
        no_weight="bit 25 (COMBINEREJ) of and_mask",
        **recognised(_is_spec, _fault),
        **whole_file(_read),
        ids=(*_IDS, "TARGET_NAME", "target bits"),
        qso_targets=sdss.QSO_TARGETS,
    )
)
