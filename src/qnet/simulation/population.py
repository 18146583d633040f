"""Population of a mock survey: kinds of objects, redshifts, magnitudes.

The distributions are made for training and tests, and are nobody's luminosity function: broad in
redshift and magnitude, so that no part of the plane is rare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from qnet.core.arrays import AnyArray, Columns, FloatArray, IntArray
from qnet.core.errors import InputError
from qnet.simulation.frame import NPIX, Objects

Knots = tuple[tuple[float, float], ...]

#: Kinds of objects, and the value of TRUESPECTYPE of each.
KINDS: Mapping[str, str] = {"quasar": "QSO", "galaxy": "GALAXY", "star": "STAR", "sky": "SKY"}

#: Fraction of each kind. Among BOSS's quasar targets about half are quasars, most of the others
#: stars (Ross et al. 2012, ApJS 199, 3); galaxies and sky are more frequent here, to be learned.
DEFAULT_MIX: Mapping[str, float] = {"quasar": 0.54, "galaxy": 0.16, "star": 0.17, "sky": 0.13}

#: Redshift and relative density of quasars, by survey: many at z < 0.9, where surveys have few
#: broad lines to go by, and enough at every redshift above 3.6. BOSS has its peak between 2.1 and
#: 3, where its targets were selected (Ross et al. 2012; Paris et al. 2017, A&A 597, A79, figure 6).
_BROAD: Knots = (
    (0.01, 0.7), (0.05, 1.0), (0.3, 1.7), (0.9, 1.7), (1.3, 1.0), (2.1, 0.9), (2.6, 0.9),
    (3.2, 0.6), (3.6, 0.45), (4.5, 0.3), (5.5, 0.18), (6.8, 0.12),
)  # fmt: skip
QUASAR_REDSHIFTS: Mapping[str, Knots] = {
    "sdss": _BROAD,
    "boss": (
        (0.01, 0.4), (0.05, 0.5), (0.3, 1.3), (0.9, 1.5), (1.3, 1.1), (1.8, 1.2), (2.2, 2.0),
        (2.6, 1.8), (3.2, 0.9), (3.6, 0.45), (4.5, 0.2), (5.5, 0.1), (6.8, 0.05),
    ),
    **dict.fromkeys(("desi", "pfs", "weave", "4most", "lamost"), _BROAD),
}  # fmt: skip

#: r magnitude and relative density, by survey and kind. The faint limits are those of the quasar
#: targets: SDSS i < 20.2 (Richards et al. 2002, AJ 123, 2945), BOSS g < 22 or r < 21.85 (Ross et
#: al. 2012), DESI r < 23 (Chaussidon et al. 2023, ApJ 944, 107), LAMOST i < 20 (Yao et al. 2019,
#: ApJS 240, 6), 4MOST r < 22.8 (Merloni et al. 2019, The Messenger 175, 42), and adopted
#: for WEAVE (r < 23) and PFS (r < 24), with a margin for variability and light lost at the fibre.
#: Galaxies and stars reach brighter.
MAGNITUDES: Mapping[str, Mapping[str, Knots]] = {
    "lamost": {
        "quasar": ((15.5, 0.05), (17.0, 0.3), (18.5, 0.8), (19.5, 1.0), (20.2, 0.7), (20.5, 0.0)),
        "galaxy": ((14.0, 0.1), (16.0, 0.6), (18.0, 0.9), (20.0, 1.0), (20.5, 0.0)),
        "star": ((14.0, 0.1), (16.0, 0.5), (18.0, 0.8), (20.0, 1.0), (20.5, 0.0)),
    },
    **{
        survey: {
            "quasar": ((16.5, 0.05), (18.5, 0.3), (20.0, 0.6), (most - 1.3, 1.0), (most, 1.0),
                       (most + 0.4, 0.0)),
            "galaxy": ((14.5, 0.1), (17.0, 0.5), (19.0, 0.7), (most - 1.3, 1.0), (most, 1.0),
                       (most + 0.4, 0.0)),
            "star": ((14.5, 0.1), (17.0, 0.4), (19.0, 0.7), (most - 1.3, 1.0), (most, 1.0),
                     (most + 0.4, 0.0)),
        }
        for survey, most in (("4most", 22.8), ("weave", 23.0), ("pfs", 24.0))
    },
    "sdss": {
        "quasar": ((15.5, 0.05), (17.0, 0.3), (18.5, 0.8), (19.3, 1.0), (20.3, 0.8), (20.8, 0.0)),
        "galaxy": ((14.0, 0.1), (16.0, 0.6), (18.0, 0.9), (20.3, 1.0), (20.8, 0.0)),
        "star": ((14.0, 0.1), (16.0, 0.5), (18.0, 0.8), (20.3, 1.0), (20.8, 0.0)),
    },
    "boss": {
        "quasar": ((16.5, 0.05), (18.5, 0.35), (20.0, 0.7), (21.0, 1.0), (21.85, 1.0), (22.3, 0.4),
                   (23.0, 0.0)),
        "galaxy": ((14.5, 0.1), (17.0, 0.5), (19.0, 0.7), (21.0, 1.0), (21.85, 1.0), (22.3, 0.4),
                   (23.0, 0.0)),
        "star": ((14.5, 0.1), (17.0, 0.4), (19.0, 0.7), (21.0, 1.0), (21.85, 1.0), (22.3, 0.4),
                 (23.0, 0.0)),
    },
    "desi": {
        "quasar": ((16.5, 0.05), (18.5, 0.3), (20.0, 0.6), (21.5, 1.0), (22.8, 1.1), (23.2, 0.0)),
        "galaxy": ((14.5, 0.1), (17.0, 0.5), (19.0, 0.7), (21.5, 1.0), (22.8, 1.1), (23.2, 0.0)),
        "star": ((14.5, 0.1), (17.0, 0.4), (19.0, 0.7), (21.5, 1.0), (22.8, 1.1), (23.2, 0.0)),
    },
}  # fmt: skip

#: Quasars of lower redshift than the first are brighter in one of two cases, by up to the second
#: [mag], but not brighter than the third: nearby active galaxies reach so far.
NEARBY: tuple[float, float, float] = (0.5, 3.0, 13.5)


def check_mix(mix: Mapping[str, float] | None) -> dict[str, float]:
    """Fraction of each kind, checked; `DEFAULT_MIX` for None."""
    if mix is None:
        return dict(DEFAULT_MIX)
    unknown = set(mix) - set(KINDS)
    if unknown:
        names = ", ".join(sorted(map(str, unknown)))
        raise InputError(f"mix must name kinds among {', '.join(KINDS)}, not {names}")
    fractions = {kind: float(mix.get(kind, 0.0)) for kind in KINDS}
    if not all(math.isfinite(fraction) and fraction >= 0 for fraction in fractions.values()):
        raise InputError(f"the fractions of mix must be numbers of at least 0, not {dict(mix)}")
    total = sum(fractions.values())
    if abs(total - 1) > 1e-6:
        raise InputError(f"the fractions of mix must add up to 1, but they add up to {total:g}")
    return fractions


def draw(rng: Generator, knots: Knots, size: int) -> FloatArray:
    """Random numbers of a density that is linear between knots (value, relative density)."""
    values, density = np.array(knots).T
    fine = np.linspace(values[0], values[-1], 4001)
    height = np.interp(fine, values, density)
    cumulative = np.concatenate([[0.0], np.cumsum((height[1:] + height[:-1]) / 2)])
    return np.asarray(np.interp(rng.random(size), cumulative / cumulative[-1], fine))


def brighten(rng: Generator, z: FloatArray, rmag: FloatArray) -> FloatArray:
    """Magnitudes of quasars, of which some that are nearby are made brighter."""
    limit, most, brightest = NEARBY
    change = rng.uniform(0, most, len(z)) * (rng.random(len(z)) < 0.5) * (z < limit)
    return np.asarray(np.maximum(rmag - change, np.minimum(rmag, brightest)))


def blank(nspec: int) -> Objects:
    """Sky fibres: no flux, TRUESPECTYPE 'SKY', z = 0, RMAG NaN."""
    return Objects(
        np.zeros((nspec, NPIX), np.float32),
        {
            "TRUEZ": np.zeros(nspec),
            "TRUESPECTYPE": np.full(nspec, "SKY"),
            "TRUESUBTYPE": np.full(nspec, ""),
            "BAL_FLAG_VI": np.zeros(nspec, np.int16),
            "BI_CIV": np.zeros(nspec, np.float32),
            "RMAG": np.full(nspec, np.nan, np.float32),
        },
    )


def merge(parts: Sequence[tuple[IntArray, Objects]], nspec: int) -> Objects:
    """Objects of several kinds as one set of `nspec`, each part's at its rows."""
    flux = np.zeros((nspec, NPIX), np.float32)
    for rows, objects in parts:
        flux[rows] = objects.flux
    return Objects(flux, merge_columns([(rows, objects.truth) for rows, objects in parts], nspec))


def merge_columns(parts: Sequence[tuple[IntArray, Mapping[str, AnyArray]]], nspec: int) -> Columns:
    """Columns of several parts as one set; NaN, -1, False or '' where a part lacks a column."""
    dtypes: dict[str, np.dtype[Any]] = {}
    for _, columns in parts:
        for name, column in columns.items():
            dtype = np.asarray(column).dtype
            dtypes[name] = np.promote_types(dtypes.get(name, dtype), dtype)
    empty = {"f": np.nan, "i": -1, "b": False}
    truth = {
        name: np.full(nspec, empty.get(dtype.kind, ""), dtype) for name, dtype in dtypes.items()
    }
    for rows, columns in parts:
        for name, column in columns.items():
            truth[name][rows] = column
    return truth
