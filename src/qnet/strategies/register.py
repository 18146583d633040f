"""The register of strategies: rules as published, with their sources and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from qnet.core.arrays import BoolArray, FloatArray
from qnet.core.errors import InputError, shown
from qnet.core.flags import DISAGREE_VELOCITY
from qnet.lines import velocity_between
from qnet.postprocess.decoding import C_THRESHOLD, MIN_LINES, has_lines
from qnet.strategies.evidence import Evidence
from qnet.strategies.strategy import Strategy

#: Rows that are quasars, and their redshifts.
Found = tuple[BoolArray, FloatArray]

Numbers = Mapping[str, Any]

#: SPECTYPE of redrock's quasars.
QSO = "QSO"


def _lines(evidence: Evidence, numbers: Numbers) -> Found:
    """QuasarNET's criterion: lines of a confidence above a threshold."""
    above = has_lines(evidence.confidences(), numbers["c_threshold"], int(numbers["min_lines"]))
    return above, evidence["z"]


def _p_qso(evidence: Evidence, _numbers: Numbers) -> Found:
    """P_QSO above the threshold of the model, which the header holds."""
    try:
        threshold = float(evidence.meta["PTHRESH"])
    except (KeyError, TypeError, ValueError):
        raise InputError(
            "the strategy qnet needs the threshold of P_QSO: the table's meta has no number PTHRESH"
        ) from None
    return evidence["p_qso"] > threshold, evidence["z"]


def _redrock(evidence: Evidence, _numbers: Numbers) -> Found:
    """Redrock's quasars without a warning."""
    return (evidence["spectype"] == QSO) & (evidence["zwarn"] == 0), evidence["z_redrock"]


def _squeze(evidence: Evidence, numbers: Numbers) -> Found:
    """SQUEzE's candidates above a probability."""
    return evidence["prob"] > numbers["p_min"], evidence["z_squeze"]


def _either(evidence: Evidence, numbers: Numbers) -> Found:
    """Quasars of QuasarNET or redrock."""
    (by_lines, z), (by_redrock, z_redrock) = _lines(evidence, numbers), _redrock(evidence, numbers)
    return by_lines | by_redrock, np.where(by_lines, z, z_redrock)


def _both(evidence: Evidence, numbers: Numbers) -> Found:
    """Quasars of QuasarNET and redrock at one redshift."""
    (by_lines, z), (by_redrock, z_redrock) = _lines(evidence, numbers), _redrock(evidence, numbers)
    agree = np.abs(velocity_between(z_redrock, z)) < numbers["dv_max"]
    return by_lines & by_redrock & agree, np.where(by_lines, z, z_redrock)


def _inspected(evidence: Evidence, numbers: Numbers) -> tuple[BoolArray, FloatArray, BoolArray]:
    """Quasars of QuasarNET, and those between two thresholds for visual inspection."""
    sure, z = _lines(evidence, numbers)
    possible, _ = _lines(evidence, {**numbers, "c_threshold": numbers["c_inspect"]})
    return sure, z, possible & ~sure


def _afterburner(evidence: Evidence, numbers: Numbers) -> Found:
    """Quasars of QuasarNET among targets; redshifts of redrock where it agrees or ran again."""
    found, z = _lines(evidence, numbers)
    if "objtype" in evidence:
        found &= evidence["objtype"] == "TGT"
    if "rerun" in evidence and "spectype" in evidence and "z_redrock" in evidence:
        # Redrock runs again where it says other than QSO, or another redshift.
        agrees = (evidence["spectype"] == QSO) & ~evidence["rerun"]
        z = _rerun(evidence, np.where(agrees, evidence["z_redrock"], z), evidence["rerun"])
    return found, z


def _rerun(evidence: Evidence, z: FloatArray, rows: BoolArray) -> FloatArray:
    """Redshifts, in some rows those of redrock's second run, if it gave one."""
    if "z_new" not in evidence:
        return z
    new = evidence["z_new"]
    return np.where(rows & np.isfinite(new), new, z)


