"""Sky fibres, bright active galaxies at low redshift, and broad absorption."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from judge.catalogue import (
    DEFAULT,
    OUTLIER,
    TRAINING,
    Catalogue,
    Judge,
    Number,
    bins,
    fraction,
    observe,
    statistic,
    whole,
)
from judge.checks import at_least, at_most
from qnet import simulate
from qnet.simulation.absorption import bal
from qnet.simulation.frame import Objects
from qnet.simulation.quasars import parametric
from qnet.simulation.templates import Parametric

#: Sky fibres of each survey, and their seed.
SKY, SKY_SEED = 20_000, 6000

#: Active galaxies of each survey, their seed, redshifts and r magnitudes.
AGN, AGN_SEED, AGN_Z, AGN_RMAG = 4000, 9100, (0.02, 0.5), (14.5, 19.5)

#: Quasars in which broad absorption is looked for, their seed, redshifts, and the fraction that has
#: some: more than in nature, as recall and rejection are of each kind apart.
BAL, BAL_SEED, BAL_Z, BAL_FRACTION = 10_000, 9200, (1.6, 5.0), 0.5

#: Spectra of at least this S/N of native pixels are bright.
BRIGHT = 4.0

#: Fraction of quasars without broad absorption that are rejected.
REJECTION = 0.98

#: No sky fibre of median S/N below the first is a quasar beyond the second redshift.
DARK, FAR = 1.0, 6.0

#: Where DESI's camera joints would be taken for Lyman-alpha [redshift].
JOINT_REDSHIFTS = ((3.65, 3.9), (5.15, 5.35))

#: The population of all fibres of a survey, as `qnet.classify` names it.
FIBRES = "fibres"


@dataclasses.dataclass(frozen=True)
class QuasarsIn:
    """Parametric quasars of evenly drawn redshifts, and of r magnitudes where they are given."""

    z: tuple[float, float]
    rmag: tuple[float, float] | None = None
    bal_fraction: float = bal.FRACTION

    def quasars(self, rng: np.random.Generator, z: np.ndarray, rmag: np.ndarray) -> Objects:
        """Quasars; the survey's redshifts are not used."""
        drawn = rng.uniform(*self.z, len(z))
        magnitude = rmag if self.rmag is None else rng.uniform(*self.rmag, len(z))
        return parametric.make(rng, drawn, magnitude, bal_fraction=self.bal_fraction)

    galaxies = staticmethod(Parametric.galaxies)
    stars = staticmethod(Parametric.stars)


def quasars_in(n: int, seed: int, survey: str, source: QuasarsIn) -> Any:
    """A simulation of quasars alone, of a source."""
    return simulate(
        n, seed=seed, survey=survey, mix={"quasar": 1.0}, templates=source, template_fraction=1.0
    )


