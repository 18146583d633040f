"""Emission lines of quasars: their means, and their scatter between objects."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from qnet.core.arrays import BoolArray, FloatArray
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.profiles import FWHM_OVER_SIGMA, Gaussians, gaussians


class BroadLine(NamedTuple):
    """A broad line: its mean, and how it varies."""

    name: str
    rest: float  # wavelength in vacuum [Angstrom]; that of a blend is its mean
    width: float  # median equivalent width [rest Angstrom]
    kind: str  # where its gas is, which sets its FWHM: 'balmer', 'mgii', 'semi' or 'high'
    shift: float  # mean velocity of the peak against systemic at log L1700 = 45 [km/s]
    trend: float  # its change per dex of luminosity [km/s]
    scatter: float  # its scatter at given luminosity [km/s]
    baldwin: float  # power of luminosity of the equivalent width
    spread: float  # scatter of the equivalent width of this line alone [dex]


#: Broad lines. Rest wavelengths: Vanden Berk et al. 2001, AJ 122, 549, table 2. Equivalent widths:
#: such that the composite of simulated quasars, measured in that table's windows over a local
#: continuum, has that table's equivalent widths to 10 % for Lya+NV, SiIV, CIV, CIII], MgII and the
#: Balmer lines; single objects have more, for the wings and the blends under the local continuum
#: (medians of CIV, MgII and Hbeta then are near those of Shen et al. 2011, ApJS 194, 45, fig. 8).
#: Parts of blends that the table does not separate are divided: NV beside Lya, AlIII and
#: SiIII] beside CIII], and the broad feature at 1600 Angstrom beside HeII and OIII] 1664 (Croom
#: et al. 2002, MNRAS 337, 275). Velocities: of the peak against the stars of the host (CaII), which
#: are systemic (Shen et al. 2016, ApJ 831, 7, tables 2 and 3 and eq. 1, for MgII, HeII, CIV, SiIV,
#: CIII] without its neighbours, Hbeta); of like ionisation where they give none. MgII at its mean
#: doublet, 2798.75. Baldwin slopes: after Dietrich et al. 2002, ApJ 581, 912, table 3. Spreads: the
#: scatter of equivalent widths in Shen et al. 2011, about 0.2 dex, less the shared part below.
BROAD_LINES = (
    BroadLine("OVI", 1033.82, 23.0, "high", -230, -400, 450, -0.19, 0.12),
    BroadLine("CIII 1176", 1175.7, 1.5, "high", -230, -300, 400, -0.12, 0.15),
    BroadLine("LYA", 1215.67, 80.0, "high", -130, -250, 350, -0.14, 0.13),
    BroadLine("NV", 1240.81, 16.0, "high", -230, -400, 450, 0.0, 0.15),
    BroadLine("SiII 1263", 1262.59, 0.6, "semi", -57, 0, 300, -0.05, 0.15),
    BroadLine("OI 1304", 1305.5, 1.9, "semi", -57, 0, 300, -0.05, 0.15),
    BroadLine("CII 1335", 1335.3, 0.8, "semi", -57, 0, 300, -0.05, 0.15),
    BroadLine("SiIV+OIV]", 1399.41, 10.0, "high", -151, -345, 477, -0.08, 0.12),
    BroadLine("CIV", 1549.06, 37.0, "high", -269, -438, 415, -0.17, 0.12),
    BroadLine("1600", 1605.0, 3.0, "high", -57, 0, 500, -0.10, 0.20),
    BroadLine("HeII 1640", 1640.42, 5.0, "high", -231, -282, 242, -0.20, 0.20),
    BroadLine("OIII] 1664", 1664.0, 1.8, "high", -230, -250, 300, -0.12, 0.18),
    BroadLine("NIII] 1750", 1749.7, 0.8, "semi", -150, -100, 300, -0.05, 0.20),
    BroadLine("AlIII", 1857.4, 2.4, "semi", -150, -150, 250, -0.05, 0.18),
    BroadLine("SiIII]", 1892.03, 2.0, "semi", -150, -50, 200, -0.05, 0.20),
    BroadLine("CIII]", 1908.73, 20.0, "semi", -143, 0, 243, -0.09, 0.12),
    BroadLine("FeIII UV48", 2076.6, 4.0, "semi", -57, 0, 300, 0.0, 0.20),
    BroadLine("CII] 2326", 2326.4, 7.0, "semi", -57, 0, 300, -0.05, 0.20),
    BroadLine("[NeIV] 2423", 2423.8, 0.9, "high", -57, 0, 300, -0.10, 0.25),
    BroadLine("MgII", 2798.75, 36.0, "mgii", -57, 0, 205, -0.09, 0.12),
    BroadLine("HeII 3204", 3204.0, 0.6, "balmer", -57, 0, 300, 0.0, 0.25),
    BroadLine("Hepsilon", 3971.2, 4.0, "balmer", -109, 0, 300, 0.0, 0.12),
    BroadLine("Hdelta", 4102.89, 10.8, "balmer", -109, 0, 300, 0.0, 0.10),
    BroadLine("Hgamma", 4341.68, 21.5, "balmer", -109, 0, 300, 0.0, 0.08),
    BroadLine("HeII 4687", 4687.02, 2.5, "balmer", -231, -282, 300, -0.15, 0.30),
    BroadLine("Hbeta", 4862.68, 61.0, "balmer", -109, 0, 400, 0.02, 0.10),
    BroadLine("HeI 5877", 5877.29, 9.8, "balmer", -57, 0, 300, 0.0, 0.20),
    BroadLine("Halpha", 6564.61, 272.0, "balmer", -109, 0, 300, 0.02, 0.08),
    BroadLine("HeI 7067", 7067.2, 2.6, "balmer", -57, 0, 300, 0.0, 0.25),
    BroadLine("OI 8449", 8448.7, 9.0, "balmer", -57, 0, 300, 0.0, 0.20),
    BroadLine("CaII 8600", 8580.0, 6.0, "balmer", -57, 0, 300, 0.0, 0.30),
)

#: Narrow lines: name, vacuum wavelength [Angstrom], median equivalent width [Angstrom], scatter of
#: its own [dex] and family: 'o3' high ionisation, 'ne5' the highest, 'o2' low. Vanden Berk et al.
#: 2001, table 2; doublets by their atomic ratios (Storey & Zeippen 2000, MNRAS 312, 813: 2.98 for
#: [OIII], 3.05 for [NII]); the narrow Balmer lines and [NII], which they do not part from the broad
#: ones, at [OIII]/Hbeta = 10 and the ratios of Seyfert galaxies (Koski 1978, ApJ 223, 56).
NARROW_LINES = (
    ("[NeV] 3347", 3346.79, 0.35, 0.15, "ne5"), ("[NeV] 3427", 3426.84, 1.22, 0.15, "ne5"),
    ("[OII] 3727", 3727.09, 0.65, 0.15, "o2"), ("[OII] 3730", 3729.88, 0.79, 0.15, "o2"),
    ("[FeVII] 3760", 3759.99, 0.15, 0.25, "ne5"), ("[NeIII] 3870", 3869.86, 1.52, 0.10, "o3"),
    ("[NeIII] 3969", 3968.59, 0.42, 0.10, "o3"), ("Hdelta", 4102.89, 0.28, 0.10, "o2"),
    ("Hgamma", 4341.68, 0.58, 0.10, "o2"), ("[OIII] 4364", 4364.44, 0.46, 0.20, "o3"),
    ("HeII 4687", 4687.02, 0.35, 0.20, "o3"), ("Hbeta", 4862.68, 1.30, 0.12, "o2"),
    ("[OIII] 4960", 4960.30, 4.84, 0.00, "o3"), ("[OIII] 5008", 5008.24, 14.40, 0.00, "o3"),
    ("[FeVII] 6088", 6087.98, 0.30, 0.30, "ne5"), ("[OI] 6302", 6302.05, 1.15, 0.20, "o2"),
    ("[OI] 6366", 6365.54, 0.38, 0.20, "o2"), ("[NII] 6550", 6549.86, 1.40, 0.00, "o2"),
    ("Halpha", 6564.61, 5.60, 0.10, "o2"), ("[NII] 6585", 6585.27, 4.20, 0.00, "o2"),
    ("[SII] 6718", 6718.29, 1.65, 0.12, "o2"), ("[SII] 6733", 6732.67, 1.49, 0.12, "o2"),
    ("[ArIII] 7138", 7137.76, 0.60, 0.20, "o3"), ("[SIII] 9071", 9071.10, 3.00, 0.20, "o3"),
    ("[SIII] 9533", 9533.20, 7.50, 0.20, "o3"),
)  # fmt: skip

#: Velocity of the narrow lines' peaks against systemic and its scatter [km/s], by family (Shen et
#: al. 2016, table 3: [OIII], [NeV], [OII]).
NARROW_SHIFT = {"o3": (-48.0, 56.0), "ne5": (-160.0, 119.0), "o2": (8.0, 46.0)}

#: Luminosities at which the equivalent widths above hold, log10 of lambda L_lambda [erg/s] at 1700
#: and 5100 Angstrom: quasars of the composite (r = 18.8) at z = 1.5 and r = 18.5 at z = 0.4.
PIVOT_1700, PIVOT_5100 = 46.0, 44.6

#: Scatter of equivalent widths that all broad lines of an object share [dex].
SHARED_SPREAD = 0.12

#: FWHM [km/s]: medians and scatters [dex] (Shen et al. 2011, fig. 10 and table 2 of Shen & Liu
#: 2012, ApJ 753, 125); power with which each follows Hbeta (Wang et al. 2009, ApJ 707, 1334, have
#: 0.8 for MgII; CIV hardly follows: Baskin & Laor 2005, MNRAS 356, 1029).
FWHM = {"balmer": (4000.0, 0.0, 1.0), "mgii": (3700.0, 0.07, 0.8),
        "semi": (4800.0, 0.09, 0.5), "high": (4300.0, 0.11, 0.3)}  # fmt: skip
FWHM_SCATTER = 0.22

#: Which broad lines are double-peaked where one is, and which come from high ions.
IN_DISK = np.array([line.kind in ("balmer", "mgii") for line in BROAD_LINES])
_HIGH = np.array([line.kind == "high" for line in BROAD_LINES])

#: Rest wavelengths of the broad lines [Angstrom].
REST = np.array([line.rest for line in BROAD_LINES])

#: Range of broad FWHM [km/s]: 1000 parts broad from narrow.
FWHM_RANGE = (1000.0, 15000.0)

#: Ratio of the FWHM of a line to that of its kind. Halpha: Greene & Ho 2005, ApJ 630, 122, eq. 3.
FWHM_RATIO = {"Halpha": 0.92, "HeII 4687": 1.4, "HeI 5877": 1.15, "1600": 2.2, "OI 8449": 0.7,
              "CaII 8600": 1.4, "LYA": 0.9, "HeII 1640": 1.3, "CII] 2326": 1.2}  # fmt: skip

#: Baldwin slope and scatter [dex] of [OIII] (Zhang et al. 2011, ApJ 737, 71: -0.2; Shen & Ho 2014,
#: Nature 513, 210), and how narrow [OIII] is: FWHM [km/s] median and scatter (Mullaney et al.
#: 2013, MNRAS 433, 622).
OIII_BALDWIN, OIII_SPREAD, OIII_FWHM, OIII_FWHM_SCATTER = -0.20, 0.38, 400.0, 0.15

#: Least log10 of the luminosity at 1700 Angstrom, less 45, to which the velocities follow it. Below
#: the high ions are at systemic (Wu & Shen 2022, ApJS 263, 42, for CIV and SiIV).
LEAST_LUMINOSITY = -0.5

#: A tail of blueshifts of the high ions: fraction of quasars, and mean over the line's scatter.
#: Some are shifted by thousands of km/s (Richards et al. 2011, AJ 141, 167, fig. 5; Rankine et al.
#: 2020, MNRAS 492, 4553): most of these are luminous, which the mean relation holds. It has zero
#: mean here, and is part of the published scatter. That of weak-line quasars has this mean [km/s].
TAIL_FRACTION, TAIL, WEAK_TAIL = 0.05, 1.45, 1500.0

#: Scatter of CIV, in whose velocities tails are published [km/s].
CIV_SCATTER = 415.0

# Line of a broad component: FWHM of a sum of two Gaussians over that of its narrower one, for the
# mean wing of 0.4 of the flux and 2.4 times the width.
_CORE = 1.12


@dataclasses.dataclass(frozen=True)
class Emitters:
    """Properties of quasars that set their lines; arrays of shape (nspec,)."""

    z: FloatArray
    fwhm: FloatArray  # of broad Hbeta [km/s]
    log_l1700: FloatArray  # nuclear luminosities, log10 [erg/s]
    log_l5100: FloatArray
    # The first eigenvector of Boroson & Green 1992, ApJS 80, 109, in units of its scatter: strong
    # iron and weak [OIII] are positive.
    eigen: FloatArray
    broad: FloatArray  # factor on the widths of ultraviolet broad lines, below 1 in weak-line ones
    disk: BoolArray  # double-peaked Balmer and MgII lines, which are made apart
    oiii: FloatArray  # equivalent width of [OIII] 5008 [rest Angstrom]; NaN where it is drawn here


@dataclasses.dataclass(frozen=True)
class Broad:
    """Broad lines of each object, arrays of shape (nspec, nlines) in the order of `BROAD_LINES`."""

    width: FloatArray  # equivalent width [rest Angstrom]
    shift: FloatArray  # velocity of the peak [km/s]
    fwhm: FloatArray  # [km/s]


def column(name: str) -> int:
    """Index of a broad line in `BROAD_LINES`."""
    return [line.name for line in BROAD_LINES].index(name)


def draw_broad(rng: Generator, objects: Emitters) -> Broad:
    """Draw strengths, shifts and widths of the broad lines."""
    nspec, nlines = len(objects.z), len(BROAD_LINES)
    velocity, wind, tail = draw_velocities(rng, objects.log_l1700, objects.broad < 0.5)
    x_1700 = np.clip(objects.log_l1700 - PIVOT_1700, -2.0, 1.5)[:, None]
    shared = SHARED_SPREAD * rng.standard_normal((nspec, 1))
    dex = _values("baldwin") * x_1700 + shared
    dex = dex + _values("spread") * rng.standard_normal((nspec, nlines))
    # Large blueshift, small equivalent width (Richards et al. 2011, fig. 7).
    dex += _HIGH * (0.10 * wind - 0.08 * tail * CIV_SCATTER / 1000)
    weak = np.where(REST < 2500, objects.broad[:, None], np.sqrt(objects.broad)[:, None])
    return Broad(_values("width") * 10**dex * weak, velocity, _fwhm(rng, objects, velocity))


def draw_velocities(
    rng: Generator, log_l1700: FloatArray, weak: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Velocities of the peaks [km/s]; the wind's shared part and its tail, both in sigma."""
    nspec = len(log_l1700)
    # Lines of one kind of gas move together: half of the variance is that of the kind. No wind
    # moves the Balmer lines.
    kinds = list(FWHM)
    shared = rng.standard_normal((nspec, len(kinds)))
    own = rng.standard_normal((nspec, len(BROAD_LINES)))
    of_line = np.array([kinds.index(line.kind) for line in BROAD_LINES])
    move = np.sqrt(0.5) * (shared[:, of_line] + own)
    tail = rng.exponential(TAIL, nspec) * (rng.random(nspec) < TAIL_FRACTION)
    tail -= TAIL * TAIL_FRACTION
    tail += np.where(weak, rng.exponential(WEAK_TAIL / CIV_SCATTER, nspec), 0.0)
    move *= np.sqrt(1 - _HIGH * TAIL**2 * TAIL_FRACTION * (2 - TAIL_FRACTION))
    move -= _HIGH * tail[:, None]
    x = np.clip(log_l1700 - 45, None, 2.5)[:, None]
    mean = _values("shift") + _values("trend") * np.maximum(x, LEAST_LUMINOSITY)
    mean = np.where(_HIGH & (x < LEAST_LUMINOSITY), 0.0, mean)
    return mean + _values("scatter") * move, shared[:, [kinds.index("high")]], tail[:, None]


