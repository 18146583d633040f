"""Spectra from specutils objects, recognised by what they can do: specutils is not imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qnet.core.arguments import check_arguments, has_attributes
from qnet.core.arrays import AnyArray, BoolArray
from qnet.core.errors import InputError, foreign_faults, warn
from qnet.core.spectra import Spectra, stack
from qnet.io.columns import filled, id_columns
from qnet.io.memory import angstrom, flux_and_ivar, make_camera
from qnet.io.readers.desi import id_names, row_flags

_EXPECTED = "a specutils Spectrum, or a list of them"


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
        Ids and flags of DESI's FIBERMAP, or SDSS's THING_ID, where the meta holds them; row numbers
        otherwise.

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
    <Spectra: 1 spectra, specutils Spectrum; spectrum (4000 pixels)>
    >>> round(float(spectra.cameras[0].wave[0]), 6), float(spectra.cameras[0].ivar[0, 0])
    (4000.0, 4.0)
    """
    check_arguments(from_specutils, locals())
    if is_spectrum(value):
        return _with_ids(_one_spectrum(value, air, edges), [value])
    with foreign_faults("value", value, _EXPECTED):
        items = list(value)
    if not items or not all(is_spectrum(item) for item in items):
        raise InputError("a list of spectra must hold specutils spectra, and at least one")
    bands = [str(_meta(item).get("band", "")).upper() for item in items]
    # One of several rows may lack wavelengths.
    own = len(items) > 1 and not all(bands)
    batches = [_one_spectrum(item, air, edges, own=own) for item in items]
    if all(bands):
        return _with_ids(_join_bands(batches, bands), items[:1])
    if any(len(batch) != 1 for batch in batches):
        raise InputError(
            "a list of spectra with several rows each must name each one's camera in meta['band']"
        )
    return _with_ids(dataclasses.replace(stack(batches), layout="specutils list"), items)


def _with_ids(spectra: Spectra, items: Sequence[Any]) -> Spectra:
    """The spectra with the ids that the items' meta hold; row numbers where one holds none."""
    fibermap = _meta(items[0]).get("fibermap")
    if fibermap is not None and "TARGETID" in fibermap.colnames and len(items) == 1:
        names = id_names(list(fibermap.colnames))
        ids = id_columns({name: filled(fibermap[name], name) for name in names}, None)
        return dataclasses.replace(spectra, ids=ids, flag=spectra.flag | row_flags(ids))
    headers = [_sdss_header(item) for item in items]
    thing_ids = [header["THING_ID"] for header in headers if "THING_ID" in header]
    if len(thing_ids) == len(spectra):
        ids = id_columns({"THING_ID": np.array(thing_ids)}, None, target="THING_ID")
        return dataclasses.replace(spectra, ids=ids)
    return dataclasses.replace(spectra, ids={"TARGETID": np.arange(len(spectra))})


def _one_spectrum(spectrum: Any, air: bool, edges: bool | None, *, own: bool = False) -> Spectra:
    """One specutils Spectrum, of one row or several; `own`: wavelengths are of each row its own."""
    flux, ivar, unit = _spectrum_arrays(spectrum)
    flux, ivar = np.atleast_2d(flux), np.atleast_2d(ivar)
    wave = angstrom(spectrum.spectral_axis)
    sdss = bool(_sdss_header(spectrum))
    mask = getattr(spectrum, "mask", None)
    if mask is not None:
        masked = np.broadcast_to(np.atleast_2d(mask), flux.shape)
        if sdss:
            _warn_merged_mask(masked, ivar)
        else:
            ivar = np.where(masked, 0.0, ivar).astype(ivar.dtype)
    if wave.ndim == 1 and len(wave) > 1 and wave[0] > wave[-1]:
        wave, flux, ivar = wave[::-1], flux[:, ::-1], ivar[:, ::-1]
    if own and wave.shape == flux.shape[1:]:
        wave = np.broadcast_to(wave, flux.shape)
    return Spectra(
        cameras=(make_camera("spectrum", wave, flux, ivar, air, edges),),
        ids={"TARGETID": np.arange(len(flux))},
        survey="SDSS" if sdss else "",
        layout="specutils Spectrum",
        flux_unit=unit,
    )


def _spectrum_arrays(spectrum: Any) -> tuple[AnyArray, AnyArray, str]:
    """Flux, inverse variance and flux unit of a Spectrum, from whichever uncertainty it has."""
    uncertainty = getattr(spectrum, "uncertainty", None)
    if uncertainty is None:
        warn("a spectrum comes without uncertainty: all of its pixels get the same weight")
        return flux_and_ivar(spectrum.flux, np.ones(np.shape(spectrum.flux), np.float32), "ivar")
    kind, unit = str(uncertainty.uncertainty_type), getattr(uncertainty, "unit", None)
    return flux_and_ivar(spectrum.flux, np.asarray(uncertainty.array), kind, unit)


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
    with np.errstate(invalid="ignore"):
        hidden = int((masked & (ivar > 0)).sum())
    if hidden:
        warn(
            f"the mask of this SDSS spectrum merges all bits of the survey's, of which qnet uses "
            f"one (COMBINEREJ of and_mask): it was left unread, so {hidden} masked pixels keep "
            "their weight, and the result can differ from that of the file where COMBINEREJ is "
            "among them"
        )


def _sdss_header(spectrum: Any) -> Mapping[str, Any]:
    """Header of a spectrum of SDSS; empty for any other."""
    header = _meta(spectrum).get("header", {})
    if not hasattr(header, "get") or not str(header.get("TELESCOP", "")).startswith("SDSS"):
        return {}
    return dict(header)


def _meta(spectrum: Any) -> Mapping[str, Any]:
    """The meta of a Spectrum."""
    meta = getattr(spectrum, "meta", None)
    return meta if isinstance(meta, Mapping) else {}
