"""Spectra from specutils objects, recognised by what they can do: specutils is not imported."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.errors import InputError, QnetWarning
from qnet.flags import QNFlag
from qnet.io import desi
from qnet.io.air import air_to_vacuum
from qnet.io.columns import id_column
from qnet.io.quantities import angstrom, flux_and_ivar
from qnet.spectra import Camera, Spectra, stack


def is_spectrum(value: Any) -> bool:
    """Whether an object looks like a specutils Spectrum."""
    return hasattr(value, "spectral_axis") and hasattr(value, "flux")


def from_specutils(value: Any, *, air: bool = False) -> Spectra:
    """Spectra from a specutils Spectrum, SpectrumCollection or SpectrumList.

    Parameters
    ----------
    value : Spectrum or sequence of Spectrum
        A Spectrum with flux (npix,) or (nspec, npix); or a list: of the cameras of the same spectra
        (as specutils reads DESI files: each with a band in its meta), or of one-dimensional
        spectra, a row each. Masked pixels have no weight.
    air : bool
        The wavelengths are in air: convert them to vacuum.

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
    """
    if is_spectrum(value):
        return _one_spectrum(value, air)
    items = list(value)
    if not items or not all(is_spectrum(item) for item in items):
        raise InputError("a list of spectra must hold specutils spectra, and at least one")
    batches = [_one_spectrum(item, air) for item in items]
    bands = [str(_meta(item).get("band", "")).upper() for item in items]
    if all(bands):
        return _join_bands(batches, bands)
    if any(len(batch) != 1 for batch in batches):
        raise InputError(
            "a list of spectra with several rows each must name each one's camera in meta['band']"
        )
    joined = stack(batches, layout="specutils list")
    if not all("THING_ID" in batch.ids for batch in batches):
        ids = {**joined.ids, "TARGETID": np.arange(len(joined), dtype=np.int64)}
        joined = dataclasses.replace(joined, ids=ids)
    return joined


def _one_spectrum(spectrum: Any, air: bool) -> Spectra:
    """One specutils Spectrum, of one row or several."""
    flux, ivar, unit = _flux_and_ivar(spectrum)
    flux, ivar = np.atleast_2d(flux), np.atleast_2d(ivar)
    wave = angstrom(spectrum.spectral_axis)
    if wave.ndim == 1 and len(wave) > 1 and wave[0] > wave[-1]:
        wave, flux, ivar = wave[::-1], flux[:, ::-1], ivar[:, ::-1]
    header = _meta(spectrum).get("header", {})
    sdss = hasattr(header, "get") and str(header.get("TELESCOP", "")).startswith("SDSS")
    mask = getattr(spectrum, "mask", None)
    if mask is not None:
        masked = np.broadcast_to(np.atleast_2d(mask), flux.shape)
        if sdss:
            _warn_merged_mask(masked, ivar)
        else:
            ivar = np.where(masked, 0.0, ivar).astype(ivar.dtype)
    if air:
        wave = air_to_vacuum(wave)
    ids, flag = _ids(spectrum, len(flux), header.get("THING_ID") if sdss else None)
    return Spectra(
        cameras=(Camera("spectrum", wave, flux, ivar),),
        ids=ids,
        flag=flag,
        survey="SDSS" if sdss else "",
        layout="specutils Spectrum",
        flux_unit=unit,
    )


def _flux_and_ivar(spectrum: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any], str]:
    """Flux and inverse variance of a Spectrum, from whichever uncertainty it has."""
    uncertainty = getattr(spectrum, "uncertainty", None)
    if uncertainty is None:
        warnings.warn(
            "a spectrum comes without uncertainty: all of its pixels get the same weight",
            QnetWarning,
            stacklevel=4,
        )
        return flux_and_ivar(spectrum.flux, np.ones(np.shape(spectrum.flux), dtype=np.float32))
    values = np.asarray(uncertainty.array)
    unit = getattr(uncertainty, "unit", None)
    weights = values if unit is None else _WithUnit(values, unit)
    return flux_and_ivar(spectrum.flux, weights, kind=str(uncertainty.uncertainty_type))


@dataclasses.dataclass(frozen=True)
class _WithUnit:
    """Values with a unit, kept in their own precision."""

    value: npt.NDArray[Any]
    unit: Any


def _ids(
    spectrum: Any, nspec: int, thing_id: Any
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int32]]:
    """Ids and flags from what the meta of a Spectrum holds."""
    fibermap = _meta(spectrum).get("fibermap")
    if fibermap is not None and "TARGETID" in fibermap.colnames:
        ids = {
            name: id_column(np.asarray(fibermap[name]), name, Path("fibermap"))
            for name in desi.id_names(list(fibermap.colnames))
        }
        return ids, desi.row_flags(ids)
    flag = np.zeros(nspec, dtype=np.int32)
    if thing_id is not None and nspec == 1:
        return {name: np.array([int(thing_id)]) for name in ("TARGETID", "THING_ID")}, flag
    return {"TARGETID": np.arange(nspec, dtype=np.int64)}, flag


def _join_bands(batches: Sequence[Spectra], bands: Sequence[str]) -> Spectra:
    """The cameras of the same spectra, from one Spectrum each."""
    if len({len(batch) for batch in batches}) != 1:
        raise InputError(
            f"the bands {list(bands)} hold {[len(batch) for batch in batches]} spectra, but the "
            "same number was expected"
        )
    cameras = tuple(
        dataclasses.replace(batch.cameras[0], name=band)
        for batch, band in zip(batches, bands, strict=True)
    )
    # specutils keeps the fibermap with the first band only.
    first = batches[0]
    flag = first.flag | (0 if desi.has_all_cameras(bands) else QNFlag.CAMERA_MISSING)
    return dataclasses.replace(
        first, cameras=cameras, flag=flag, survey="DESI", layout="specutils list of cameras"
    )


def _warn_merged_mask(masked: npt.NDArray[np.bool_], ivar: npt.NDArray[Any]) -> None:
    """Warn where the mask of an SDSS spectrum, which merges all bits, hides pixels with weight."""
    with np.errstate(invalid="ignore"):
        hidden = int((masked & (ivar > 0)).sum())
    if hidden:
        warnings.warn(
            f"the mask of this SDSS spectrum merges all bits of and_mask, of which qnet drops one "
            f"(COMBINEREJ): it was left unread, so {hidden} masked pixels keep their weight, "
            "and the result can differ from that of the file where COMBINEREJ is among them",
            QnetWarning,
            stacklevel=4,
        )


def _meta(spectrum: Any) -> Mapping[str, Any]:
    meta = getattr(spectrum, "meta", None)
    return meta if isinstance(meta, Mapping) else {}