def _values(field: str) -> FloatArray:
    """A property of all broad lines."""
    return np.array([getattr(line, field) for line in BROAD_LINES], dtype=np.float64)


def _fwhm(rng: Generator, objects: Emitters, velocity: FloatArray) -> FloatArray:
    """Widths of the broad lines [km/s]."""
    dex = np.log10(objects.fwhm / FWHM["balmer"][0])
    kinds = {
        kind: median * 10 ** (power * dex + scatter * rng.standard_normal(len(dex)))
        for kind, (median, scatter, power) in FWHM.items()
    }
    fwhm = np.stack(
        [kinds[line.kind] * FWHM_RATIO.get(line.name, 1.0) for line in BROAD_LINES], axis=1
    )
    # Wind-dominated lines are as wide as they are shifted (Coatman et al. 2016, MNRAS 461, 647).
    fwhm = np.hypot(fwhm, _HIGH * 1.2 * np.minimum(velocity, 0.0))
    return np.clip(fwhm, *FWHM_RANGE)


def broad_profiles(rng: Generator, objects: Emitters, lines: Broad) -> Gaussians:
    """Profiles of the broad lines: a core at the peak and a wing, whose offset is the asymmetry."""
    shape = lines.width.shape
    in_wing = np.clip(0.4 + 0.12 * rng.standard_normal((shape[0], 1)), 0.1, 0.7)
    wing_ratio = np.clip(2.4 + 0.4 * rng.standard_normal((shape[0], 1)), 1.5, 3.5)
    core = lines.fwhm / FWHM_OVER_SIGMA / _CORE
    # Wings of high ions lean to the blue (Baskin & Laor 2005), those of the rest to both sides.
    lean = np.where(_HIGH, -0.2, 0.0) + 0.2 * rng.standard_normal((shape[0], 1))
    lean = lean + 0.1 * rng.standard_normal(shape)
    area = lines.width * (1 + objects.z)[:, None]
    area = np.where(objects.disk[:, None] & IN_DISK, 0.0, area)
    row = np.arange(shape[0])[:, None, None]
    lag = lean * lines.fwhm
    # The velocity is that of the peak, which the wing draws to its side.
    centre = lines.shift - _peak(lag / core, wing_ratio, in_wing / (1 - in_wing)) * core
    velocity = np.stack([centre, centre + lag], axis=2)
    sigma = np.stack([core, core * wing_ratio], axis=2)
    areas = np.stack([area * (1 - in_wing), area * in_wing], axis=2)
    wave = REST[None, :, None] * (1 + objects.z)[:, None, None]
    return gaussians(row, wave * (1 + velocity / SPEED_OF_LIGHT), sigma, areas)


