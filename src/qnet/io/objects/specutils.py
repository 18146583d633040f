"""Spectra from specutils objects, recognised by what they can do: specutils is not imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from qnet.core.arguments import check_arguments, has_attributes
from qnet.core.arrays import AnyArray, BoolArray, as_numbers
from qnet.core.errors import InputError, warn
from qnet.core.guards import foreign_faults
from qnet.core.spectra import Spectra, stack
from qnet.io.columns import filled, id_columns
from qnet.io.objects.arrays import one_camera
from qnet.io.objects.kind import ObjectKind, each
from qnet.io.objects.tables import is_table, table_columns
from qnet.io.pixels import angstrom
from qnet.io.readers.desi import id_names, row_flags

_EXPECTED = "a specutils Spectrum with flux per wavelength or frequency, or a list of them"


def is_spectrum(value: Any) -> bool:
    """Whether an object looks like a specutils Spectrum."""
    return has_attributes(value, "spectral_axis", "flux")


def from_specutils(value: Any, *, air: bool = False, edges: bool | None = None) -> Spectra:
    """Spectra from a specutils Spectrum, SpectrumCollection or SpectrumList.

    Parameters
    ----------
    value : Spectrum or sequence of Spectrum
        A Spectrum with flux (npix,) or (nspec, npix); or a list: of the cameras of the same spectra
        (as specutils reads DESI files: each with a band in its meta), or of one-dimensional
        spectra, a row each. Masked pixels have no weight.
    air, edges
        As in `from_arrays`.

    Returns
    -------
    Spectra
        Flux per frequency is converted. Ids and flags of DESI's FIBERMAP, or SDSS's THING_ID, where
        the meta holds them; row numbers otherwise.

    Raises
    ------
    InputError
        The shapes do not fit together, or a unit cannot be converted.

    Warns
    -----
    QnetWarning
        There is no uncertainty (all pixels weigh the same), or the mask merges bits of an SDSS mask
        of which qnet would use one.

    Examples
    --------
    Any object with the attributes of a Spectrum will do:

    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> from astropy import units
    >>> from astropy.nddata import StdDevUncertainty
    >>> from qnet.io import from_specutils
    >>> spectrum = SimpleNamespace(
    ...     spectral_axis=np.linspace(400, 980, 4000) * units.nm,
    ...     flux=np.ones(4000) * units.Unit("1e-17 erg / (s cm2 Angstrom)"),
    ...     uncertainty=StdDevUncertainty(np.full(4000, 0.5)),
    ... )
    >>> spectra = from_specutils(spectrum)
    >>> spectra
    <Spectra: 1 spectrum, specutils Spectrum; spectrum (4000 pixels)>
    >>> round(float(spectra.cameras[0].wave[0]), 6), float(spectra.cameras[0].ivar[0, 0])
    (4000.0, 4.0)
    """
    check_arguments(from_specutils, locals())
    if is_spectrum(value):
        item = _read(value)
        return _with_ids(_one_spectrum(item, air, edges), [item])
    with foreign_faults("spectra", value, _EXPECTED):
        given = list(each(value))
    return _from_list(given, 0, air, edges)


def _from_list(given: Sequence[Any], first: int, air: bool, edges: bool | None) -> Spectra:
    """Spectra of several objects; row numbers are from `first`."""
    if not given or not all(is_spectrum(item) for item in given):
        raise InputError("a list of spectra must hold specutils spectra, and at least one")
    items = [_read(item) for item in given]
    bands = [str(item.meta.get("band", "")).upper() for item in items]
    # One of several rows may lack wavelengths.
    own = len(items) > 1 and not all(bands)
    batches = [_one_spectrum(item, air, edges, own=own) for item in items]
    if all(bands):
        return _with_ids(_join_bands(batches, bands), items[:1])
    if any(len(batch) != 1 for batch in batches):
        raise InputError(
            "a list of spectra with several rows each must name each one's camera in meta['band']"
        )
    return _with_ids(dataclasses.replace(stack(batches), layout="specutils list"), items, first)


class _Uncertainty(NamedTuple):
    """What is read of an uncertainty."""

    uncertainty_type: str
    array: AnyArray
    unit: Any


class _Spectrum(NamedTuple):
    """What is read of a Spectrum."""

    spectral_axis: Any
    flux: Any
    uncertainty: _Uncertainty | None
    mask: AnyArray | None
    meta: Mapping[str, Any]


def _read(spectrum: Any) -> _Spectrum:
    """The attributes of a Spectrum; InputError where one of them raises something."""
    with foreign_faults("spectra", spectrum, _EXPECTED):
        own, mask = getattr(spectrum, "uncertainty", None), getattr(spectrum, "mask", None)
        meta = getattr(spectrum, "meta", None)
        meta = dict(meta) if isinstance(meta, Mapping) else {}
        if has_attributes(meta.get("header"), "get", "items"):
            meta["header"] = dict(meta["header"].items())
        uncertainty = (
            None
            if own is None
            else _Uncertainty(
                str(own.uncertainty_type), np.asarray(own.array), getattr(own, "unit", None)
            )
        )
        return _Spectrum(
            spectrum.spectral_axis,
            spectrum.flux,
            uncertainty,
            None if mask is None else np.asarray(mask, dtype=bool),
            meta,
        )


def _with_ids(spectra: Spectra, items: Sequence[_Spectrum], first: int = 0) -> Spectra:
    """The spectra with the ids that the items' meta hold; row numbers where one holds none."""
    fibermap = items[0].meta.get("fibermap")
    columns = table_columns("fibermap", fibermap) if is_table(fibermap) else {}
    if "TARGETID" in columns and len(items) == 1:
        names = id_names(list(columns))
        ids = id_columns({name: filled(columns[name], name) for name in names}, None)
        return dataclasses.replace(spectra, ids=ids, flag=spectra.flag | row_flags(ids))
    headers = [_sdss_header(item) for item in items]
    thing_ids = [header["THING_ID"] for header in headers if "THING_ID" in header]
    if len(thing_ids) == len(spectra):
        ids = id_columns({"THING_ID": np.array(thing_ids)}, None, target="THING_ID")
        return dataclasses.replace(spectra, ids=ids)
    return dataclasses.replace(spectra, ids={"TARGETID": first + np.arange(len(spectra))})


