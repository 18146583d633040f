"""Parametric quasars: continuum, emission lines, host galaxy and absorption."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from qnet.core.arrays import BoolArray, Columns, Float32Array, FloatArray, StrArray
from qnet.core.luminosity import R_WAVE, host_ratio, log_luminosity
from qnet.simulation.absorption import bal
from qnet.simulation.absorption.absorbers import sight_lines
from qnet.simulation.frame import NPIX, Objects, scale_to_r, z_and_rmag
from qnet.simulation.profiles import Gaussians, add_gaussians, gaussians
from qnet.simulation.quasars import continuum, disk, emission, host, iron

#: Redshifts that `make` covers.
Z_RANGE = (0.01, 6.8)

#: Fraction of weak-line quasars below and above z = 3 (Diamond-Stanic et al. 2009, ApJ 699, 782:
#: 1.3 % of SDSS quasars at z < 4.2, 6 % above; Plotkin et al. 2010, AJ 139, 390), and the factor on
#: their equivalent widths, median and scatter [dex] (their Lya+NV under 15 Angstrom against 64).
WEAK_FRACTION, WEAK_FACTOR, WEAK_SCATTER = (0.02, 0.05), 0.15, 0.15

#: Reddening: mean E(B-V) of an exponential [mag] (Hopkins et al. 2004, AJ 128, 1112, sect. 4), the
#: fraction of red quasars and the mean of theirs (Glikman et al. 2007, ApJ 667, 673; Richards et
#: al. 2003, AJ 126, 1131: 6 % with E(B-V) > 0.04), cut where more than `DUST_MOST` magnitudes are
#: lost in the observed r band: few such quasars stay in a sample that a magnitude limits.
EBV_MEAN, RED_FRACTION, RED_MEAN, DUST_MOST = 0.012, 0.06, 0.25, 2.5

#: E(B-V) [mag] from which an object is called red.
RED_EBV = 0.15

#: Fraction of narrow-line Seyfert 1 galaxies at z < 0.8 (Zhou et al. 2006, ApJS 166, 128: 14 %),
#: and the range of FWHM of their Hbeta [km/s].
NLS1_FRACTION, NLS1_FWHM = 0.13, (1000.0, 2000.0)

#: Fraction of double-peaked emitters and the redshift to which they are made: that to which Hbeta
#: and MgII are both seen. They are 3 % of AGN at z < 0.33 (Strateva et al. 2003, AJ 126, 1720) and
#: up to 20 % of radio-loud ones (Eracleous & Halpern 1994, ApJS 90, 1); more are made than nature
#: has, as templates have none and a network must be trained on some.
DOUBLE_FRACTION, DOUBLE_Z = 0.10, 1.1

#: Fraction of active galaxies below a redshift, whose nuclei are bright in lines but not in light:
#: range of the host's fraction of the light at 5100 Angstrom, and of the equivalent width of [OIII]
#: against the nucleus's power law [Angstrom, uniform in its logarithm] (Zakamska et al. 2003, AJ
#: 126, 2125, and Mullaney et al. 2013, MNRAS 433, 622, have such [OIII] luminosities). The fraction
#: is a choice, for training.
AGN_FRACTION, AGN_Z, AGN_HOST, AGN_OIII = 0.25, 0.5, (0.1, 0.95), (15.0, 500.0)

#: Power of luminosity of the FWHM (Shen et al. 2011, fig. 11).
FWHM_LUMINOSITY = 0.08

#: Iron: median equivalent widths in the bands of `iron` [Angstrom], scatter [dex] and change per
#: unit of the first eigenvector [dex] (Shen et al. 2011, fig. 8; Shen & Ho 2014, Nature 513, 210:
#: optical iron over Hbeta has a median of 0.6; the ultraviolet one is that of the mean quasar of
#: redrock's templates).
UV_IRON, OPTICAL_IRON, IRON_SCATTER, IRON_EIGEN = 70.0, 26.0, 0.15, 0.20

#: Height of the Balmer continuum at its edge relative to the power law, and scatter [dex] (Dietrich
#: et al. 2002, ApJ 581, 912; Kovacevic et al. 2014, Adv. Space Res. 54, 1414: 0.05 to 0.3).
BALMER_HEIGHT, BALMER_SCATTER = 0.15, 0.25

#: Scatter of the host's light at given luminosity [dex], and the range of the least fraction that
#: the nucleus has of the light at 5100 Angstrom: with less than 0.12 the eye sees no broad line and
#: calls it a galaxy; with more, targeting as a point source often would not take it (a choice).
HOST_SCATTER, NUCLEUS_LEAST = 0.35, (0.12, 0.5)

#: Young stars in the host: mean fraction of light at 5100 Angstrom (Jahnke et al. 2004, MNRAS 352,
#: 399; Vanden Berk et al. 2006, AJ 131, 84: hosts bluer than inactive galaxies).
YOUNG_FRACTION = 0.35

#: Equivalent width of Halpha of the host's gas against its own light [Angstrom], for young stars
#: alone, and scatter [dex] (Kennicutt 1992, ApJ 388, 310).
GAS_WIDTH, GAS_SCATTER = 25.0, 0.4

#: Fraction of the nucleus's reddening that its narrow lines suffer: they come from outside most
#: of the dust (Lu et al. 2019, MNRAS 486, 4290).
NARROW_DUST = 0.3


@dataclasses.dataclass(frozen=True)
class _Kinds:
    """Kinds of the quasars, E(B-V) [mag], emission, and the host's fraction; shape (nspec,)."""

    weak: BoolArray
    double: BoolArray
    narrow: BoolArray
    agn: BoolArray
    ebv: FloatArray
    emitters: emission.Emitters
    host: FloatArray


