"""The simulator's lines against the published velocities of their peaks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from judge.catalogue import Judge, statistic
from judge.checks import within
from qnet.core.arrays import nmad
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.absorption import bal
from qnet.simulation.population import MAGNITUDES, QUASAR_REDSHIFTS, draw
from qnet.simulation.profiles import Gaussians
from qnet.simulation.quasars import emission, parametric


class Published(NamedTuple):
    """Velocity of a line's peak against CaII of the host, negative to the blue."""

    line: str  # as the simulator names it
    rest: float  # wavelength in vacuum to which the velocity refers [Angstrom]
    shift: float  # at log L1700 = 45, or at any luminosity [km/s]
    trend: float  # per dex of luminosity [km/s]
    scatter: float  # [km/s]


#: Shen et al. 2016, ApJ 831, 7, tables 2 and 3 and eq. 1. CIII] is that without its neighbours.
PUBLISHED = (
    Published("[OII] 3730", 3729.88, 8, 0, 46),
    Published("[OIII] 5008", 5008.24, -48, 0, 56),
    Published("[NeV] 3427", 3426.84, -160, 0, 119),
    Published("MgII", 2798.75, -57, 0, 205),
    Published("CIII]", 1908.73, -143, 0, 243),
    Published("HeII 1640", 1640.42, -231, -282, 242),
    Published("Hbeta", 4862.68, -109, 0, 400),
    Published("CIV", 1549.06, -269, -438, 415),
    Published("SiIV+OIV]", 1399.41, -151, -345, 477),
)

#: log L1700 below which the relation of CIV and SiIV ends (Wu & Shen 2022, ApJS 263, 42): 0 there.
LEAST_LUMINOSITY = 44.5

#: Quasars whose lines are measured, and the seed.
COUNT, SEED = 20_000, 9400

#: Largest difference of a median [km/s].
LIMIT = 20.0


def judge_lines(judge: Judge) -> dict[str, Any]:
    """Median and scatter of each line's peak against the published relation, in the simulator."""
    # Line shapes do not cost much: the sample is not made smaller, and its median is sure.
    rng = np.random.default_rng(SEED)
    z = draw(rng, QUASAR_REDSHIFTS["desi"], COUNT)
    rmag = draw(rng, MAGNITUDES["desi"]["quasar"], COUNT)
    emitters = parametric._draw(rng, z, rmag, bal.draw(rng, z, 0.0)).emitters
    broad = emission.broad_profiles(rng, emitters, emission.draw_broad(rng, emitters))
    narrow, _ = emission.narrow_profiles(rng, emitters)
    lines = {line.name: (line.rest, number, broad, "broad")
             for number, line in enumerate(emission.BROAD_LINES)}  # fmt: skip
    for number, (name, rest, *_) in enumerate(emission.NARROW_LINES):
        lines[name] = lines.get(name, (rest, number, narrow, "narrow"))
    result, checks = {}, []
    for published in PUBLISHED:
        _, number, profiles, kind = lines[published.line]
        velocity = peaks(profiles, kind, number, z, published.rest)
        x = emitters.log_l1700 - 45
        bright = emitters.log_l1700 > LEAST_LUMINOSITY
        # Disks are made apart, and have no single peak.
        seen = ~(emitters.disk & (published.line in ("Hbeta", "MgII")))
        excess = velocity - published.shift - published.trend * x
        rows = seen & (bright | (published.trend == 0))
        result[published.line] = {
            "median": statistic(excess[rows], np.median),
            "scatter": statistic(excess[rows], nmad),
            "published scatter": published.scatter,
        }
        if published.trend:
            result[published.line]["median, faint"] = statistic(velocity[seen & ~bright], np.median)
        found = {"simulator": result[published.line]["median"]}
        checks.append(within(f"peak of {published.line} against the table", LIMIT, found))
    return {"numbers": result, "checks": checks}


def peaks(profiles: Gaussians, kind: str, number: int, z: np.ndarray, rest: float) -> np.ndarray:
    """Velocity [km/s] of the highest point of a line of two Gaussians, shape (nspec,)."""
    nspec = len(z)

    def of_line(values: np.ndarray) -> np.ndarray:
        # The order in which `emission` lays the components of the lines end to end.
        if kind == "broad":
            return values.reshape(nspec, -1, 2)[:, number]
        return values.reshape(2, nspec, -1)[:, :, number].T

    wave, sigma, area = (of_line(getattr(profiles, key)) for key in ("wave", "sigma", "area"))
    velocity = SPEED_OF_LIGHT * (wave / (rest * (1 + z))[:, None] - 1)
    height = area / sigma
    step = np.linspace(-1.5, 1.5, 301)
    x = velocity[:, :1] + sigma[:, :1] * step
    light = sum(
        height[:, [k]] * np.exp(-0.5 * ((x - velocity[:, [k]]) / sigma[:, [k]]) ** 2)
        for k in range(2)
    )
    return np.take_along_axis(x, light.argmax(axis=1)[:, None], axis=1)[:, 0]
