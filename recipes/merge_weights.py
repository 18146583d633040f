"""Weights of `qnet merge`, fitted on the sample of redrock_sample.py, and what they are worth.

    python recipes/merge_weights.py FOLDER [--output merge.json] [--numbers numbers.json]

Each target is held out once: the chunks of even numbers are merged with weights fitted on those of
odd numbers, and the other way round. The weights that are written are fitted on all. A probability
without data is that of qnet alone: weights are drawn towards it with one unit of log odds as the
standard deviation.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from scipy.optimize import minimize

import qnet
from qnet.evaluation import is_right
from qnet.redrock.merging import KEPT, _add_redrock, _evidence, combine
from qnet.redrock.weights import LAWS, Evidence, MergeWeights

#: Weights of which a small sample may not turn the sign: evidence for is not evidence against.
SIGNS = {
    "quasar": {
        "logit_p_qso": 1,
        "redrock_qso": 1,
        "redrock_strength": 1,
        "redrock_warned": -1,
        "agree": 1,
    },
    "qnet_right": {"logit_p_z": 1, "redrock_strength": -1, "redrock_warned": 1, "excess": -1},
    "agreed_right": {"one": 1, "logit_p_z": 1, "redrock_warned": -1},
}

#: Purities at which completeness is compared, besides those at which each finder works by itself.
PURITIES = (0.95, 0.98, 0.99)

#: Bootstrap draws, and their seed.
DRAWS, SEED = 500, 16


def load_chunk(folder: Path, index: int, scan: bool) -> tuple[Table, Evidence]:
    """The sampled rows of a chunk with truth and redrock's columns, and the evidence."""
    table = qnet.read_catalogue(folder / f"catalogue-{index:03d}.fits")
    truth = Table.read(folder / f"truth-{index:03d}.fits")
    assert (truth["TARGETID"] == table["TARGETID"]).all()
    table["TRUE_QSO"] = np.char.strip(np.asarray(truth["TRUESPECTYPE"]).astype(str)) == "QSO"
    table["TRUE_Z"] = truth["TRUEZ"]
    table["CHUNK"] = index
    sample = Table.read(folder / f"sample-{index:03d}.fits")
    assert (sample["TARGETID"] == table["TARGETID"]).all()
    for name in ("SURE", "CHOSEN"):
        table[name] = sample[name]
    _add_redrock(table, folder / f"redrock-{index:03d}.fits", "")
    return table, _evidence(table, folder / f"rrdetails-{index:03d}.h5" if scan else None)


def fit_law(law: str, evidence: Evidence, target: np.ndarray, used: np.ndarray) -> dict[str, float]:
    """Weights of a probability: the most likely, with the prior of the recipe.

    Sure targets count once: which of them redrock ran on does not depend on what is true.
    """
    features, prior = LAWS[law]
    columns = features(evidence)
    x = np.stack([values[used] for values in columns.values()], axis=1)
    mean = np.array([prior.get(name, 0.0) for name in columns])
    sign = np.where(target[used], 1.0, -1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x @ weights)
        pull = weights - mean
        slope = -sign / (1 + np.exp(np.clip(margin, -500, 500)))
        return np.logaddexp(0, -margin).sum() + pull @ pull / 2, x.T @ slope + pull

    limits = {1: (0, None), -1: (None, 0), 0: (None, None)}
    bounds = [limits[SIGNS[law].get(name, 0)] for name in columns]
    found = minimize(loss, mean, jac=True, method="L-BFGS-B", bounds=bounds).x
    return {name: round(float(value), 4) for name, value in zip(columns, found, strict=True)}


def fit(table: Table, evidence: Evidence, rows: np.ndarray, label: str) -> MergeWeights:
    """Weights of all probabilities, fitted on some rows."""
    quasar, true = np.asarray(table["TRUE_QSO"]), np.asarray(table["TRUE_Z"])
    ours, theirs = (is_right(z, true, 3000.0) for z in (evidence.z, evidence.z_redrock))
    differ = rows & quasar & ~evidence.agree & np.isfinite(evidence.z)
    either = differ & (ours ^ theirs)
    laws = {
        "quasar": (quasar, rows),
        "qnet_right": (ours, either),
        "agreed_right": (ours, rows & quasar & evidence.agree),
    }
    weights = {law: fit_law(law, evidence, *what) for law, what in laws.items()}
    one = (1 + either.sum()) / (2 + differ.sum())
    return MergeWeights(weights, round(float(one), 4), label)


def merged(table: Table, evidence: Evidence, label: str) -> Table:
    """The merged catalogue, every row by weights that it was not fitted with."""
    parts = []
    for half in (0, 1):
        rows = np.asarray(table["CHUNK"]) % 2 == half
        part = table[rows]
        none = np.zeros(len(part), dtype=bool)
        combine(part, evidence.select(rows), none, fit(table, evidence, ~rows, label))
        parts.append(part)
    return vstack(parts, metadata_conflicts="silent")


@dataclasses.dataclass
class Finder:
    """Score and redshift of a finder."""

    score: np.ndarray
    z: np.ndarray

    def outcome(self, table: Table) -> np.ndarray:
        """Whether each row is a true quasar at the right redshift."""
        right = is_right(self.z, np.asarray(table["TRUE_Z"]), 3000.0)
        return np.asarray(table["TRUE_QSO"]) & right


