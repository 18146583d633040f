"""The laws of a calibration, fitted to a sample: probabilities, errors, thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qnet.classification.columns import covers_bal
from qnet.classification.redshifts import find_coverage
from qnet.core.arrays import BoolArray, FloatArray
from qnet.core.density import QuasarDensity
from qnet.core.errors import InputError
from qnet.core.pz import P_Z_VELOCITY
from qnet.lines import velocity_between
from qnet.model.calibration import Calibration
from qnet.model.laws import Evidence, Logistic, Table
from qnet.postprocess.features import ChosenCandidates, log_snr, logit, seen_confidence
from qnet.training.fitting import fit_logistic, fit_widths
from qnet.training.sample import Sample

#: What all probabilities are told of the spectrum: its S/N, how much there is, and which lines.
SPECTRUM = ("log_snr", "log_goodfrac", "lines_seen")

#: Features of P_QSO before the second stage (with a redshift head, or without) and after it, of
#: P_BAL, and of the redshifts.
P_QSO = ("logit_quasar", "logit_c1", "logit_c2", "logit_agree", "logit_seen", *SPECTRUM)
P_QSO_LINES = ("logit_c1", "logit_c2", "logit_c3", "logit_agree", "logit_seen", *SPECTRUM)
P_CANDIDATE = ("score", "score2", "logit_quasar", "logit_share", "logit_c1", "logit_seen")
P_BAL = ("logit_bal", "logit_bal_emission")
P_Z_LINES = ("logit_c1", "logit_near", "logit_near2", "log_1pz_best", *SPECTRUM)
P_Z = ("score", "log_odds2", "logit_share", "log_zerr", "logit_near", "logit_near2", "log_1pz_best")
P_Z2 = ("score", "score2", "log_odds2", "logit_share2")

#: Edges of the bins of the tables of errors: log10 of the median S/N, redshift, and logit of a
#: line's confidence.
SNR_EDGES = (-1.4, -0.2, 0.1, 0.3, 0.45, 0.6, 0.75, 0.9, 1.2, 1.6, 2.1)
Z_EDGES = (0.0, 0.3, 0.6, 0.75, 0.9, 1.05, 1.3, 1.8, 2.4, 3.2, 4.2, 5.0, 7.0)
LOGIT_EDGES = (-2.3, 0.0, 2.0, 4.0, 7.0, 14.0)

#: Camera joints and strong sky lines [Angstrom]: the overlaps of DESI's cameras (that of BOSS's, of
#: 500 Angstrom, is too wide for a warning to mean anything); [OI] 5577 and 6300, NaD.
JOINTS = ((5760.0, 5800.0), (7520.0, 7620.0))
SKYLINES = ((5571.0, 5583.0), (5888.0, 5900.0), (6297.0, 6305.0))

#: Fraction of the whole spectra that lie beyond the distance of an OUTLIER, and the spectra per
#: activation without which a parent's mean and scatter stay.
OUTLIER_FRACTION, OUTLIER_ROWS = 1e-3, 10

#: Weights of the first stage against the second that are tried (`fraction_exponent`), the one of
#: under `EXPONENT_ROWS` quasars, and that of a model without a parent.
EXPONENTS = tuple(np.arange(0.0, 3.1, 0.25).tolist())
EXPONENT_ROWS, EXPONENT = 2000, 1.0

#: Fraction of the quasars without broad absorption that IS_BAL leaves out: about that of Busca &
#: Balland (2018), 0.97.
BAL_REJECTION = 0.98

#: Rows of either label without which a probability is not fitted; rows of the rarer one without
#: which it is of degree 1; and the weight of the squared difference from a parent's coefficients.
LEAST_ROWS, SQUARE_ROWS, INHERITED = 20, 500, 50.0

#: NO_EVIDENCE: at most so many lines with data, none confident (QuasarNET's threshold); and the
#: least of these odds that calls at most so large a fraction of the other objects with as few
#: lines. Of under so many of these, and without a parent, the odds are the default.
EVIDENCE_LINES, EVIDENCE_CONFIDENCE, EVIDENCE_DEFAULT = 1, 0.5, 8
EVIDENCE_ODDS, EVIDENCE_CALLED, EVIDENCE_ROWS = tuple(range(3, 21)), 0.008, 200

#: The rest of a calibration that no parent gives: the second stage is run on rows of P_QSO above
#: the floor; a second redshift of more probability makes a row AMBIGUOUS.
DEFAULTS: Mapping[str, Any] = {
    "refine_floor": 0.02,
    "ambiguous": 0.2,
    "joints": JOINTS,
    "skylines": SKYLINES,
}


#: What is called by a column, of what may stay as in a parent.
_COLUMNS = {
    "p_qso": "P_QSO",
    "p_candidate": "P_QSO of candidates",
    "p_z": "P_Z",
    "p_z2": "P2",
    "p_bal": "P_BAL",
    "zerr": "ZERR",
    "zerr_noise": "ZERR_NOISE",
}


class Fitter:
    """Fits a calibration to a sample, near a parent's where there is one."""

    def __init__(self, sample: Sample, parent: Calibration | None) -> None:
        self.sample, self.parent = sample, parent
        self.kept: list[str] = []
        model, arch = sample.model, sample.model.weights.refine
        self.scores, self.bal = bool(arch and arch.scores), bool(arch and arch.bal)
        self.head = model.architecture.redshifts is not None

    def inherited(self, name: str, default: Any = None) -> Any:
        """A value of the parent's calibration."""
        return default if self.parent is None else getattr(self.parent, name)

    def logistic(
        self, name: str, names: Sequence[str], features: FloatArray, label: BoolArray
    ) -> Logistic | None:
        """The law `name` of some rows, all finite; the parent's where there are too few."""
        parent: Logistic | None = self.inherited(name)
        rarer = int(min(label.sum(), (~label).sum()))
        if rarer < LEAST_ROWS:
            self.kept.append(_COLUMNS[name])
            return parent
        degree = 2 if parent is not None or rarer >= SQUARE_ROWS else 1
        l2 = 1.0 if parent is None else INHERITED
        return fit_logistic(features, label, names=names, degree=degree, l2=l2, parent=parent)

    def widths(
        self,
        name: str,
        given: tuple[FloatArray, FloatArray, FloatArray],
        edges: tuple[tuple[float, ...], tuple[float, ...]],
        parent: Table | None,
    ) -> Table | None:
        """The table `name` of widths; the parent's where there are too few rows."""
        table = fit_widths(*given, edges, parent)
        if table is parent:
            self.kept.append(_COLUMNS[name])
        return table

    def exponent(self) -> float:
        """The weight of the first stage that puts most quasars at their redshift."""
        sample, refined = self.sample, self.sample.refined
        if refined is None or sample.quasar.sum() < EXPONENT_ROWS:
            return float(self.inherited("fraction_exponent", EXPONENT))
        right = [sample.is_right(refined.choose(value).z).sum() for value in EXPONENTS]
        return float(EXPONENTS[int(np.argmax(right))])

    def line_errors(self, known: BoolArray) -> dict[str, Table]:
        """Errors [km/s] of the lines' own redshifts, by the logit of the confidence and S/N."""
        sample, tables = self.sample, dict(self.inherited("zerr_lines", {}))
        snr = log_snr(sample.data.snr)
        for number, line in enumerate(sample.model.lines):
            z, confidence = sample.found.z_line[number], sample.found.c_line[number]
            seen = known & sample.is_right(z) & (confidence > 0.1)
            dv = velocity_between(z, sample.z)
            given = logit(confidence[seen]), snr[seen], dv[seen]
            table = fit_widths(*given, (LOGIT_EDGES, SNR_EDGES), tables.get(line))
            if table is not None:
                tables[line] = table
        return tables

    def absorption(self, rows: BoolArray, chosen: ChosenCandidates | None) -> dict[str, Any]:
        """P_BAL and its threshold, on the quasars at their redshifts that cover a BAL line."""
        sample = self.sample
        names = (*(("score_bal",) if self.bal else ()), *P_BAL, *SPECTRUM)
        z = sample.zbest(chosen)
        rows = rows & (sample.bal != 0) & sample.is_right(z)
        rows &= covers_bal(sample.model, sample.data, z)
        if chosen is not None:
            rows &= chosen.ok
        given, label = sample.features(names, chosen)[rows], sample.bal[rows] > 0
        law = self.logistic("p_bal", names, given, label)
        threshold = float(self.inherited("p_bal_threshold", 0.5))
        if law is not self.inherited("p_bal") and law is not None:
            seen = ~label & (sample.change[rows] == 0)
            threshold = float(np.quantile(law.probability(given)[seen], BAL_REJECTION))
        return {"p_bal": law, "p_bal_threshold": threshold}

    def outliers(self) -> tuple[float | None, dict[str, npt.NDArray[Any]]]:
        """The distance beyond which few whole spectra lie, and the arrays that measure it."""
        sample, arrays = self.sample, self.sample.model.weights.arrays
        names = ("outlier_mean", "outlier_scale")
        common = sample.common[sample.change == 0].astype(np.float64)
        if len(common) >= OUTLIER_ROWS * common.shape[1]:
            mean = common.mean(axis=0)
            away = common - mean
            covariance = away.T @ away / len(away) + 1e-4 * np.eye(len(mean))
            scale = np.linalg.inv(np.linalg.cholesky(covariance)).T
            new = {names[0]: mean.astype(np.float32), names[1]: scale.astype(np.float32)}
            distance = np.linalg.norm(away @ scale, axis=1)
            return float(np.quantile(distance, 1 - OUTLIER_FRACTION)), new
        self.kept.append("OUTLIER")
        least: float | None = self.inherited("outlier_threshold")
        if least is None:
            return None, {}
        distance = np.linalg.norm((common - arrays[names[0]]) @ arrays[names[1]], axis=1)
        return max(least, float(np.quantile(distance, 1 - OUTLIER_FRACTION))), {}

    def evidence(
        self, p: FloatArray, prior: float, threshold: float, chosen: ChosenCandidates | None
    ) -> Evidence:
        """Limits of NO_EVIDENCE under which few objects without lines to see are called quasars."""
        sample = self.sample
        coverage = find_coverage(sample.model, sample.data, sample.found, sample.zbest(chosen))
        confidence = seen_confidence(sample.found, coverage)
        lines = coverage.at_z.sum(axis=0)
        others = ~sample.quasar & (lines <= EVIDENCE_LINES)
        own: Evidence | None = self.inherited("evidence")
        few = others.sum() < EVIDENCE_ROWS
        if few and own is not None:
            self.kept.append("NO_EVIDENCE")
            return own
        for odds in (EVIDENCE_DEFAULT,) if few else EVIDENCE_ODDS:
            found = Evidence(float(np.log(odds)), EVIDENCE_CONFIDENCE, EVIDENCE_LINES)
            called = (p > threshold) & ~found.is_lacking(p, prior, confidence, lines)
            if called[others].sum() <= EVIDENCE_CALLED * others.sum():
                break
        return found

    def mix(self) -> dict[str, float]:
        """Fractions of the classes."""
        kinds, counts = np.unique(self.sample.kind[self.sample.change == 0], return_counts=True)
        return {str(kind): float(n / counts.sum()) for kind, n in zip(kinds, counts, strict=True)}

    def density(self, rmag: Mapping[int, float]) -> QuasarDensity | None:
        """Density of the quasars, by redshift and magnitude where this is known."""
        whole = self.sample.change == 0
        ids = self.sample.targetid[whole].tolist()
        r = np.array([rmag.get(number, np.nan) for number in ids])
        return QuasarDensity.of_sample(self.sample.z[whole], self.sample.kind[whole], r)


