"""Opacities of the atmospheres of stars: lines, bands and edges, by species.

A stellar spectrum is a continuum times exp(-sum of amplitude * opacity); the opacities here are
fixed shapes of unit order, the amplitudes follow the temperature (`atmospheres`).
Line wavelengths in air are those of Moore, Minnaert & Houtgast (1966, The Solar Spectrum, NBS
Monograph 61); band heads those of Pearse & Gaydon (1976, The Identification of Molecular Spectra),
Kirkpatrick, Henry & McCarthy (1991, ApJS 77, 417) and, for L dwarfs, Kirkpatrick et al. (1999, ApJ
519, 802). All become vacuum wavelengths.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from qnet.core.arrays import Float32Array, FloatArray
from qnet.lines import SPEED_OF_LIGHT, air_to_vacuum
from qnet.simulation.frame import STAR_FRAME

#: Limits of the Balmer and Paschen series [Angstrom]: n^2 over the Rydberg constant of hydrogen,
#: 109677.58 per cm (CODATA 2018, reduced mass of hydrogen).
BALMER_LIMIT, PASCHEN_LIMIT = 4e8 / 109677.58, 9e8 / 109677.58

#: Air wavelengths [Angstrom] and strengths of lines of neutral metals that stand out in stars like
#: the Sun, Fe I where not said: the strongest Fraunhofer lines, equivalent widths over 200 mA.
_NEUTRAL = (
    (3440.6, 1.2), (3475.5, 0.6), (3490.6, 0.8), (3524.5, 0.9), (3565.4, 0.9), (3570.1, 1.3),
    (3581.2, 1.9), (3608.9, 1.0), (3618.8, 1.3), (3631.5, 1.3), (3647.8, 0.9), (3679.9, 0.4),
    (3709.2, 0.6), (3719.9, 1.7), (3734.9, 2.5), (3737.1, 1.1), (3745.6, 1.1), (3748.3, 0.5),
    (3758.2, 1.6), (3763.8, 0.9), (3767.2, 0.8), (3787.9, 0.5), (3795.0, 0.6), (3815.8, 1.2),
    (3820.4, 1.7), (3825.9, 1.5), (3829.4, 0.9), (3832.3, 1.7), (3838.3, 1.9), (3859.9, 1.6),
    (3878.0, 0.7), (3886.3, 0.9), (3895.7, 0.4), (3906.5, 0.4), (3922.9, 0.4), (3944.0, 0.5),
    (3961.5, 0.6), (4005.2, 0.4), (4030.8, 0.4), (4045.8, 1.2), (4063.6, 0.8), (4071.7, 0.7),
    (4132.1, 0.4), (4143.9, 0.5), (4187.0, 0.3), (4202.0, 0.3), (4250.8, 0.4), (4254.3, 0.4),
    (4260.5, 0.6), (4271.8, 0.7), (4307.9, 0.7), (4325.8, 0.8), (4383.5, 1.0), (4404.8, 0.9),
    (4415.1, 0.4), (4454.8, 0.3), (4528.6, 0.3), (4668.1, 0.3), (4891.5, 0.3), (4920.5, 0.5),
    (4957.6, 0.6), (5041.7, 0.3), (5079.7, 0.2), (5227.2, 0.3), (5269.5, 0.5), (5328.0, 0.4),
    (5371.5, 0.25), (5397.1, 0.25), (5405.8, 0.27), (5429.7, 0.28), (5446.9, 0.24), (5455.6, 0.22),
    (5528.4, 0.29), (5586.8, 0.2), (5615.6, 0.26), (5709.4, 0.15), (5857.5, 0.15), (6102.7, 0.14),
    (6122.2, 0.22), (6136.6, 0.14), (6162.2, 0.22), (6191.6, 0.12), (6230.7, 0.16), (6252.6, 0.12),
    (6393.6, 0.13), (6400.0, 0.15), (6439.1, 0.16), (6495.0, 0.16), (8688.6, 0.27), (8806.8, 0.35),
)  # fmt: skip

#: Lines of ionised metals of A and F stars (Fe II, Ti II, Sr II, Mg II 4481): air, strength.
_IONISED = (
    (3685.2, 0.5), (3759.3, 0.6), (3761.3, 0.6), (3900.5, 0.4), (3913.5, 0.4), (4077.7, 0.5),
    (4173.5, 0.4), (4215.5, 0.4), (4233.2, 0.4), (4290.2, 0.3), (4300.1, 0.3), (4351.8, 0.3),
    (4395.0, 0.4), (4443.8, 0.3), (4468.5, 0.3), (4481.2, 0.7), (4501.3, 0.3), (4549.5, 0.5),
    (4583.8, 0.4), (4923.9, 0.4), (5018.4, 0.4), (5169.0, 0.5), (5316.6, 0.3),
)  # fmt: skip

#: Ultraviolet lines of galaxies and F to G stars: Mg II, Mg I, Fe II, Si I, vacuum [Angstrom]
#: (Morton 2003, ApJS 149, 205), strength.
_ULTRAVIOLET = (
    (1260.42, 1.0), (1302.17, 1.0), (1334.53, 1.2), (1393.76, 0.8), (1402.77, 0.7), (1526.71, 1.0),
    (1608.45, 0.8), (1670.79, 1.0), (1854.72, 0.7), (1862.79, 0.6), (2344.21, 1.2), (2374.46, 1.0),
    (2382.76, 1.4), (2515.8, 0.8), (2586.65, 1.3), (2600.17, 1.5), (2796.35, 4.0), (2803.53, 3.6),
    (2852.96, 2.5), (3021.5, 0.8), (3047.6, 0.7), (3382.0, 0.7),
)  # fmt: skip

#: He I and He II lines of hot stars: air [Angstrom], strength.
HELIUM_I = (
    (3819.6, 0.6), (3888.6, 0.5), (3964.7, 0.3), (4026.2, 1.0), (4120.8, 0.3), (4143.8, 0.6),
    (4387.9, 0.7), (4471.5, 1.1), (4713.1, 0.4), (4921.9, 0.7), (5015.7, 0.5), (5047.7, 0.2),
    (5875.6, 0.9), (6678.2, 0.6), (7065.2, 0.4), (7281.4, 0.2),
)  # fmt: skip
HELIUM_II = ((4199.8, 0.5), (4541.6, 0.6), (4685.7, 1.0), (5411.5, 0.7))

#: TiO, VO and CaH: head in air [Angstrom], scale over which the band fades to the red, strength.
_TIO = (
    (4584.0, 60, 0.3), (4761.0, 70, 0.7), (4954.0, 80, 1.0), (5167.0, 90, 1.2), (5448.0, 80, 0.9),
    (5597.0, 60, 0.4), (5847.0, 70, 0.7), (6158.0, 110, 1.2), (6322.0, 40, 0.4), (6651.0, 80, 0.8),
    (6681.0, 60, 0.5), (7053.0, 110, 1.5), (7087.0, 70, 0.6), (7125.0, 60, 0.5), (7589.0, 100, 0.8),
    (7666.0, 90, 0.5), (8206.0, 60, 0.3), (8432.0, 90, 0.6), (8859.0, 80, 0.4), (9209.0, 80, 0.3),
)  # fmt: skip
_VO = ((7334.0, 60, 0.5), (7400.0, 120, 0.8), (7851.0, 100, 0.9), (8521.0, 110, 0.5))
_CAH = ((6382.0, 25, 0.6), (6750.0, 90, 0.4), (6903.0, 40, 0.8), (6946.0, 60, 0.8))
_FEH = ((8611.0, 60, 0.5), (8692.0, 80, 0.8), (9020.0, 50, 0.2), (9896.0, 150, 1.0))

#: Bands that fade to the blue, C2 (Swan) and violet CN, and to the red, red CN.
_C2 = ((4382.5, 60, 0.5), (4737.1, 110, 1.0), (5165.2, 150, 1.4), (5635.5, 130, 0.9),
       (6191.2, 80, 0.3))  # fmt: skip
_CN_VIOLET = ((3590.4, 20, 0.6), (3883.4, 35, 1.2), (4216.0, 50, 0.6))
_CN_RED = ((6925.0, 120, 0.4), (7088.0, 100, 0.4), (7876.0, 150, 0.8), (8067.0, 90, 0.5),
           (9140.0, 150, 0.8))  # fmt: skip

#: Ca II, Ca I, Mg I and Na I lines of DZ white dwarfs: air [Angstrom], strength (Dufour et al.
#: 2007, ApJ 663, 1291).
_DEGENERATE_METALS = (
    (3832.0, 0.5), (3933.66, 2.0), (3968.47, 1.6), (4226.73, 0.6), (5175.0, 0.4), (5892.9, 0.15),
)  # fmt: skip


def band(
    wave: FloatArray, heads: tuple[tuple[float, float, float], ...], *, to_red: bool
) -> FloatArray:
    """Opacity of molecular bands: an edge at the head, fading exponentially to one side."""
    opacity = np.zeros_like(wave)
    for head, scale, strength in heads:
        away = (wave - float(air_to_vacuum(head))) * (1.0 if to_red else -1.0)
        edge = 0.5 * (1.0 + np.tanh(away / 3.0))
        opacity += strength * edge * np.exp(-np.maximum(away, 0.0) / scale)
    return opacity


def lines(wave: FloatArray, table: tuple[tuple[float, float], ...], gamma: float) -> FloatArray:
    """Opacity of lines with damping wings of half width `gamma` [A]: 1 / (1 + (offset/gamma)^2)."""
    opacity = np.zeros_like(wave)
    for rest, strength in table:
        centre = float(air_to_vacuum(rest))
        near = slice(*np.searchsorted(wave, [centre - 60 * gamma, centre + 60 * gamma]))
        opacity[near] += strength / (1.0 + ((wave[near] - centre) / gamma) ** 2)
    return opacity


def doppler_lines(
    wave: FloatArray, table: tuple[tuple[float, float], ...], sigma: float, *, air: bool = True
) -> FloatArray:
    """Opacity of Gaussian lines of standard deviation `sigma` [km/s]."""
    opacity = np.zeros_like(wave)
    for rest, strength in table:
        centre = float(air_to_vacuum(rest)) if air else rest
        width = centre * sigma / SPEED_OF_LIGHT
        near = slice(*np.searchsorted(wave, [centre - 6 * width, centre + 6 * width]))
        opacity[near] += strength * np.exp(-0.5 * ((wave[near] - centre) / width) ** 2)
    return opacity


def hydrogen(wave: FloatArray, gamma: float, *, last: int, paschen: float) -> FloatArray:
    """Opacity of Balmer and Paschen lines of Stark wings, half width `gamma` [A] at Hgamma."""
    # Wings fall as offset^-5/2 (Holtsmark; Gray 2005, The Observation and Analysis of Stellar
    # Photospheres, ch. 11); lines beyond the upper level `last` merge (Inglis & Teller 1939, ApJ
    # 90, 439).
    opacity = np.zeros_like(wave)
    for limit, lower, scale in ((BALMER_LIMIT, 2, 1.0), (PASCHEN_LIMIT, 3, paschen)):
        for upper in range(lower + 1, last + 1):
            centre = limit / (1.0 - (lower / upper) ** 2)
            width = gamma * (centre / 4341.7) ** 2 * (upper / 5.0) ** 0.7
            strength = scale * min(1.0, 0.62 + 0.19 * (upper - lower - 1))
            # Blended lines share the quasi-continuum: each is fainter as the series closes.
            strength *= min(1.0, ((lower + 6.0) / upper) ** 2.3)
            reach = slice(*np.searchsorted(wave, [centre - 40 * width, centre + 40 * width]))
            x = (wave[reach] - centre) / width
            opacity[reach] += strength * (1.0 + x**2) ** -1.25
    return opacity


def line_forest(wave: FloatArray, seed: int, power: float) -> FloatArray:
    """Opacity of thousands of blended weak lines of metals (Moore et al. 1966): fixed noise."""
    rng = np.random.default_rng(seed)
    strengths = rng.gamma(0.35, 1.0 / 0.35, size=len(wave))
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.0) ** 2)
    noise = np.convolve(strengths, kernel / kernel.sum(), mode="same")
    # Multiplets and bands bunch the lines over some tens of Angstrom.
    coarse = np.convolve(rng.gamma(2.0, 0.5, size=len(wave)), np.ones(41) / 41, mode="same")
    # Steps where real spectra break (Fanelli et al. 1990, ApJ 364, 272; Hamilton 1985, ApJ 297,
    # 371).
    mean = np.minimum(wave / 4000.0, 1.2) ** -1.0 * np.maximum(wave / 4800.0, 1.0) ** -power
    for edge, height in ((2640.0, 0.7), (2900.0, 0.5), (3980.0, 0.7)):
        mean *= 1.0 + height * 0.5 * (1.0 - np.tanh((wave - edge) / 15.0))
    return np.asarray(0.5 * mean * noise * coarse**2, dtype=np.float64)


@functools.cache
def opacities() -> Mapping[str, Float32Array]:
    """Opacities of all species on `STAR_FRAME`, by name, read-only."""
    wave = STAR_FRAME.wave
    edge = BALMER_LIMIT + 25.0  # where the last lines have merged
    below = 0.5 * (1.0 - np.tanh((wave - edge) / 12.0))
    shapes = {
        "H_WIDE": hydrogen(wave, 7.0, last=18, paschen=0.18),
        "H_NARROW": hydrogen(wave, 1.3, last=24, paschen=0.03),
        # The Balmer continuum falls as wave^3 to the blue (Kramers).
        "BALMER_EDGE": below * np.minimum(wave / edge, 1.0) ** 3,
        "HE_I": lines(wave, HELIUM_I, 1.2),
        "HE_II": lines(wave, HELIUM_II, 1.6),
        "CA_HK": lines(wave, ((3933.66, 1.0), (3968.47, 0.85)), 1.1),
        "CA_IRT": lines(wave, ((8498.02, 0.5), (8542.09, 1.0), (8662.14, 0.85)), 1.3),
        "CA_I": lines(wave, ((4226.73, 1.0),), 1.2),
        "NA_D": lines(wave, ((5889.95, 1.0), (5895.92, 0.85)), 0.8),
        "NA_K_RED": lines(
            wave, ((8183.26, 0.5), (8194.82, 0.8), (7664.91, 0.9), (7698.97, 0.8)), 1.5
        ),
        "MG_B": lines(wave, ((5167.32, 0.6), (5172.68, 0.9), (5183.60, 1.0)), 0.9),
        "MGH": band(wave, ((4845.0, 60, 0.3), (5211.0, 90, 1.0), (5621.0, 60, 0.2)), to_red=False),
        # CH, 4284-4316 A.
        "G_BAND": 0.5 * (np.tanh((wave - 4284.0) / 4.0) - np.tanh((wave - 4316.0) / 3.0)),
        "CN": band(wave, _CN_VIOLET, to_red=False),
        "NEUTRAL": doppler_lines(wave, _NEUTRAL, 75.0) + line_forest(wave, 5172, 4.5),
        "IONISED": doppler_lines(wave, _IONISED, 75.0) + 0.4 * line_forest(wave, 4481, 7.0),
        "UV": doppler_lines(wave, _ULTRAVIOLET, 110.0, air=False),
        "TIO": band(wave, _TIO, to_red=True),
        "VO": band(wave, _VO, to_red=True),
        "CAH": band(wave, _CAH, to_red=True),
        "FEH": band(wave, _FEH, to_red=True),
        # White dwarfs: pressure makes the lines tens of Angstrom wide, and dissolves the highest
        # (Tremblay & Bergeron 2009, ApJ 696, 1755).
        "H_DEGENERATE": hydrogen(wave, 22.0, last=9, paschen=0.1),
        "HE_I_DEGENERATE": lines(wave, HELIUM_I, 14.0),
        "HE_II_DEGENERATE": lines(wave, HELIUM_II, 18.0),
        "METAL_DEGENERATE": lines(wave, _DEGENERATE_METALS, 9.0),
        "C2": band(wave, _C2, to_red=False),
        "CN_RED": band(wave, _CN_RED, to_red=True),
        # The resonance doublets of L dwarfs are hundreds of Angstrom wide (Burrows & Volobuyev
        # 2003, ApJ 583, 985); Rb I and Cs I are narrow.
        "ALKALI": lines(wave, ((5892.9, 1.0), (7681.0, 1.0)), 80.0)
        + lines(wave, ((7800.3, 1.0), (7947.6, 1.0), (8521.1, 1.0), (8943.5, 0.7)), 3.0),
    }
    single = {name: shape.astype(np.float32) for name, shape in shapes.items()}
    for shape in single.values():
        shape.flags.writeable = False
    return MappingProxyType(single)
