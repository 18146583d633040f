"""Narrow emission lines of galaxies and their fluxes against Hbeta."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from qnet.core.arrays import BoolArray, FloatArray

#: Rest wavelengths in vacuum [Angstrom], from the NIST Atomic Spectra Database (5.10), as air
#: wavelengths converted with Morton (2000, ApJS 130, 403) where it gives those.
WAVELENGTHS: Mapping[str, float] = {
    "CIV_1548": 1548.20, "CIV_1551": 1550.78, "HEII_1640": 1640.42, "CIII_1907": 1906.68,
    "CIII_1909": 1908.73, "CII_2326": 2326.0, "NEIV_2424": 2423.8, "MGII_2796": 2796.35,
    "MGII_2804": 2803.53, "NEV_3347": 3346.79, "NEV_3427": 3426.85, "OII_3727": 3727.09,
    "OII_3730": 3729.88, "H10": 3798.98, "H9": 3836.47, "NEIII_3870": 3869.86, "H8": 3890.15,
    "NEIII_3969": 3968.59, "H7": 3971.20, "HDELTA": 4102.89, "HGAMMA": 4341.68,
    "OIII_4364": 4364.44, "HEI_4473": 4472.73, "HEII_4687": 4687.02, "HBETA": 4862.68,
    "OIII_4960": 4960.30, "OIII_5008": 5008.24, "HEI_5877": 5877.25, "OI_6302": 6302.05,
    "OI_6366": 6365.54, "NII_6550": 6549.85, "HALPHA": 6564.61, "NII_6585": 6585.27,
    "HEI_6680": 6680.00, "SII_6718": 6718.29, "SII_6733": 6732.67, "HEI_7067": 7067.14,
    "ARIII_7138": 7137.77, "OII_7321": 7321.5, "OII_7332": 7332.2, "SIII_9071": 9071.1,
    "P9": 9231.55, "SIII_9533": 9533.2, "P8": 9548.59,
}  # fmt: skip

#: Hydrogen and helium lines against Hbeta in case B at 10 000 K and 100 electrons per cm3
#: (Osterbrock & Ferland 2006, Astrophysics of Gaseous Nebulae, tables 4.4 and 4.6; helium at
#: He+/H+ = 0.08).
CASE_B: Mapping[str, float] = {
    "HGAMMA": 0.468, "HDELTA": 0.259, "H7": 0.159, "H8": 0.105, "H9": 0.0731, "H10": 0.0530,
    "P8": 0.0366, "P9": 0.0254, "HEI_4473": 0.040, "HEI_5877": 0.110, "HEI_6680": 0.031,
    "HEI_7067": 0.020,
}  # fmt: skip

#: Halpha against Hbeta: case B; 3.1 in active nuclei, where collisions add (Osterbrock & Ferland
#: 2006, section 14.3).
BALMER_DECREMENT, BALMER_DECREMENT_ACTIVE = 2.86, 3.1

#: Ratios fixed by atomic physics, of the fainter line to the brighter (Storey & Zeippen 2000, MNRAS
#: 312, 813; Osterbrock & Ferland 2006).
_FIXED = {
    "OIII_4960": ("OIII_5008", 1 / 2.98), "NII_6550": ("NII_6585", 1 / 3.05),
    "NEIII_3969": ("NEIII_3870", 0.30), "OI_6366": ("OI_6302", 1 / 3.0),
    "NEV_3347": ("NEV_3427", 1 / 2.73), "SIII_9071": ("SIII_9533", 1 / 2.47),
    "OII_7332": ("OII_7321", 0.8),
}  # fmt: skip


# Ratios are those of the diagram of Baldwin, Phillips & Terlevich (1981, PASP 93, 5): log10 of
# [NII] 6585 / Halpha, `nitrogen`, and of [OIII] 5008 / Hbeta, `oxygen`.


def kauffmann(nitrogen: FloatArray) -> FloatArray:
    """Upper edge of star-forming galaxies (Kauffmann et al. 2003, MNRAS 346, 1055, eq. 1)."""
    return np.asarray(0.61 / (np.minimum(nitrogen, 0.0) - 0.05) + 1.3, dtype=np.float64)


def kewley(nitrogen: FloatArray) -> FloatArray:
    """Upper edge of what stars can ionise (Kewley et al. 2001, ApJ 556, 121, eq. 5)."""
    return np.asarray(0.61 / (np.minimum(nitrogen, 0.40) - 0.47) + 1.19, dtype=np.float64)


def seyfert_liner(nitrogen: FloatArray) -> FloatArray:
    """Line between Seyferts, above, and LINERs (Schawinski et al. 2007, MNRAS 382, 1415)."""
    return np.asarray(1.05 * nitrogen + 0.45, dtype=np.float64)


def star_forming(rng: Generator, nitrogen: FloatArray) -> FloatArray:
    """[OIII]/Hbeta of the star-forming sequence (Kewley et al. 2013, ApJ 774, 100)."""
    middle = 0.61 / (np.minimum(nitrogen, -0.15) + 0.08) + 1.1
    oxygen = middle + 0.1 * rng.standard_normal(len(nitrogen))
    return np.asarray(np.clip(oxygen, -1.3, kauffmann(nitrogen) - 0.03))


def composite(rng: Generator, nitrogen: FloatArray) -> FloatArray:
    """[OIII]/Hbeta of galaxies between `kauffmann` and `kewley`."""
    low, high = np.maximum(kauffmann(nitrogen), -0.6), kewley(nitrogen)
    return np.asarray(low + (high - low) * rng.uniform(0.1, 0.9, len(nitrogen)))


def seyfert(rng: Generator, nitrogen: FloatArray) -> FloatArray:
    """[OIII]/Hbeta of type-2 Seyferts, above `kewley` and `seyfert_liner`, to [OIII]/Hbeta = 16."""
    low = np.maximum(np.maximum(kewley(nitrogen), seyfert_liner(nitrogen)), 0.45) + 0.02
    return np.asarray(low + (1.2 - low) * rng.beta(1.6, 1.6, len(nitrogen)))


def liner(rng: Generator, nitrogen: FloatArray) -> FloatArray:
    """[OIII]/Hbeta of LINERs, above `kewley` and under `seyfert_liner`."""
    high = seyfert_liner(nitrogen) - 0.02
    low = np.minimum(np.maximum(kewley(nitrogen), -0.1) + 0.02, high - 0.02)
    return np.asarray(low + (high - low) * rng.uniform(size=len(nitrogen)))


def line_fluxes(
    rng: Generator, nitrogen: FloatArray, oxygen: FloatArray, active: BoolArray, liners: BoolArray
) -> dict[str, FloatArray]:
    """Fluxes of all `WAVELENGTHS` against Hbeta, before dust; `active`: Seyferts and LINERs."""
    # Read off diagrams: [SII] and [OI] of Kewley et al. (2006, MNRAS 372, 961, figs. 4 and 9),
    # [OII] of Moustakas et al. (2006, ApJ 642, 775, fig. 12) and Kewley et al. (2006), ultraviolet
    # lines of Seyferts of McCarthy (1993, ARA&A 31, 639, table 3: radio galaxies).
    count = len(active)

    def spread(stars: npt.ArrayLike, seyferts: float, low: float, sigma: float) -> FloatArray:
        """10 to a middle that depends on the source of ionisation, with scatter."""
        middle = np.where(liners, low, np.where(active, seyferts, stars))
        return np.asarray(10 ** (middle + sigma * rng.standard_normal(count)), dtype=np.float64)

    halpha = np.where(active, BALMER_DECREMENT_ACTIVE, BALMER_DECREMENT)
    flux = {name: np.full(count, ratio) for name, ratio in CASE_B.items()}
    flux |= {"HBETA": np.ones(count), "HALPHA": halpha}
    flux["OIII_5008"] = 10**oxygen
    flux["NII_6585"] = halpha * 10**nitrogen
    # Metal-rich gas is cool and shows little [OII]: the sequence turns over.
    flux["OII"] = spread(0.50 - 0.55 * np.maximum(nitrogen + 0.9, -0.3), 0.45, 0.75, 0.13)
    flux["NEIII_3870"] = flux["OIII_5008"] * spread(-1.08, -1.05, -0.7, 0.1)
    flux["OIII_4364"] = flux["OIII_5008"] * spread(-2.0 + 0.5 * (oxygen > 0.4), -1.9, -1.7, 0.15)
    sulphur = halpha * spread(-0.48 - 0.25 * np.maximum(oxygen, 0.0), -0.25, 0.05, 0.1)
    flux["OI_6302"] = halpha * spread(-1.5, -0.9, -0.45, 0.15)
    flux["HEII_4687"] = spread(-2.3, -0.65, -1.2, 0.2)
    flux["ARIII_7138"] = spread(-1.1, -0.8, -1.1, 0.1)
    flux["SIII_9533"] = spread(-0.3, -0.1, -0.3, 0.15)
    flux["OII_7321"] = spread(-1.5, -1.3, -1.2, 0.15)
    # Doublets by density: 0.4 to 1.45 (Osterbrock & Ferland 2006, fig. 5.8).
    for name, total, blue, red, low, high in (
        ("oxygen", flux.pop("OII"), "OII_3727", "OII_3730", 0.9, 1.45),
        ("sulphur", sulphur, "SII_6733", "SII_6718", 1.05, 1.42),
    ):
        ratio = rng.uniform(low, high, count) * np.where(active & (name == "sulphur"), 0.85, 1.0)
        flux[blue], flux[red] = total / (1 + ratio), total * ratio / (1 + ratio)
    hard = np.where(active & ~liners, 1.0, 0.0)
    for name, middle in (
        ("NEV_3427", -0.25), ("NEIV_2424", -0.3), ("CII_2326", -0.35), ("MGII_2796", -0.4),
        ("MGII_2804", -0.55), ("CIII_1907", 0.0), ("CIII_1909", -0.15), ("HEII_1640", 0.2),
        ("CIV_1548", 0.3), ("CIV_1551", 0.1),
    ):  # fmt: skip
        flux[name] = hard * spread(0.0, middle, middle, 0.15)
    # Weak C III] of metal-poor star-forming galaxies (Rigby et al. 2015, ApJ 814, L6).
    poor = ~active & (nitrogen < -1.1)
    flux["CIII_1907"] = np.where(poor, 0.25, flux["CIII_1907"])
    flux["CIII_1909"] = np.where(poor, 0.17, flux["CIII_1909"])
    for name, (brighter, fixed) in _FIXED.items():
        flux[name] = fixed * flux[brighter]
    return {name: flux[name] for name in WAVELENGTHS}