def _desi(evidence: Evidence, numbers: Numbers) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Rows of good fibres that DESI takes; quasar targets; rows with a line above the threshold."""
    confidences = evidence.confidences()
    sure = has_lines(confidences, numbers["c_threshold"], 1)
    weak = has_lines(confidences, numbers["c_galaxies"], 1)
    redrock = evidence["spectype"] == QSO
    mgii = evidence["mgii"] if "mgii" in evidence else np.zeros(len(evidence), dtype=bool)
    wanted = redrock | mgii | sure
    targets = np.ones(len(evidence), dtype=bool)
    if "target" in evidence:
        # A target of several classes is judged as the first of QSO, ELG, BGS.
        targets, elg, bgs = (evidence.is_target(kind) for kind in ("QSO", "ELG", "BGS"))
        wanted = np.select(
            [targets, elg, bgs], [wanted, redrock & weak, redrock & (weak | mgii)], False
        )
    if "fiberstatus" in evidence:
        wanted = wanted & np.isin(evidence["fiberstatus"], numbers["fiberstatus"])
    return wanted, targets, sure


def _desi_dr1(evidence: Evidence, numbers: Numbers) -> Found:
    """Quasars of DESI's catalogues of DR1."""
    wanted, targets, sure = _desi(evidence, numbers)
    z = evidence["z_redrock"]
    if "rerun" in evidence:
        z = _rerun(evidence, z, evidence["rerun"] & (sure | ~targets))
    joint = np.any([(z > low) & (z < high) for low, high in numbers["joints"]], axis=0)
    c_lya, c_civ = evidence.confidence("LYA"), evidence.confidence("CIV(1548)")
    unsure = (c_lya < numbers["c_threshold"]) | (c_civ < numbers["c_threshold"])
    return wanted & ~(joint & unsure), z


def _desi_matterhorn(evidence: Evidence, numbers: Numbers) -> Found:
    """Quasars of DESI's catalogues of Matterhorn."""
    wanted, _, sure = _desi(evidence, numbers)
    z = evidence["z_redrock"]
    if "rerun" in evidence:
        z = _rerun(evidence, z, evidence["rerun"] & sure)
    if "objtype" in evidence:
        wanted &= evidence["objtype"] == "TGT"
    return wanted, z


_FARR = "Farr, Font-Ribera & Pontzen 2020 (arXiv:2007.10348)"
_QN = {"c_threshold": C_THRESHOLD, "min_lines": MIN_LINES}
_LINE = "a line of confidence above {c_threshold:g}"
_LSS = "DESI's LSS, py/LSS/qso_cat_utils.py, qso_catalog_maker"
_OF_REDROCK = ("spectype", "zwarn", "z_redrock")
_DESI = (
    "quasar targets: SPECTYPE QSO, MgII, or a line above {c_threshold:g}; ELG targets: SPECTYPE QSO"
    " and a line above {c_galaxies:g}; BGS targets: SPECTYPE QSO, and MgII or a line above"
    " {c_galaxies:g}; COADD_FIBERSTATUS among {fiberstatus}"
)
_DESI_USES = ("mgii", "rerun", "z_new", "target", "fiberstatus")