def finders(table: Table) -> dict[str, Finder]:
    """Qnet alone, redrock alone, both merged: the score is of a quasar at its redshift."""
    p_qso, p_z = (np.nan_to_num(table[name], nan=0.0) for name in ("P_QSO", "P_Z"))
    own = [np.nan_to_num(table[KEPT[name]], nan=0.0) for name in ("P_QSO", "P_Z")]
    strength = np.maximum(np.nan_to_num(table["DELTACHI2_RR"]), 0)
    quasar = np.asarray(table["SPECTYPE_RR"]) == "QSO"
    redrock = np.where(quasar, np.where(table["ZWARN_RR"] == 0, 1e6, 0) + 1 + strength, 0)
    return {
        "qnet": Finder(own[0] * np.where(own[1] > 0, own[1], 0.5), np.asarray(table["Z_QN"])),
        "redrock": Finder(redrock, np.asarray(table["Z_RR"])),
        "merged": Finder(p_qso * np.where(p_z > 0, p_z, 0.5), np.asarray(table["ZBEST"])),
    }


def at_purity(score: np.ndarray, good: np.ndarray, weight: np.ndarray, purity: float) -> float:
    """The largest weight of right quasars at a purity or more."""
    order = np.argsort(-score, kind="stable")
    order = order[score[order] > 0]
    found, called = np.cumsum((weight * good)[order]), np.cumsum(weight[order])
    return float(found[found >= purity * called - 1e-9].max(initial=0))


def measure(table: Table) -> dict[str, dict[str, float]]:
    """Completeness of the finders at equal purities."""
    quasar, weight = np.asarray(table["TRUE_QSO"]), np.asarray(table["WEIGHT"])
    every, total = finders(table), weight[np.asarray(table["TRUE_QSO"])].sum()
    good = {name: finder.outcome(table) for name, finder in every.items()}
    called = {
        "redrock": np.asarray((table["SPECTYPE_RR"] == "QSO") & (table["ZWARN_RR"] == 0)),
        "qnet": np.asarray(table["IS_QSO_QN"]),
    }
    purities = {
        f"at the purity of {name}": (weight * good[name])[rows].sum() / weight[rows].sum()
        for name, rows in called.items()
    } | {f"at a purity of {purity}": purity for purity in PURITIES}
    numbers = {}
    for label, purity in purities.items():
        row = {"purity": purity}
        for name, finder in every.items():
            row[name] = at_purity(finder.score, good[name], weight, purity) / total
        if (own := label.removeprefix("at the purity of ")) in called:
            row[own] = (weight * good[own])[called[own]].sum() / total
        numbers[label] = row
    right = {name: (weight * good[name])[quasar].sum() / total for name in every}
    numbers["right redshifts of all quasars"] = right
    for row in numbers.values():
        row |= {f"merged - {other}": row["merged"] - row[other] for other in called}
    return numbers


def compare(table: Table) -> dict[str, object]:
    """`measure`, with intervals of 95 % from a bootstrap over the targets."""
    rng = np.random.default_rng(SEED)
    draws = [measure(table[rng.integers(len(table), size=len(table))]) for _ in range(DRAWS)]
    numbers = {
        section: {
            name: [value, *np.percentile([draw[section][name] for draw in draws], [2.5, 97.5])]
            for name, value in row.items()
        }
        for section, row in measure(table).items()
    }
    weight, quasar = np.asarray(table["WEIGHT"]), np.asarray(table["TRUE_QSO"])
    counts = {"fitted by redrock": len(table), "quasars among them": int(quasar.sum())}
    counts |= {"stand for": round(weight.sum()), "quasars": round(weight[quasar].sum())}
    return {**counts, **numbers}


def main() -> None:
    """Fit and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, help="write the weights here")
    parser.add_argument("--numbers", type=Path, help="write the numbers here")
    arguments = parser.parse_args()
    done = sorted(arguments.folder.glob("redrock-*.fits"))
    numbers: dict[str, object] = {}
    for scan in (False, True):
        chunks = [load_chunk(arguments.folder, int(path.stem.split("-")[1]), scan) for path in done]
        whole = vstack([chunk[0] for chunk in chunks], metadata_conflicts="silent")
        table = whole[whole["CHOSEN"]]
        sure = np.asarray(table["SURE"])
        table["WEIGHT"] = np.where(sure, whole["SURE"].sum() / max(sure.sum(), 1), 1.0)
        names = [field.name for field in dataclasses.fields(Evidence)]
        pieces = [[getattr(chunk[1], name) for chunk in chunks] for name in names]
        evidence = Evidence(*map(np.concatenate, pieces)).select(np.asarray(whole["CHOSEN"]))
        label = f"{len(table)} simulated targets, {chunks[0][0].meta['MODEL']}"
        numbers["with the scan" if scan else "without the scan"] = compare(
            merged(table, evidence, label)
        )
        if scan and arguments.output:
            weights = fit(table, evidence, np.ones(len(table), dtype=bool), label)
            text = json.dumps(dataclasses.asdict(weights), indent=1)
            arguments.output.write_text(text + "\n", encoding="utf-8")
    text = json.dumps(numbers, indent=1)
    if arguments.numbers:
        arguments.numbers.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