@contextlib.contextmanager
def setting(module: Any, name: str, value: Any) -> Iterator[None]:
    """A name of a module of the simulator with another value."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def judge_sky(judge: Judge) -> dict[str, Any]:
    """Fibres on the sky: how many are called quasars, and where."""
    result: dict[str, Any] = {}
    checks = []
    limits = {DEFAULT: 0.01, FIBRES: 0.003}
    for survey in ("boss", "desi", "sdss"):
        simulation = simulate(judge.size(SKY), seed=SKY_SEED, survey=survey, mix={"sky": 1.0})
        priors = (DEFAULT, FIBRES, TRAINING)
        found = observe(simulation, judge.models, {"sky": whole}, priors)["sky"]
        result[survey] = {
            label: {prior: _sky(one) for prior, one in by_prior.items()}
            for label, by_prior in found.items()
        }
        for prior, limit in limits.items():
            for what, most in (("sky called", limit), ("faint beyond 6", 0.0)):
                values = {label: each[prior][what] for label, each in result[survey].items()}
                checks.append(at_most(f"{what}, {survey}, prior {prior}", most, values))
    return {"numbers": result, "checks": checks}


def _sky(found: Catalogue) -> dict[str, Any]:
    """What is called of sky fibres."""
    z = found.zbest[found.is_qso]
    with np.errstate(invalid="ignore"):
        dark = found.is_qso & (found.snr < DARK) & (found.zbest > FAR)
    return {
        "sky called": fraction(found.is_qso),
        # A count: one is too many, whatever the size of the sample.
        "faint beyond 6": {"value": float(dark.sum()), "n": len(found)},
        "redshifts": np.histogram(z, np.arange(0, 7.25, 0.25))[0].tolist(),
        "at the joints": {
            f"{low:g} - {high:g}": {
                "here": int(((z >= low) & (z < high)).sum()),
                "as wide below": int(((z >= 2 * low - high) & (z < low)).sum()),
                "as wide above": int(((z >= high) & (z < 2 * high - low)).sum()),
            }
            for low, high in JOINT_REDSHIFTS
        },
    }


def judge_agn(judge: Judge) -> dict[str, Any]:
    """Bright active galaxies of strong narrow lines over a host, at z < 0.5."""
    result: dict[str, Any] = {}
    checks = []
    for survey in ("boss", "desi"):
        with setting(parametric, "AGN_FRACTION", 1.0):
            source = QuasarsIn(AGN_Z, AGN_RMAG)
            simulation = quasars_in(judge.size(AGN), AGN_SEED, survey, source)
            found = observe(simulation, judge.models, {"agn": whole}, (DEFAULT,))["agn"]
        result[survey] = {label: _agn(one[DEFAULT]) for label, one in found.items()}
        for what, least in (("at their redshift", 0.995), ("hosts called", 0.95)):
            values = {label: each[what] for label, each in result[survey].items()}
            checks.append(at_least(f"{what}, {survey}", least, values))
    return {"numbers": result, "checks": checks}


def _agn(found: Catalogue) -> dict[str, Any]:
    """Active galaxies at their redshift and called, of the bright, by host and [OIII]."""
    bright = found.pixel_snr > BRIGHT
    right = np.abs(found.dv) < OUTLIER
    host = bright & (found.host_fraction > 0.5)
    return {
        "at their redshift": fraction(right[bright]),
        "called": fraction(found.is_qso[bright]),
        "hosts called": fraction(found.is_qso[host]),
        "hosts at their redshift": fraction(right[host]),
        "z": _by(found, bright, found.truez, (AGN_Z[0], 0.05, 0.1, 0.2, 0.3, AGN_Z[1])),
        "host": _by(found, bright, found.host_fraction, (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)),
        "EW [OIII]": _by(found, bright, found.ew_oiii, (0.0, 30.0, 100.0, 200.0, 500.0)),
    }


def _by(
    found: Catalogue, rows: np.ndarray, x: np.ndarray, edges: tuple[float, ...]
) -> dict[str, dict[str, Number]]:
    """Fractions called and at their redshift in bins."""
    inside = {name: rows & (x >= low) & (x < high) for name, low, high in bins(edges)}
    right = np.abs(found.dv) < OUTLIER
    return {
        name: {"called": fraction(found.is_qso[each]), "right": fraction(right[each])}
        for name, each in inside.items()
    }


def judge_bal(judge: Judge) -> dict[str, Any]:
    """Broad absorption: recall at a given rejection of the quasars that have none."""
    result: dict[str, Any] = {}
    checks = []
    for survey in ("boss", "desi"):
        n = judge.size(BAL)
        source = QuasarsIn(BAL_Z, bal_fraction=BAL_FRACTION)
        both = [("without templates", quasars_in(n, BAL_SEED, survey, source))]
        if judge.templates is not None:
            mixed = simulate(
                n, seed=BAL_SEED, survey=survey, mix={"quasar": 1.0}, templates=judge.templates
            )
            both.append(("with templates", mixed))
        for name, simulation in both:
            found = observe(simulation, judge.models, {"bal": whole}, (DEFAULT,))["bal"]
            numbers = {label: bal_numbers(one[DEFAULT]) for label, one in found.items()}
            result[f"{survey}, {name}"] = numbers
            values = {label: each["BI > 0, at 98 %"] for label, each in numbers.items()}
            checks.append(
                at_least(f"recall of BI > 0 at 98 % rejection, {survey}, {name}", 0.95, values)
            )
    return {"numbers": result, "checks": checks}


def bal_numbers(found: Catalogue) -> dict[str, Number]:
    """Recall of troughs of bright quasars, at a rejection and at the model's own threshold."""
    seen = found.quasar & found.is_qso & (found.pixel_snr > BRIGHT) & np.isfinite(found.p_bal)
    seen &= (found.truez > BAL_Z[0]) & (found.truez < BAL_Z[1])
    none, broad = seen & (found.bal == -1), seen & (found.bal == 1)
    narrow = seen & (found.ai_civ > 0) & (found.bi_civ <= 0)
    if not none.any():
        return {"BI > 0, at 98 %": {"value": np.nan, "n": 0}}
    above = found.p_bal > np.quantile(found.p_bal[none], REJECTION)
    return {
        "BI > 0, at 98 %": fraction(above[broad]),
        "AI > 0, at 98 %": fraction(above[seen & (found.ai_civ > 0)]),
        "AI > 0 and BI = 0, at 98 %": fraction(above[narrow]),
        "BI > 0, IS_BAL": fraction(found.is_bal[broad]),
        "AI > 0, IS_BAL": fraction(found.is_bal[seen & (found.ai_civ > 0)]),
        "rejection, IS_BAL": fraction(~found.is_bal[none]),
        "median BI found": statistic(found.bi_civ[broad & above], np.median),
        "median BI missed": statistic(found.bi_civ[broad & ~above], np.median),
    }