_DECLARED = (
    Strategy(
        name="qnet",
        version=1,
        summary="P_QSO above the threshold of the model (PTHRESH); redshift ZBEST",
        source="qnet, docs/explanation/calibration.md",
        rule=_p_qso,
        numbers={},
        needs=("p_qso", "z"),
    ),
    Strategy(
        name="quasarnet",
        version=1,
        summary=f"{_LINE}; redshift ZBEST",
        source="QuasarNET, bin/qn_export (Busca & Balland 2018, arXiv:1808.09955)",
        rule=_lines,
        numbers={"c_threshold": 0.4, "min_lines": 1},
        needs=("lines", "z"),
    ),
    Strategy(
        name="tutorial",
        version=1,
        summary=f"{_LINE}; redshift ZBEST",
        source="QuasarNET's tutorial (c_th, ndetect)",
        rule=_lines,
        numbers=_QN,
        needs=("lines", "z"),
    ),
    Strategy(
        name="farr20-qn",
        version=1,
        summary=f"QuasarNET alone: {_LINE}; redshift ZBEST",
        source=f"{_FARR}, QN",
        rule=_lines,
        numbers=_QN,
        needs=("lines", "z"),
    ),
    Strategy(
        name="farr20-rr",
        version=1,
        summary="redrock alone: SPECTYPE QSO and ZWARN 0; redshift of redrock",
        source=f"{_FARR}, RR",
        rule=_redrock,
        numbers={},
        needs=_OF_REDROCK,
    ),
    Strategy(
        name="farr20-squeze",
        version=1,
        summary="SQUEzE alone: PROB above {p_min:g}; redshift of SQUEzE",
        source=f"{_FARR}, SQ; Perez-Rafols et al. 2020 (arXiv:1903.00023)",
        rule=_squeze,
        numbers={"p_min": 0.32},
        needs=("prob", "z_squeze"),
    ),
    Strategy(
        name="farr20-or",
        version=1,
        summary="farr20-qn or farr20-rr; redshift ZBEST, that of redrock if only farr20-rr holds",
        source=f"{_FARR}, QN|RR",
        rule=_either,
        numbers=_QN,
        needs=("lines", "z", *_OF_REDROCK),
    ),
    Strategy(
        name="farr20-and",
        version=1,
        summary="farr20-qn and farr20-rr, at redshifts within {dv_max:g} km/s; redshift ZBEST",
        source=f"{_FARR}, QN&RR",
        rule=_both,
        numbers={**_QN, "dv_max": DISAGREE_VELOCITY},
        needs=("lines", "z", *_OF_REDROCK),
    ),
    Strategy(
        name="farr20-vi",
        version=1,
        summary=f"{_LINE}; visual inspection if the best line is only above {{c_inspect:g}};"
        " redshift ZBEST",
        source=f"{_FARR}, QN+VI",
        rule=_inspected,
        numbers={"c_inspect": 0.1, "c_threshold": 0.9, "min_lines": 1},
        needs=("lines", "z"),
    ),
    Strategy(
        name="desi-afterburner",
        version=1,
        summary=f"{_LINE}, OBJTYPE TGT; redshift Z_NEW where redrock ran again, else of redrock"
        " where SPECTYPE is QSO, else ZBEST",
        source="desispec 0.70, desispec.scripts.qsoqn",
        rule=_afterburner,
        numbers=_QN,
        needs=("lines", "z"),
    ),
    Strategy(
        name="desi-dr1",
        version=1,
        summary=f"{_DESI}; not at redshifts between {{joints}} unless both LYA and CIV reach"
        " {c_threshold:g}; redshift Z_NEW where redrock ran again (of quasar targets: and a line is"
        " above {c_threshold:g}), else of redrock",
        source=f"{_LSS} of 2023; Chaussidon et al. 2023 (arXiv:2208.08511)",
        rule=_desi_dr1,
        numbers={
            "c_threshold": 0.95,
            "c_galaxies": 0.6,
            # The bits BADAMPR and BADAMPZ: a bad amplifier of the red or the infrared camera.
            "fiberstatus": (0, 1 << 23, 1 << 24),
            # Redshifts at which the joints of the cameras make false lines.
            "joints": ((3.65, 3.9), (5.15, 5.35)),
        },
        needs=("lines", "spectype", "z_redrock"),
        uses=_DESI_USES,
    ),
    Strategy(
        name="desi-matterhorn",
        version=1,
        summary=f"{_DESI}; OBJTYPE TGT; redshift Z_NEW where redrock ran again and a line is above"
        " {c_threshold:g}, else of redrock",
        source=f"{_LSS} of 2026; the redshift as in desispec.validredshifts",
        rule=_desi_matterhorn,
        # Beside 0 the bit RESTRICTED.
        numbers={"c_threshold": 0.99, "c_galaxies": 0.6, "fiberstatus": (0, 1 << 3)},
        needs=("lines", "spectype", "z_redrock"),
        uses=(*_DESI_USES, "objtype"),
    ),
)

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({each.name: each for each in _DECLARED})
"""The strategies by name.

Examples
--------
>>> from qnet.strategies import STRATEGIES
>>> list(STRATEGIES)[:3]
['qnet', 'quasarnet', 'tutorial']
"""


def as_strategy(strategy: str | Strategy) -> Strategy:
    """The strategy of a name.

    Parameters
    ----------
    strategy : str or Strategy
        'name' or 'name@version', of `STRATEGIES`; a `Strategy` is returned as it is.

    Returns
    -------
    Strategy

    Raises
    ------
    InputError
        There is no strategy of this name and version.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.strategies import as_strategy
    >>> rows = Table({"C_LINES": [[0.97], [0.45]], "ZBEST": [2.1, 0.4]})
    >>> as_strategy("quasarnet@1")(rows).is_qso
    array([ True,  True])
    """
    if isinstance(strategy, Strategy):
        return strategy
    name, at, version = strategy.partition("@") if isinstance(strategy, str) else ("", "", "")
    known = STRATEGIES.get(name)
    if known is None or (at and version != str(known.version)):
        names = ", ".join(map(str, STRATEGIES.values()))
        raise InputError(f"strategy must be one of {names}, not {shown(strategy)}")
    return known
