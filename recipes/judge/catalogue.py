"""Catalogues with their truth: what every test of the judge is made on."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import qnet
from qnet import Model, Spectra
from qnet.evaluation import bootstrap, wilson
from qnet.io.fits.file import FitsFile
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation import Batch
from qnet.simulation.survey import join

#: A redshift is right within this velocity [km/s], and an outlier beyond the second.
RIGHT, OUTLIER = 6000.0, 3000.0

#: Edges of the bins of median S/N (of weak spectra it may be negative).
SNR_EDGES = (-np.inf, 1.0, 2.0, 4.0, 8.0, np.inf)

#: log10 of the column density [cm^-2] of a damped Lyman-alpha absorber.
DLA = 20.3

#: Columns of the catalogue that are read, and what a model without one has.
ANSWERS = {
    "TARGETID": 0,
    "IS_QSO": False,
    "IS_BAL": False,
    "QN_FLAG": 0,
    **dict.fromkeys(("ZBEST", "ZERR", "ZERR_NOISE", "P_QSO", "P_Z", "P_BAL", "SNR"), np.nan),
    **dict.fromkeys(("Z2", "P2"), np.nan),
}

#: Columns of the truth that are read, and what a survey without one has.
TRUTH = {
    "TRUESPECTYPE": "",
    "TRUESUBTYPE": "",
    "TEMPLATE": False,
    "BAL_FLAG_VI": 0,
    **dict.fromkeys(("TRUEZ", "RMAG", "SN_MEDIAN_ALL", "CIV_SHIFT", "LOG_L1700"), np.nan),
    **dict.fromkeys(("EW_OIII", "HOST_FRACTION"), np.nan),
    **dict.fromkeys(("BI_CIV", "AI_CIV", "NHI_DLA"), 0.0),
}

#: Samples drawn for an interval.
NBOOT = 300

#: Priors under which everything is classified: that of `qnet.classify`, and that of the simulation.
DEFAULT, TRAINING = "default", "training"

#: A change of simulated spectra: those that are classified, of a batch.
Change = Callable[[Batch], Spectra]

#: Catalogues by prior, of one model.
ByPrior = dict[str, "Catalogue"]

#: Catalogues by model and prior.
ByModel = dict[str, ByPrior]

Number = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Judge:
    """What is judged, on how much, and where samples are kept."""

    models: Mapping[str, Model]
    folder: Path
    templates: Path | None = None
    scale: float = 1.0

    def size(self, full: int) -> int:
        """Number of spectra of a sample."""
        return max(1, round(full * self.scale))


class Catalogue:
    """A model's catalogue, with the truth."""

    def __init__(self, answers: Mapping[str, Any], truth: Mapping[str, Any], model: Model) -> None:
        nspec = len(truth["TRUEZ"])
        for names, columns in ((ANSWERS, answers), (TRUTH, truth)):
            for name, empty in names.items():
                values = np.asarray(columns[name] if name in columns else np.full(nspec, empty))
                setattr(self, name.lower(), np.char.strip(values) if empty == "" else values)
        self.kind, self.subtype, self.pixel_snr = (
            self.truespectype,
            self.truesubtype,
            self.sn_median_all,
        )
        flag, trough = self.bal_flag_vi > 0, self.bi_civ > 0
        # As in training: of a flag without a balnicity, and the reverse, it is not known.
        self.bal = np.where(flag & trough, 1, np.where(flag | trough, 0, -1))
        self.quasar = self.kind == "QSO"
        self.dla = np.nan_to_num(self.nhi_dla) > DLA
        self.dv = velocity(self.zbest, self.truez)
        self.dv2 = velocity(self.z2, self.truez)
        self.dv_line = velocity(np.asarray(answers["Z_LINE"]), self.truez)
        #: What ranks the spectra: P_QSO, or the largest confidence of a model without it.
        self.score = np.asarray(answers["C_MAX"])
        if np.isfinite(self.p_qso).any():
            self.score = np.nan_to_num(self.p_qso)
        self.right = self.quasar & (np.abs(self.dv) < RIGHT)
        self.model = model

    def __len__(self) -> int:
        return len(self.truez)

    def select(self, rows: np.ndarray) -> Catalogue:
        """Some rows."""
        return self._with({name: values[rows] for name, values in self._arrays().items()})

    def _arrays(self) -> dict[str, np.ndarray]:
        return {k: values for k, values in vars(self).items() if isinstance(values, np.ndarray)}

    def _with(self, arrays: Mapping[str, np.ndarray]) -> Catalogue:
        other = copy.copy(self)
        vars(other).update(arrays)
        return other


