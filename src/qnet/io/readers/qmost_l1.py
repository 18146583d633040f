"""4MOST L1 files of one spectrum, of the joined arms or of one: ESO's science data products."""

from __future__ import annotations

import numpy as np

from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers import qmost
from qnet.io.readers.registry import Reader, left_out, recognised, register, whole_file
from qnet.io.readers.rows import lacks_columns
from qnet.io.units import stated_unit, states_vacuum

_TABLE = "PHASE3SPECTRUM"


def _is_l1(fits: FitsFile) -> bool:
    """Whether there is a table of a spectrum, of the instrument."""
    return fits.is_table(_TABLE) and qmost.is_qmost(fits)


def _fault(fits: FitsFile) -> str:
    """What is wrong with the file of such a table."""
    weight = qmost.weights(fits.columns(_TABLE))[0] or "ERR_FLUX"
    if fault := lacks_columns(fits, _TABLE, ("WAVE", "FLUX", weight)):
        return fault
    if fits.nrows(_TABLE) != 1:
        return f"HDU {_TABLE} has {fits.nrows(_TABLE)} rows, but 1 was expected"
    return left_out(fits, [fits.all_names.index(_TABLE)])


def _read(fits: FitsFile) -> Spectra:
    """Read the file of a spectrum."""
    have = fits.columns(_TABLE)
    weight, kind = qmost.weights(have)
    qual = ["QUAL"] if "QUAL" in have else []
    columns = fits.table(_TABLE, ["WAVE", "FLUX", weight, *qual])
    header = {**fits.header(0), **fits.header(_TABLE)}
    pixels = Pixels(
        wave=columns["WAVE"][0],
        wave_unit=stated_unit(fits, _TABLE, "WAVE"),
        flux=columns["FLUX"],
        flux_unit=stated_unit(fits, _TABLE, "FLUX"),
        weights=columns[weight],
        weight_unit=stated_unit(fits, _TABLE, weight),
        kind=kind,
        bad=columns["QUAL"] != 0 if qual else None,
        air=not states_vacuum(header),
        where=f"{fits.path}: HDU {_TABLE}",
    )
    cards = {name: np.array([value]) for name, value in header.items()}
    ids = qmost.target_ids(fits, cards, 1)
    return make_spectra([pixels], ids, flag=qmost.row_flags(fits, cards, 1))


register(
    Reader(
        name="4MOST L1 file",
        hdus=f"INSTRUME QMOST, table {_TABLE} with WAVE, FLUX, ERR_FLUX or FLUX_IVAR",
        **recognised(_is_l1, _fault),
        **whole_file(_read),
        **qmost.DECLARED,
    )
)