def fit_laws(
    sample: Sample,
    repeats: Sample | None,
    rmag: Mapping[int, float],
    parent: Calibration | None,
    *,
    count: int,
    floor: float,
) -> tuple[Calibration, dict[str, npt.NDArray[Any]], list[str]]:
    """The calibration, the arrays of OUTLIER, and what stays as in the parent: too few rows."""
    fit = Fitter(sample, parent)
    p_qso, mix, p = _classes(fit)
    rows = p > float(fit.inherited("refine_floor", DEFAULTS["refine_floor"]))
    exponent = fit.exponent()
    chosen = sample.choose(exponent)
    quasars = rows & sample.quasar
    values, p = _candidates(fit, rows, chosen, p)
    values |= _redshifts(fit, quasars, chosen)
    threshold = float(fit.inherited("p_threshold", 0.5))
    values["evidence"] = fit.evidence(p, mix["QSO"], threshold, chosen)
    values |= _errors(fit, quasars, chosen, repeats, exponent)
    values |= fit.absorption(quasars, chosen)
    values["outlier_threshold"], arrays = fit.outliers()
    values["zerr_lines"] = fit.line_errors(sample.quasar)
    values |= {name: fit.inherited(name, default) for name, default in DEFAULTS.items()}
    values["density"] = fit.inherited("density") or fit.density(rmag)
    calibration = Calibration(
        p_qso=p_qso,
        mix=mix,
        z_range=fit.inherited("z_range") or _z_range(sample),
        p_threshold=threshold,
        candidates=count,
        candidate_floor=floor,
        fraction_exponent=exponent,
        **values,
    )
    return calibration, arrays, fit.kept