def together(parts: Sequence[Catalogue]) -> Catalogue:
    """The catalogues of several files as if they were one."""
    names = parts[0]._arrays()
    return parts[0]._with(
        {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )


def velocity(z: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Error of redshifts [km/s]."""
    return SPEED_OF_LIGHT * (z - true) / (1 + true)


def priors_of(model: Model, wanted: Sequence[str] = (DEFAULT, TRAINING)) -> Sequence[str]:
    """The priors under which a model differs: one, where it does not know its training density."""
    known = model.calibration is not None and model.calibration.density is not None
    return wanted if known else wanted[:1]


def classify(source: Any, model: Model, prior: str) -> dict[str, np.ndarray]:
    """A model's columns of spectra or a file, under a prior that it takes."""
    options = {} if prior == DEFAULT or len(priors_of(model)) == 1 else {"prior": prior}
    table = qnet.classify(source, model=model, **options)
    columns = {name: np.asarray(table[name]) for name in ANSWERS if name in table.colnames}
    confidence = np.nan_to_num(np.asarray(table["C_LINES"]))
    best = confidence.argmax(axis=1)[:, None]
    z_line = np.take_along_axis(np.asarray(table["Z_LINES"]), best, axis=1)[:, 0]
    return {**columns, "C_MAX": confidence.max(axis=1), "Z_LINE": z_line}


def under_priors(
    made: Callable[[str], Catalogue], model: Model, wanted: Sequence[str] = (DEFAULT, TRAINING)
) -> ByPrior:
    """A model's catalogue under each prior; one and the same where they do not differ."""
    found = {prior: made(prior) for prior in priors_of(model, wanted)}
    return {prior: found.get(prior, found[wanted[0]]) for prior in wanted}


def read_catalogue(data: Path, truth: Path, model: Model) -> ByPrior:
    """Catalogues of a file of spectra, under each prior."""
    with FitsFile(truth) as fits:
        known = fits.table(1, [name for name in TRUTH if name in fits.columns(1)])
    known = {
        name: values.astype(str if TRUTH[name] == "" else values.dtype.newbyteorder("="))
        for name, values in known.items()
    }
    return under_priors(lambda prior: Catalogue(classify(data, model, prior), known, model), model)


def observe(
    batches: Iterator[Batch] | Any,
    models: Mapping[str, Model],
    changes: Mapping[str, Change],
    priors: Sequence[str] = (DEFAULT, TRAINING),
) -> dict[str, ByModel]:
    """Catalogues of simulated spectra, each changed in several ways, by models under priors."""
    # `join` puts rows together by the length of TARGETID.
    truth, parts = [], {}
    for batch in batches:
        truth.append(batch.truth)
        for change, function in changes.items():
            spectra = function(batch)
            for label, model in models.items():
                for prior in priors_of(model, priors):
                    columns = classify(spectra, model, prior)
                    parts.setdefault((change, label, prior), []).append(columns)
    known = join(truth)
    return {
        change: {
            label: under_priors(
                lambda prior, key=(change, label), model=model: Catalogue(
                    join(parts[(*key, prior)]), known, model
                ),
                model,
                priors,
            )
            for label, model in models.items()
        }
        for change in changes
    }


def whole(batch: Batch) -> Spectra:
    """The spectra as they are."""
    return batch.spectra


def fraction(inside: np.ndarray) -> Number:
    """A fraction with its Wilson interval."""
    n, hits = len(inside), int(inside.sum())
    value = hits / n if n else np.nan
    low, high = wilson(hits, n)
    return {"value": float(value), "low": float(low), "high": float(high), "n": n}


def statistic(values: np.ndarray, function: Callable[..., float], least: int = 10) -> Number:
    """A statistic with its bootstrap interval."""
    if len(values) < least:
        return {"value": np.nan, "low": np.nan, "high": np.nan, "n": len(values)}
    return interval(function, values)


def interval(function: Callable[..., float], *samples: np.ndarray) -> Number:
    """A statistic of samples, at least two rows each, with its bootstrap interval."""
    low, high = bootstrap(function, *samples, nboot=NBOOT)
    return {"value": float(function(*samples)), "low": low, "high": high, "n": len(samples[0])}


def bins(edges: Sequence[float]) -> Iterator[tuple[str, float, float]]:
    """Name and edges of each bin."""
    for low, high in itertools.pairwise(edges):
        name = f"{low:g} - {high:g}"
        if not np.isfinite(low):
            name = f"below {high:g}"
        elif not np.isfinite(high):
            name = f"above {low:g}"
        yield name, low, high
