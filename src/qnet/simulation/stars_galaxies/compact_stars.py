"""White dwarfs and stars that white dwarfs feed on: cataclysmic variables."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from qnet.core.arrays import BoolArray, Float32Array, FloatArray, IntArray, StrArray
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import STAR_FRAME
from qnet.simulation.profiles import FWHM_OVER_SIGMA, Gaussians, gaussians
from qnet.simulation.stars_galaxies.atmospheres import absorb, planck, star_spectra

#: Amplitude of the Balmer lines of DA white dwarfs by temperature [K]: equivalent widths peak near
#: 12 000 K at about 60 A for Hbeta (Bergeron, Saffer & Liebert 1992, ApJ 394, 228, fig. 3).
_DA = ((5500, 7000, 9000, 12000, 16000, 25000, 40000, 80000),
       (0.05, 0.3, 0.8, 1.15, 1.1, 0.75, 0.45, 0.25))  # fmt: skip

#: Temperatures [K] of each kind of white dwarf, drawn evenly in their logarithm: ranges of the SDSS
#: catalogue (Kleinman et al. 2013, ApJS 204, 5) and of the kinds' definitions (Sion et al. 1983,
#: ApJ 269, 253). Cool DA are left to normal stars, which they look like.
RANGES = {
    "DA": (6500, 60000), "DAH": (7000, 30000), "DB": (12000, 32000), "DO": (45000, 100000),
    "DC": (4500, 11000), "DQ": (5500, 10500), "DZ": (5500, 11000),
}  # fmt: skip

#: Zeeman splitting per square wavelength and field [1 / (A MG)]: e / (4 pi m_e c^2) (Wickramasinghe
#: & Ferrario 2000, PASP 112, 873, eq. 1).
_ZEEMAN = 4.67e-7

#: Wavelength of cyclotron emission times field and harmonic [A MG]: 2 pi m_e c^2 / e (the same,
#: section 4).
_CYCLOTRON = 1.07e6

#: Emission lines of cataclysmic variables: vacuum wavelength [Angstrom] and flux against Hbeta,
#: middle of the spectra of Szkody et al. (2011, AJ 142, 181, and the papers before it); hydrogen is
#: optically thick, so its decrement is flat.
_CV_LINES = (
    (6564.61, 1.25), (4862.68, 1.0), (4341.68, 0.85), (4102.89, 0.7), (3971.20, 0.55),
    (3890.15, 0.45), (3836.47, 0.35), (3798.98, 0.28), (3771.70, 0.2), (3751.22, 0.15),
    (4472.73, 0.18), (4923.3, 0.1), (5017.1, 0.1), (5170.5, 0.08), (5877.25, 0.28), (6680.0, 0.15),
    (7067.14, 0.12), (8500.4, 0.06), (8544.4, 0.08), (8664.5, 0.06), (9017.4, 0.05), (9231.5, 0.06),
)  # fmt: skip
_HE_II, _BOWEN = 4687.02, 4645.0


def white_dwarfs(rng: Generator, subtype: StrArray) -> Float32Array:
    """Spectra of white dwarfs of `RANGES` on `STAR_FRAME`, without the split lines of DAH."""
    count = len(subtype)
    ranges = np.array([RANGES[name] for name in subtype], dtype=np.float64).reshape(-1, 2)
    low, high = np.log(ranges).T
    temperature = np.exp(low + (high - low) * rng.uniform(size=count))
    strength = rng.uniform(0.6, 1.4, count)

    def only(name: str, amplitude: npt.ArrayLike) -> FloatArray:
        """Amplitudes of one kind of white dwarf, 0 of the others."""
        return np.asarray(np.where(subtype == name, amplitude, 0.0), dtype=np.float64)

    balmer = np.interp(np.log(temperature), np.log(_DA[0]), _DA[1]) * strength
    amplitude = {
        "H_DEGENERATE": only("DA", balmer),
        "H_NARROW": only("DA", 0.15 * strength),
        # Lines of He I fade on both sides of 25 000 K (Bergeron et al. 2011, ApJ 737, 28).
        "HE_I_DEGENERATE": only(
            "DB", 0.9 * strength * np.exp(-0.5 * (np.log(temperature / 22000) / 0.4) ** 2)
        ),
        "HE_II_DEGENERATE": only("DO", 0.35 * strength),
        "C2": only("DQ", np.exp(rng.uniform(np.log(0.15), np.log(1.5), count))),
        "METAL_DEGENERATE": only("DZ", np.exp(rng.uniform(np.log(0.3), np.log(3.0), count))),
        "NEUTRAL": only("DZ", rng.uniform(0.0, 0.25, count)),
    }
    return absorb(planck(STAR_FRAME.wave, temperature), amplitude)


def zeeman_depth(rng: Generator, rows: IntArray, z: FloatArray) -> Gaussians:
    """Optical depth of the Balmer triplets of magnetic white dwarfs."""
    # Fields [MG] in which lines are triplets (Wickramasinghe & Ferrario 2000, section 2); the
    # spread of the field over the disk smears the outer two.
    rest = np.array([6564.61, 4862.68, 4341.68, 4102.89])[None, :, None]
    field = np.exp(rng.uniform(np.log(1.5), np.log(20.0), len(rows)))[:, None, None]
    side = np.array([-1.0, 0.0, 1.0])
    away = _ZEEMAN * rest**2 * field
    centre = (rest + side * away) * (1 + z)[:, None, None]
    width = np.hypot(15.0, 0.12 * np.abs(side) * away)
    depth = rng.uniform(0.2, 0.6, len(rows))[:, None, None] * np.where(side == 0, 1.0, 0.7)
    area = depth * 15.0 * np.sqrt(2 * np.pi) * np.ones_like(centre)
    return gaussians(rows[:, None, None], centre, width / rest * SPEED_OF_LIGHT, area)


def cataclysmic(rng: Generator, polar: BoolArray) -> Float32Array:
    """Continua of cataclysmic variables on `STAR_FRAME`: disk, M dwarf, cyclotron humps."""
    count, wave = len(polar), STAR_FRAME.wave
    red = STAR_FRAME.near(7500.0)
    # A steady disk has wave^-2.3 (Lynden-Bell 1969, Nature 223, 690: frequency^1/3).
    slope = rng.uniform(-2.3, 0.0, count)
    flux = np.exp(np.outer(slope, np.log(wave / 5500.0)).astype(np.float32))
    jump = rng.uniform(0.0, 0.35, count)[:, None] * np.exp(-0.5 * ((wave - 3646) / 600) ** 2)
    flux *= np.where(wave < 3660.0, 1.0 + jump, 1.0).astype(np.float32)
    dwarf = star_spectra(rng.uniform(2900.0, 3700.0, count), np.zeros(count))
    dwarf /= dwarf[:, red].mean(axis=1, keepdims=True)
    ratio = np.where(rng.uniform(size=count) < 0.5, rng.uniform(0.0, 1.2, count), 0.0)
    flux += (ratio[:, None] * flux[:, red].mean(axis=1, keepdims=True)) * dwarf
    field = rng.uniform(20.0, 60.0, count)  # [MG]
    height = np.where(polar, rng.uniform(0.3, 1.5, count), 0.0)
    width = rng.uniform(0.05, 0.09, count)
    humps = np.zeros_like(flux)
    for harmonic in range(2, 9):
        offset = np.log(wave) - np.log(_CYCLOTRON / field / harmonic)[:, None]
        fading = height / (1 + 0.25 * (harmonic - 3) ** 2)
        humps += (fading[:, None] * np.exp(-0.5 * (offset / width[:, None]) ** 2)).astype(
            np.float32
        )
    return np.asarray(flux + humps, dtype=np.float32)


def cataclysmic_lines(
    rng: Generator, rows: IntArray, z: FloatArray, level: FloatArray, polar: BoolArray
) -> Gaussians:
    """Lines of cataclysmic variables of continuum `level` at Hbeta; polars have strong He II."""
    count = len(rows)
    rest = np.array([line for line, _ in _CV_LINES] + [_HE_II, _BOWEN])
    helium = np.where(polar, rng.uniform(0.4, 1.0, count), rng.uniform(0.02, 0.3, count))
    ratio = np.tile([strength for _, strength in _CV_LINES], (count, 1))
    ratio = ratio * np.exp(0.2 * rng.standard_normal(ratio.shape))
    ratio = np.column_stack([ratio, helium, 0.4 * helium])
    equivalent = np.exp(rng.uniform(np.log(5.0), np.log(120.0), count))
    area = ratio * (equivalent * level * (1 + z))[:, None] / 2
    fwhm = rng.uniform(500.0, 2500.0, count)
    # Two peaks of a disk near edge-on (Warner 1995, Cataclysmic Variable Stars, ch. 2).
    double = ~polar & (rng.uniform(size=count) < 0.5)
    apart = np.where(double, rng.uniform(0.25, 0.4, count) * fwhm, 0.0)
    sigma = np.where(double, 0.45, 1.0) * fwhm / FWHM_OVER_SIGMA
    sides = np.array([-1.0, 1.0])
    centre = np.outer(1 + z, rest)[:, :, None] * (1 + sides * apart[:, None, None] / SPEED_OF_LIGHT)
    return gaussians(rows[:, None, None], centre, sigma[:, None, None], area[:, :, None])