def make(
    rng: Generator, z: npt.ArrayLike, rmag: npt.ArrayLike, *, bal_fraction: float = bal.FRACTION
) -> Objects:
    """Quasars of systemic redshifts in `Z_RANGE`, of AB r magnitudes before hydrogen absorbs."""
    redshift, magnitude = z_and_rmag(z, rmag, Z_RANGE)
    nspec = len(redshift)
    troughs = bal.draw(rng, redshift, bal_fraction)
    kinds = _draw(rng, redshift, magnitude, troughs)
    lines = emission.draw_broad(rng, kinds.emitters)
    flux, oiii = _light(rng, kinds, lines, troughs)
    flux = scale_to_r(flux, magnitude)
    tau, log_n, z_dla = sight_lines(rng, redshift, kinds.emitters.log_l1700)
    flux *= np.exp(-tau)
    absorbed = bal.truth(troughs, redshift)
    truth: Columns = {
        "TRUEZ": redshift,
        "TRUESPECTYPE": np.full(nspec, "QSO"),
        "TRUESUBTYPE": _subtype(kinds, absorbed["BAL_FLAG_VI"] == 1),
        **absorbed,
        "RMAG": magnitude,
        # Of the strongest damped system: log10 of the column [1/cm2], redshift; 0 without any.
        "NHI_DLA": log_n,
        "Z_DLA": z_dla,
        "EBV": kinds.ebv,  # [mag]
        "HOST_FRACTION": kinds.host,  # of the light at rest 5100 Angstrom
        "FWHM_HBETA": lines.fwhm[:, emission.column("Hbeta")],  # [km/s]
        "CIV_SHIFT": lines.shift[:, emission.column("CIV")],  # [km/s], negative to the blue
        "EW_OIII": oiii,  # all four [rest Angstrom], against the nucleus's power law
        "EW_CIV": lines.width[:, emission.column("CIV")],
        "EW_MGII": lines.width[:, emission.column("MgII")],
        "EW_HBETA": lines.width[:, emission.column("Hbeta")],
        "LOG_L1700": kinds.emitters.log_l1700,  # [erg/s]
    }
    return Objects(flux, truth)


def _draw(rng: Generator, z: FloatArray, rmag: FloatArray, troughs: bal.Troughs) -> _Kinds:
    """Draw kinds, dust, hosts and luminosities."""
    nspec = len(z)
    log_total = log_luminosity(rmag, z, continuum.PIVOT)
    ratio = 10 ** (host_ratio(log_total) + HOST_SCATTER * rng.standard_normal(nspec))
    ebv = rng.exponential(EBV_MEAN, nspec)
    red = rng.random(nspec) < RED_FRACTION
    ebv += np.where(red, rng.exponential(RED_MEAN, nspec), 0.0)
    ebv[troughs.row] += bal.draw_reddening(rng, troughs)
    ebv = np.minimum(ebv, DUST_MOST / continuum.extinction(R_WAVE / (1 + z)))
    # The host is not behind the nucleus's dust; at least some of the nucleus must be left to see.
    left = _light_left(ebv)
    bottom, top = NUCLEUS_LEAST
    most = 1 - (bottom + (top - bottom) * rng.beta(1.0, 3.0, nspec))
    agn = (z < AGN_Z) & (rng.random(nspec) < AGN_FRACTION)
    drawn = rng.uniform(*AGN_HOST, nspec)
    of_host = np.where(agn, drawn, np.minimum(ratio / (ratio + left), most))
    log_nucleus = np.log10(1 - np.where(agn, drawn, np.minimum(ratio / (1 + ratio), most)))
    log_l5100 = log_total + log_nucleus
    log_l1700 = log_luminosity(rmag, z, 1700.0) + log_nucleus
    kind = rng.random((3, nspec))
    weak = ~agn & (kind[0] < np.where(z < 3.0, *WEAK_FRACTION))
    narrow = ~weak & (z < 0.8) & (kind[1] < NLS1_FRACTION)
    double = ~weak & ~narrow & (z < DOUBLE_Z) & (kind[2] < DOUBLE_FRACTION)
    eigen = rng.standard_normal(nspec) + np.where(narrow, 1.0, 0.0) - np.where(double, 0.7, 0.0)
    dex = FWHM_LUMINOSITY * (log_l5100 - emission.PIVOT_5100) - 0.05 * eigen
    dex += emission.FWHM_SCATTER * rng.standard_normal(nspec)
    fwhm = np.clip(emission.FWHM["balmer"][0] * 10**dex, 1100.0, emission.FWHM_RANGE[1])
    low, high = NLS1_FWHM
    fwhm = np.where(narrow, low + (high - low) * rng.random(nspec), fwhm)
    factor = WEAK_FACTOR * 10 ** (WEAK_SCATTER * rng.standard_normal(nspec))
    broad = np.where(weak, factor, 1.0)
    least, most_oiii = AGN_OIII
    oiii = np.where(agn, least * (most_oiii / least) ** rng.random(nspec), np.nan)
    emitters = emission.Emitters(z, fwhm, log_l1700, log_l5100, eigen, broad, double, oiii)
    return _Kinds(weak, double, narrow, agn, ebv, emitters, of_host)