def _peak(lag: FloatArray, ratio: FloatArray, flux: FloatArray) -> FloatArray:
    """Peak of a unit Gaussian and one at `lag`, `ratio` times as wide, of relative flux."""
    # Where the slopes cancel; three steps of Newton's method from the peak of the first.
    peak = np.zeros(np.broadcast_shapes(lag.shape, ratio.shape))
    for _ in range(3):
        y = (peak - lag) / ratio
        first, second = np.exp(-0.5 * peak**2), flux / ratio * np.exp(-0.5 * y**2)
        slope = first * peak + second * y / ratio
        peak = peak - slope / (first * (1 - peak**2) + second * (1 - y**2) / ratio**2)
    return np.asarray(peak)


def narrow_profiles(rng: Generator, objects: Emitters) -> tuple[Gaussians, FloatArray]:
    """Profiles of the narrow lines, and the equivalent width of [OIII] 5008 [rest Angstrom]."""
    nspec = len(objects.z)
    names, rest, median, spread, families = map(np.array, zip(*NARROW_LINES, strict=True))
    high = families != "o2"
    x = np.clip(objects.log_l5100 - PIVOT_5100, -2.0, 1.5)
    random = rng.standard_normal((4, nspec))
    o3 = OIII_BALDWIN * x + OIII_SPREAD * (0.8 * random[0] - 0.6 * objects.eigen)
    of_5008 = median[names.tolist().index("[OIII] 5008")]
    o3 = np.where(np.isnan(objects.oiii), o3, np.log10(objects.oiii / of_5008))
    # Low ions follow [OIII] loosely: the ratio spreads by 0.25 dex (Kewley et al. 2006, MNRAS 372,
    # 961, fig. 4).
    o2 = 0.6 * o3 + 0.20 * random[1]
    nitrogen = np.array(["[NII]" in name for name in names])
    dex = np.where(high, o3[:, None], o2[:, None]) + nitrogen * 0.15 * random[3][:, None]
    dex = dex + spread * rng.standard_normal((nspec, len(rest)))
    width = median * 10**dex
    fwhm = np.clip(OIII_FWHM * 10 ** (OIII_FWHM_SCATTER * random[2]), 150.0, 950.0)
    fwhm = fwhm[:, None] * np.where(high, 1.0, 0.85)
    mean, scatter = np.array([NARROW_SHIFT[family] for family in families]).T
    which = [list(NARROW_SHIFT).index(family) for family in families]
    shift = mean + scatter * rng.standard_normal((nspec, len(NARROW_SHIFT)))[:, which]
    row = np.arange(nspec)[:, None]
    observed = rest * (1 + objects.z)[:, None]
    # A wing in 45 % of objects (Mullaney et al. 2013, fig. 3).
    winged = (rng.random(nspec) < 0.45)[:, None]
    wing = winged * high * rng.uniform(0.1, 0.5, (nspec, 1))
    lag = -rng.uniform(50.0, 500.0, (nspec, 1))
    area = width * (1 + objects.z)[:, None]
    wide = fwhm * rng.uniform(1.8, 3.0, (nspec, 1))
    rows = np.stack([np.broadcast_to(row, area.shape)] * 2)
    profiles = gaussians(
        rows,
        np.stack([observed * (1 + (shift + v) / SPEED_OF_LIGHT) for v in (0.0, lag)]),
        np.stack([fwhm, wide]) / FWHM_OVER_SIGMA,
        np.stack([area * (1 - wing), area * wing]),
    )
    return profiles, width[:, names.tolist().index("[OIII] 5008")]
