"""4MOST containers of many spectra: those of a night, a row each, with the data of the fibres."""

from __future__ import annotations

from collections.abc import Sequence

from qnet.core.spectra import Spectra
from qnet.io.fits.file import FitsFile
from qnet.io.fits.scaling import column_numbers
from qnet.io.pixels import Pixels, make_spectra
from qnet.io.readers import qmost
from qnet.io.readers.registry import Reader, Request, left_out, recognised, register
from qnet.io.readers.rows import lacks_columns
from qnet.io.readers.wcs import linear_wave
from qnet.io.units import stated_unit, states_vacuum

_SPECTRA, _FIBRES = "SPECTAB", "FIBMETATAB"


def _is_mec(fits: FitsFile) -> bool:
    """Whether there are a table of spectra and one of their fibres."""
    return fits.is_table(_SPECTRA) and fits.is_table(_FIBRES)


def _fault(fits: FitsFile) -> str:
    """What is wrong with a file of such tables."""
    weight = qmost.weights(fits.columns(_SPECTRA))[0] or "FLUX_IVAR"
    if fault := lacks_columns(fits, _SPECTRA, ("FLUX", weight)):
        return fault
    count = fits.nrows(_SPECTRA)
    if fits.nrows(_FIBRES) != count:
        return f"HDU {_FIBRES} has {fits.nrows(_FIBRES)} rows, but there are {count} spectra"
    return left_out(fits, [fits.all_names.index(_SPECTRA)])


def _read(files: Sequence[FitsFile], request: Request) -> Spectra:
    """Read spectra of a container."""
    (fits,) = files
    have, header = fits.columns(_SPECTRA), fits.header(_SPECTRA)
    weight, kind = qmost.weights(have)
    qual = ["QUAL"] if "QUAL" in have else []
    columns = fits.table(_SPECTRA, ["FLUX", weight, *qual], request.rows)
    if columns["FLUX"].ndim == 1:  # a pixel a spectrum
        columns = {name: column[:, None] for name, column in columns.items()}
    flux, where = columns["FLUX"], f"{fits.path}: HDU {_SPECTRA}"
    # Cards of the wavelengths end with the number of the column that has the pixels.
    end = column_numbers(header, ["FLUX"])["FLUX"]
    cards = (f"1CRVL{end}", (f"1CDLT{end}",), f"1CRPX{end}")
    pixels = Pixels(
        wave=linear_wave(header, flux.shape[1], where, cards=cards),
        wave_unit=str(header.get(f"1CUNI{end}", "")),
        flux=flux,
        flux_unit=stated_unit(fits, _SPECTRA, "FLUX"),
        weights=columns[weight],
        weight_unit=stated_unit(fits, _SPECTRA, weight),
        kind=kind,
        bad=columns["QUAL"] != 0 if qual else None,
        air=not states_vacuum({**header, "CTYPE1": header.get(f"1CTYP{end}", "")}),
        where=where,
    )
    wanted = {*("FIB_USE", "FIB_ST"), *(name for names in qmost.NAMES.values() for name in names)}
    names = [name for name in fits.columns(_FIBRES) if name in wanted]
    values = fits.table(_FIBRES, names, request.rows) if names else {}
    ids = qmost.target_ids(fits, values, len(flux))
    return make_spectra([pixels], ids, flag=qmost.row_flags(fits, values, len(flux)))


register(
    Reader(
        name="4MOST container of spectra",
        hdus=f"table {_SPECTRA} with FLUX, FLUX_IVAR or ERR_FLUX, and table {_FIBRES}",
        **recognised(_is_mec, _fault),
        count=lambda fits: fits.nrows(_SPECTRA),
        read=_read,
        whole=False,
        **qmost.DECLARED,
    )
)
