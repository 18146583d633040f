"""What a mock survey observes: kinds of objects, redshifts, magnitudes.

The distributions are made for training and tests, and are nobody's luminosity function: broad in
redshift and magnitude, so that no part of the plane is rare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import FloatArray, IntArray
from qnet.core.errors import InputError
from qnet.simulation.frame import NPIX, Objects

Knots = tuple[tuple[float, float], ...]

#: Kinds of objects, and the value of TRUESPECTYPE of each.
KINDS: Mapping[str, str] = {"quasar": "QSO", "galaxy": "GALAXY", "star": "STAR", "sky": "SKY"}

#: Share of each kind. Among BOSS's quasar targets about half are quasars, most of the others stars
#: (Ross et al. 2012, ApJS 199, 3); galaxies and sky are more frequent here, to be learned.
DEFAULT_MIX: Mapping[str, float] = {"quasar": 0.54, "galaxy": 0.16, "star": 0.17, "sky": 0.13}

#: Redshift and relative density of quasars, by survey: many at z < 0.9, where surveys have few
#: broad lines to go by, and enough at every redshift above 3.6. BOSS has its peak between 2.1 and
#: 3, where its targets were selected (Ross et al. 2012; Paris et al. 2017, A&A 597, A79, figure 6).
_BROAD: Knots = (
    (0.05, 1.0),
    (0.3, 1.7),
    (0.9, 1.7),
    (1.3, 1.0),
    (2.1, 0.9),
    (2.6, 0.9),
    (3.2, 0.6),
    (3.6, 0.45),
    (4.5, 0.3),
    (5.5, 0.18),
    (6.8, 0.12),
)
QUASAR_REDSHIFTS: Mapping[str, Knots] = {
    "sdss": _BROAD,
    "boss": (
        (0.05, 0.5),
        (0.3, 1.3),
        (0.9, 1.5),
        (1.3, 1.1),
        (1.8, 1.2),
        (2.2, 2.0),
        (2.6, 1.8),
        (3.2, 0.9),
        (3.6, 0.45),
        (4.5, 0.2),
        (5.5, 0.1),
        (6.8, 0.05),
    ),
    "desi": _BROAD,
}

#: r magnitude and relative density, by survey and kind. The faint limits are those of the quasar
#: targets: SDSS i < 20.2 (Richards et al. 2002, AJ 123, 2945), BOSS g < 22 or r < 21.85 (Ross et
#: al. 2012), DESI r < 23 (Chaussidon et al. 2023, ApJ 944, 107), with a margin for variability and
#: light lost at the fibre. Galaxies and stars reach brighter.
MAGNITUDES: Mapping[str, Mapping[str, Knots]] = {
    "sdss": {
        "quasar": ((15.5, 0.05), (17.0, 0.3), (18.5, 0.8), (19.3, 1.0), (20.3, 0.8), (20.8, 0.0)),
        "galaxy": ((14.0, 0.1), (16.0, 0.6), (18.0, 0.9), (20.3, 1.0), (20.8, 0.0)),
        "star": ((14.0, 0.1), (16.0, 0.5), (18.0, 0.8), (20.3, 1.0), (20.8, 0.0)),
    },
    "boss": {
        "quasar": (
            (16.5, 0.05),
            (18.5, 0.35),
            (20.0, 0.7),
            (21.0, 1.0),
            (21.85, 1.0),
            (22.3, 0.4),
            (23.0, 0.0),
        ),
        "galaxy": (
            (14.5, 0.1),
            (17.0, 0.5),
            (19.0, 0.7),
            (21.0, 1.0),
            (21.85, 1.0),
            (22.3, 0.4),
            (23.0, 0.0),
        ),
        "star": (
            (14.5, 0.1),
            (17.0, 0.4),
            (19.0, 0.7),
            (21.0, 1.0),
            (21.85, 1.0),
            (22.3, 0.4),
            (23.0, 0.0),
        ),
    },
    "desi": {
        "quasar": ((16.5, 0.05), (18.5, 0.3), (20.0, 0.6), (21.5, 1.0), (22.8, 1.1), (23.2, 0.0)),
        "galaxy": ((14.5, 0.1), (17.0, 0.5), (19.0, 0.7), (21.5, 1.0), (22.8, 1.1), (23.2, 0.0)),
        "star": ((14.5, 0.1), (17.0, 0.4), (19.0, 0.7), (21.5, 1.0), (22.8, 1.1), (23.2, 0.0)),
    },
}


def check_mix(mix: Mapping[str, float] | None) -> dict[str, float]:
    """Share of each kind, checked.

    Parameters
    ----------
    mix : mapping of str to float, optional
        Shares of 'quasar', 'galaxy', 'star', 'sky' that add up to 1; those left out are 0. None:
        `DEFAULT_MIX`.

    Returns
    -------
    dict of str to float

    Raises
    ------
    InputError
        A kind is unknown, a share is negative or no number, or they do not add up to 1.
    """
    if mix is None:
        return dict(DEFAULT_MIX)
    unknown = set(mix) - set(KINDS)
    if unknown:
        names = ", ".join(sorted(map(str, unknown)))
        raise InputError(f"mix must name kinds among {', '.join(KINDS)}, not {names}")
    shares = {kind: float(mix.get(kind, 0.0)) for kind in KINDS}
    if not all(math.isfinite(share) and share >= 0 for share in shares.values()):
        raise InputError(f"the shares of mix must be numbers of at least 0, not {dict(mix)}")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise InputError(
            f"the shares of mix must add up to 1, but they add up to {sum(shares.values()):g}"
        )
    return shares


def draw(rng: np.random.Generator, knots: Knots, size: int) -> FloatArray:
    """Random numbers of a density that is linear between knots.

    Parameters
    ----------
    rng : numpy.random.Generator
    knots : tuple of (float, float)
        Place, increasing, and relative density there.
    size : int

    Returns
    -------
    ndarray of float64, shape (size,)
    """
    place, density = np.array(knots).T
    fine = np.linspace(place[0], place[-1], 4001)
    height = np.interp(fine, place, density)
    cumulative = np.concatenate([[0.0], np.cumsum((height[1:] + height[:-1]) / 2)])
    return np.asarray(np.interp(rng.random(size), cumulative / cumulative[-1], fine))


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
    """Objects of several kinds as one set.

    Parameters
    ----------
    parts : sequence of (rows, Objects)
        Places of each part's objects in the result: together 0 .. nspec - 1.
    nspec : int

    Returns
    -------
    Objects
        With all columns of all parts, as `merge_columns`.
    """
    flux = np.zeros((nspec, NPIX), np.float32)
    for rows, objects in parts:
        flux[rows] = objects.flux
    return Objects(flux, merge_columns([(rows, objects.truth) for rows, objects in parts], nspec))


def merge_columns(
    parts: Sequence[tuple[IntArray, Mapping[str, npt.NDArray[Any]]]], nspec: int
) -> dict[str, npt.NDArray[Any]]:
    """Columns of several parts as one set, each part's values put in its rows.

    A column that a part lacks holds NaN, -1, False or '' in its rows.
    """
    dtypes: dict[str, np.dtype[Any]] = {}
    for _, columns in parts:
        for name, column in columns.items():
            dtype = np.asarray(column).dtype
            dtypes[name] = np.promote_types(dtypes.get(name, dtype), dtype)
    truth = {name: np.full(nspec, _nothing(dtype), dtype) for name, dtype in dtypes.items()}
    for rows, columns in parts:
        for name, column in columns.items():
            truth[name][rows] = column
    return truth


def _nothing(dtype: np.dtype[Any]) -> Any:
    """What a column holds for objects that it says nothing about."""
    return {"f": np.nan, "i": -1, "b": False}.get(dtype.kind, "")
