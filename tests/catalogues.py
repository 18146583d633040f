"""Small catalogues with truth, and files of them in the layouts of each classifier."""

from __future__ import annotations

import numpy as np

from makers import image, primary, table, write
from qnet.evaluation.result import Result
from qnet.io.truth import TruthRecord
from qnet.lines import QUASARNET_LINES, absorber_IGM, rest_wavelengths

REST = rest_wavelengths(QUASARNET_LINES)

#: Class and confidence of the BOSS supersets, of each class that a truth can be.
PERSON = {"STAR": (1, 3), "GALAXY": (4, 3), "QSO": (3, 3), "BAD": (3, 1), "UNSEEN": (0, 0)}


def record(kind, z, *, bal=0):
    """A truth record; bal is 1 (BAL), -1 (none) or 0 (not known)."""
    person, confidence = PERSON[kind]
    balnicity = {1: 500.0, -1: 0.0, 0: np.nan}[bal]
    return TruthRecord(z, person, confidence, int(bal > 0), balnicity)


def make_result(zbest, c_lines=None, **changes):
    """A result of ids 1, 2, ...; quasars are what has a line above 0.5, or everything."""
    zbest = np.asarray(zbest, dtype=np.float64)
    nspec = len(zbest)
    given = {
        "name": "made",
        "kind": "qnet",
        "targetid": np.arange(1, nspec + 1),
        "zbest": zbest,
        "is_qso": np.ones(nspec, dtype=bool),
        "criterion": "made up",
        "never_qso": np.zeros(nspec, dtype=bool),
    }
    if c_lines is not None:
        c_lines = np.asarray(c_lines, dtype=np.float64)
        given |= {
            "lines": QUASARNET_LINES[: c_lines.shape[1]],
            "rest": dict(absorber_IGM),
            "c_lines": c_lines,
            "z_lines": np.repeat(zbest[:, None], c_lines.shape[1], axis=1),
            "is_qso": (np.nan_to_num(c_lines) > 0.5).any(axis=1),
        }
    return Result(**(given | changes))


def mock_survey(nspec=300, seed=0, *, scatter=500.0):
    """Truth records and the result of a classifier that is mostly right, by TARGETID 1, 2, ..."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["STAR", "GALAXY", "QSO", "BAD"], nspec, p=[0.25, 0.15, 0.55, 0.05])
    z = np.where(kinds == "STAR", rng.normal(0, 2e-4, nspec), rng.uniform(0.3, 4.0, nspec))
    quasar = np.isin(kinds, ["QSO", "BAD"])
    bal = np.where(quasar, rng.choice([1, -1, 0], nspec, p=[0.2, 0.7, 0.1]), 0)
    truth = {
        number: record(str(kind), float(redshift), bal=int(chosen))
        for number, (kind, redshift, chosen) in enumerate(zip(kinds, z, bal, strict=True), start=1)
    }
    strength = np.where(quasar, 3.0, -2.5)[:, None] + rng.normal(0, 2, (nspec, 6))
    c_lines = 1 / (1 + np.exp(-strength))
    errors = rng.normal(0, scatter, (nspec, 6)) / 299792.458
    z_lines = z[:, None] + errors * (1 + z[:, None])
    best = c_lines.argmax(axis=1)
    wrong = rng.random(nspec) < 0.05
    there = rng.integers(0, 6, nspec)
    shifted = REST[there] * (1 + z) / REST[best] - 1
    rows = np.arange(nspec)
    z_lines[rows, best] = np.where(wrong, shifted, z_lines[rows, best])
    c_bal = np.where(bal == 1, rng.beta(4, 1, nspec), rng.beta(1, 4, nspec))
    result = make_result(
        z_lines[rows, best],
        c_lines,
        z_lines=z_lines,
        c_lines_bal=c_bal[:, None],
        snr=rng.lognormal(1, 1, nspec),
    )
    return truth, result


def write_quasarnet(path, result, *, id_name="THING_ID", squeeze=False):
    """QuasarNET's qnAll file, whose header names only the BAL line."""
    bal = result.c_lines_bal
    columns = {
        id_name: result.targetid,
        "PLATE": np.zeros(len(result), np.int32),
        "ZBEST": result.zbest,
        "IS_QSO": result.is_qso.astype(np.int32),
        "IN_TRAIN": np.zeros(len(result), np.int32),
        "C_LINES": result.c_lines,
        "Z_LINES": result.z_lines,
        "C_LINES_BAL": bal[:, 0] if squeeze else bal,
        "Z_LINES_BAL": bal,
    }
    return write(path, [primary(), table(columns, LINE_0="CIV(1548)")])


def write_redrock(path, result, *, hdu="REDSHIFTS", zwarn=None, **changes):
    """redrock's file; ids that are no targets are as DESI has them."""
    columns = {
        "TARGETID": result.targetid,
        "CHI2": np.zeros(len(result)),
        "COEFF": np.zeros((len(result), 4)),
        "Z": result.zbest,
        "ZERR": np.zeros(len(result)),
        "ZWARN": np.zeros(len(result), np.int64) if zwarn is None else np.int64(zwarn),
        "SPECTYPE": np.where(result.is_qso, "QSO   ", "GALAXY"),
    } | changes
    return write(path, [primary(), table(columns, hdu), table({"TARGETID": result.targetid})])


def write_templates(folder):
    """Templates of redrock of each kind: a constant, and the rest wavelength over 5000 Angstrom."""
    folder.mkdir()
    wave = 900.0 + np.arange(9000)
    for kind, subtype in (("QSO", "LOZ"), ("QSO", "HIZ"), ("GALAXY", ""), ("STAR", "F")):
        vectors = np.stack([np.ones(9000), wave / 5000])
        vectors *= 2 if subtype == "HIZ" else 1
        cards = {"CRVAL1": 900.0, "CDELT1": 1.0, "RRTYPE": kind, "RRSUBTYP": subtype}
        hdus = [primary(), image(vectors, "BASIS_VECTORS", **cards)]
        hdus += [image(np.linspace(0.0, 7.0, 5), "REDSHIFTS")] if kind == "QSO" else []
        write(folder / f"rrtemplate-{kind}-{subtype}.fits", hdus)
    return folder


def write_squeze(path, specid, z_try, prob, duplicated):
    """SQUEzE's catalogue of candidates."""
    columns = {
        "SPECID": np.asarray(specid, dtype=np.int64),
        "Z_TRY": np.asarray(z_try, dtype=np.float64),
        "PROB": np.asarray(prob, dtype=np.float64),
        "DUPLICATED": np.asarray(duplicated, dtype=bool),
    }
    return write(path, [primary(), table(columns, "CANDIDATES")])


def write_truth(path, records, **extra):
    """A superset of the records, with further columns."""
    rows = list(records.values())
    columns = {
        "THING_ID": np.array(list(records), dtype=np.int64),
        "Z_VI": np.array([row.z_vi for row in rows]),
        "CLASS_PERSON": np.array([row.class_person for row in rows], np.int32),
        "Z_CONF_PERSON": np.array([row.z_conf_person for row in rows], np.int32),
        "BAL_FLAG_VI": np.array([row.bal_flag_vi for row in rows], np.int32),
        "BI_CIV": np.array([row.bi_civ for row in rows]),
    }
    return write(path, [primary(), table(columns | extra, "TRUTH")])