def _light_left(ebv: FloatArray) -> FloatArray:
    """Fraction of a nucleus's light that dust lets through at rest 5100 Angstrom."""
    return np.asarray(10 ** (-0.4 * ebv * continuum.extinction(np.array(continuum.PIVOT))))


def _light(
    rng: Generator, kinds: _Kinds, lines: emission.Broad, troughs: bal.Troughs
) -> tuple[Float32Array, FloatArray]:
    """Light that leaves the quasar and its host, and the equivalent width of [OIII]."""
    objects, z = kinds.emitters, kinds.emitters.z
    power_law = continuum.power_law(z, continuum.draw_slopes(rng, len(z)))
    broad = _pseudo_continuum(rng, objects)
    add_gaussians(broad, emission.broad_profiles(rng, objects, lines))
    add_gaussians(broad, _disks(rng, objects, lines))
    narrow = np.zeros_like(broad)
    profiles, oiii = emission.narrow_profiles(rng, objects)
    add_gaussians(narrow, profiles)
    broad += 1
    broad *= continuum.dimming(z, kinds.ebv)
    bal.absorb(broad, troughs, z)
    narrow *= continuum.dimming(z, NARROW_DUST * kinds.ebv)
    broad += narrow
    broad *= power_law
    ratio = _light_left(kinds.ebv) * kinds.host / (1 - kinds.host)
    broad += _galaxies(rng, z, ratio)
    return broad, oiii


def _pseudo_continuum(rng: Generator, objects: emission.Emitters) -> Float32Array:
    """Iron and Balmer emission, drawn."""
    spread = rng.standard_normal((3, len(objects.z)))
    eigen = IRON_EIGEN * objects.eigen
    weak = np.sqrt(objects.broad)
    return iron.pseudo_continuum(
        objects.z,
        objects.fwhm,
        UV_IRON * 10 ** (0.5 * eigen + IRON_SCATTER * spread[0]) * weak,
        OPTICAL_IRON * 10 ** (eigen + IRON_SCATTER * spread[1]),
        BALMER_HEIGHT * 10 ** (BALMER_SCATTER * spread[2]) * weak,
    )


def _disks(rng: Generator, objects: emission.Emitters, lines: emission.Broad) -> Gaussians:
    """Profiles of the double-peaked lines."""
    row = np.flatnonzero(objects.disk)
    wave = emission.REST[emission.IN_DISK] * (1 + objects.z[row])[:, None]
    area = lines.width[row][:, emission.IN_DISK] * (1 + objects.z[row])[:, None]
    return disk.disk_profiles(rng, row, wave, area)


def _galaxies(rng: Generator, z: FloatArray, ratio: FloatArray) -> Float32Array:
    """Host galaxies with the emission of their gas, `ratio` at the pivot wavelength."""
    nspec = len(z)
    young = np.clip(rng.beta(1.2, 1.2 * (1 / YOUNG_FRACTION - 1), nspec), 0.0, 1.0)
    light = host.starlight(z, young, 0.3 * rng.standard_normal(nspec))
    gas = np.zeros((nspec, NPIX), dtype=np.float32)
    strength = GAS_WIDTH * young * 10 ** (GAS_SCATTER * rng.standard_normal(nspec))
    rest, relative = np.transpose(host.GAS_LINES)
    # Lines are ratios to the starlight, whose level at Halpha is some 0.9 of that elsewhere.
    area = (strength * (1 + z))[:, None] * relative
    sigma = np.clip(120.0 * 10 ** (0.15 * rng.standard_normal((nspec, 1))), 60.0, 250.0)
    add_gaussians(gas, gaussians(np.arange(nspec)[:, None], rest * (1 + z)[:, None], sigma, area))
    gas += 1
    gas *= light
    gas *= ratio.astype(np.float32)[:, None]
    return gas


def _subtype(kinds: _Kinds, flag: BoolArray) -> StrArray:
    """TRUESUBTYPE, the first that applies: broad absorption, double-peaked, weak lines .. ."""
    conditions = [flag, kinds.double, kinds.narrow, kinds.agn, kinds.weak, kinds.ebv > RED_EBV]
    return np.select(conditions, ["BAL", "DOUBLE", "NLS1", "AGN", "WLQ", "RED"], default="")