def _classes(fit: Fitter) -> tuple[Logistic, dict[str, float], FloatArray]:
    """P_QSO of the first stage, the class mix that it assumes, and its values."""
    names: tuple[str, ...] = P_QSO if fit.head else P_QSO_LINES
    sample, quasar = fit.sample, fit.sample.quasar
    p_qso = fit.logistic("p_qso", names, sample.features(names), quasar)
    if p_qso is None:
        raise InputError(
            f"a sample needs {LEAST_ROWS} quasars and {LEAST_ROWS} other objects for P_QSO, but "
            f"{int(quasar.sum())} of the {len(sample)} are quasars"
        )
    mix = fit.mix() if p_qso is not fit.inherited("p_qso") else dict(fit.inherited("mix"))
    return p_qso, mix, p_qso.probability(sample.features(p_qso.names))


def _candidates(
    fit: Fitter, rows: BoolArray, chosen: ChosenCandidates | None, p: FloatArray
) -> tuple[dict[str, Any], FloatArray]:
    """P_QSO of the rows whose candidates are scored, and its values in place of those in `p`."""
    if chosen is None or not fit.scores:
        return {"p_candidate": None}, p
    sample = fit.sample
    names = tuple(x for x in (*P_CANDIDATE, *SPECTRUM) if fit.head or x != "logit_quasar")
    given = sample.features(names, chosen)
    law = fit.logistic("p_candidate", names, given[rows], sample.quasar[rows])
    if law is not None:
        p = np.where(rows, law.probability(sample.features(law.names, chosen)), p)
    return {"p_candidate": law}, p


