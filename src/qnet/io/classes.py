"""The classes that truth records stand for: what training and evaluation call a quasar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qnet.io.truth import CLASS_BAL, CLASS_NONE, CLASS_PERSON, SURE, TruthRecord
from qnet.objective import CLASSES

FloatArray = npt.NDArray[np.float64]

#: Redshift that parts QSO_LZ and QSO_HZ: above it DESI and eBOSS use the Lyman-alpha forest
#: (QuasarNET's read_data; Farr et al. 2020, arXiv:2007.10348, section 1).
Z_LIM = 2.1


def truth_classes(
    records: Sequence[TruthRecord], z_lim: float = Z_LIM
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Classes, redshifts and BAL verdicts of truth records, as in QuasarNET's training data.

    Parameters
    ----------
    records : sequence of TruthRecord, nspec of them
    z_lim : float
        Redshift from which a quasar is QSO_HZ.

    Returns
    -------
    Y : ndarray of float64, shape (nspec, 5)
        One-hot over STAR, GALAXY, QSO_LZ, QSO_HZ, BAD. BAD is all that is not a star, galaxy or
        quasar with confidence 3.
    z : ndarray of float64, shape (nspec,)
        Redshifts.
    bal : ndarray of float64, shape (nspec,)
        1 where broad absorption was seen and BI_CIV > 0, -1 where it was not and BI_CIV == 0,
        else 0.
    """
    z = np.array([record.z_vi for record in records], dtype=np.float64)
    person = np.array([record.class_person for record in records], dtype=np.int64)
    sure = np.array([record.z_conf_person == SURE for record in records], dtype=bool)
    flag = np.array([record.bal_flag_vi != 0 for record in records], dtype=bool)
    balnicity = np.array([record.bi_civ for record in records], dtype=np.float64)
    quasar = sure & np.isin(person, [CLASS_PERSON["QSO"], CLASS_BAL])
    members = {
        "STAR": sure & (person == CLASS_PERSON["STAR"]),
        "GALAXY": sure & (person == CLASS_PERSON["GALAXY"]),
        "QSO_LZ": quasar & (z < z_lim),
        "QSO_HZ": quasar & (z >= z_lim),
    }
    members["BAD"] = ~np.any(list(members.values()), axis=0)
    Y = np.stack([members[name] for name in CLASSES], axis=1).astype(np.float64)
    bal = (flag & (balnicity > 0)).astype(np.float64) - (~flag & (balnicity == 0))
    return Y, z, bal


def not_inspected(record: TruthRecord) -> bool:
    """Whether nobody looked at the object: class and confidence are 0."""
    return record.class_person == CLASS_NONE and record.z_conf_person == 0