def _one_spectrum(
    spectrum: _Spectrum, air: bool, edges: bool | None, *, own: bool = False
) -> Spectra:
    """One specutils Spectrum, of one row or several; `own`: wavelengths are of each row its own."""
    wave = angstrom(spectrum.spectral_axis)
    shape = as_numbers("flux", spectrum.flux, unit=None).shape
    sdss = bool(_sdss_header(spectrum))
    if (mask := spectrum.mask) is not None and mask.shape not in ((), shape, shape[-1:]):
        raise InputError(f"mask has shape {mask.shape}, but flux has {shape}")
    uncertainty = spectrum.uncertainty
    if uncertainty is None:
        weights, kind, unit = None, "ivar", None
    else:
        kind, weights, unit = uncertainty
    if own and wave.shape == shape[-1:]:
        wave = np.atleast_2d(np.broadcast_to(wave, shape))
    spectra = one_camera(
        wave,
        spectrum.flux,
        weights,
        kind,
        air,
        edges,
        weight_unit=unit,
        bad=None if mask is None or sdss else np.broadcast_to(mask, shape),
        name="spectrum",
    )
    if sdss and mask is not None:
        _warn_merged_mask(np.broadcast_to(mask, shape), spectra.cameras[0].ivar)
    survey = "SDSS" if sdss else ""
    return dataclasses.replace(spectra, survey=survey, layout="specutils Spectrum")


def _join_bands(batches: Sequence[Spectra], bands: Sequence[str]) -> Spectra:
    """The cameras of the same spectra, from one Spectrum each."""
    if len({len(batch) for batch in batches}) != 1:
        raise InputError(
            f"the bands {list(bands)} hold {[len(batch) for batch in batches]} spectra, but the "
            "same number was expected"
        )
    if len(found := {batch.flux_unit for batch in batches}) > 1:
        raise InputError(f"the bands {list(bands)} have flux in several units: {sorted(found)}")
    cameras = tuple(
        dataclasses.replace(batch.cameras[0], name=band)
        for batch, band in zip(batches, bands, strict=True)
    )
    first = batches[0]
    flag = first.flag | row_flags({"TARGETID": first.ids["TARGETID"]}, bands)
    return dataclasses.replace(
        first, cameras=cameras, flag=flag, survey="DESI", layout="specutils list of cameras"
    )


def _warn_merged_mask(masked: BoolArray, ivar: AnyArray) -> None:
    """Warn where the mask of an SDSS spectrum, which merges all bits, hides pixels with weight."""
    hidden = int((masked & (ivar > 0)).sum())
    if hidden:
        warn(
            f"the mask of this SDSS spectrum merges all bits of the survey's, of which qnet uses "
            f"one (COMBINEREJ of and_mask): it was left unread, so {hidden} masked pixels keep "
            "their weight, and the result can differ from that of the file where COMBINEREJ is "
            "among them"
        )


def _sdss_header(spectrum: _Spectrum) -> Mapping[str, Any]:
    """Header of a spectrum of SDSS; empty for any other."""
    header = spectrum.meta.get("header", {})
    if not isinstance(header, dict) or not str(header.get("TELESCOP", "")).startswith("SDSS"):
        return {}
    return header


SPECTRUM = ObjectKind(
    name="specutils Spectrum",
    module="specutils",
    given="spectral_axis, flux, uncertainty; a SpectrumList of cameras or of spectra",
    targetid="TARGETID of a fibermap or THING_ID of a header in its meta, else the row number",
    detect=is_spectrum,
    read=lambda value, air, edges: from_specutils(value, air=air, edges=edges),
    join=_from_list,
    air=True,
)