def _redshifts(
    fit: Fitter, quasars: BoolArray, chosen: ChosenCandidates | None
) -> dict[str, Logistic | None]:
    """P_Z and P2, on quasars."""
    sample, scored = fit.sample, chosen is not None and fit.scores
    names = (*P_Z, *SPECTRUM) if scored else P_Z_LINES
    right = sample.is_right(sample.zbest(chosen), P_Z_VELOCITY)
    given = sample.features(names, chosen)
    p_z = fit.logistic("p_z", names, given[quasars], right[quasars])
    if chosen is None or not scored:
        return {"p_z": p_z, "p_z2": None}
    names = (*P_Z2, *SPECTRUM)
    wrong = quasars & ~right & np.isfinite(chosen.z2)
    given, label = sample.features(names, chosen), sample.is_right(chosen.z2, P_Z_VELOCITY)
    return {"p_z": p_z, "p_z2": fit.logistic("p_z2", names, given[wrong], label[wrong])}


def _errors(
    fit: Fitter,
    quasars: BoolArray,
    chosen: ChosenCandidates | None,
    repeats: Sample | None,
    exponent: float,
) -> dict[str, Table | None]:
    """Factors on the second stage's error for ZERR and ZERR_NOISE."""
    if chosen is None:
        return {"zerr": None, "zerr_noise": None}
    sample, edges = fit.sample, (SNR_EDGES, Z_EDGES)
    good = quasars & chosen.ok & sample.is_right(chosen.z)
    pulls = (chosen.z - sample.z)[good] / chosen.zerr[good]
    given = log_snr(sample.data.snr[good]), chosen.z[good], pulls
    tables = {"zerr": fit.widths("zerr", given, edges, fit.inherited("zerr"))}
    given = (np.zeros(0),) * 3
    if repeats is not None:
        given = _noise_pulls(repeats, exponent)
    tables["zerr_noise"] = fit.widths("zerr_noise", given, edges, fit.inherited("zerr_noise"))
    return tables


def _noise_pulls(repeats: Sample, exponent: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """log10 S/N, redshift, and difference over the joint error, of pairs at their redshift."""
    chosen = repeats.choose(exponent)
    if chosen is None:
        return (np.zeros(0),) * 3
    usable = chosen.ok & repeats.is_right(chosen.z)
    one, two = (np.flatnonzero(usable & (repeats.change == change)) for change in (0, 1))
    _, first, second = np.intersect1d(
        repeats.number[one], repeats.number[two], assume_unique=True, return_indices=True
    )
    a, b = one[first], two[second]
    pulls = (chosen.z[a] - chosen.z[b]) / np.hypot(chosen.zerr[a], chosen.zerr[b])
    snr = (log_snr(repeats.data.snr[a]) + log_snr(repeats.data.snr[b])) / 2
    return snr, (chosen.z[a] + chosen.z[b]) / 2, pulls


def _z_range(sample: Sample) -> tuple[float, float]:
    """Redshifts of the model's bins, or of the quasars of the sample."""
    bins = sample.model.architecture.redshifts
    if bins is not None:
        return bins.z_min, bins.z_max
    z = sample.z[sample.quasar]
    return float(z.min()), float(z.max())
