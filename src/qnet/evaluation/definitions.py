"""The definition of every number, as text and JSON print it and the documentation lists it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from qnet.evaluation.options import TUTORIAL_SPEED_OF_LIGHT, Options

#: Definitions by name; the braces are filled from the options.
DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "purity": (
            "of the rows called quasars whose truth is not BAD, the share with a right redshift "
            "(|ZBEST - z| < {dv_max:g}/{c:g} (1 + z) and z > 0), whatever the true class"
        ),
        "strict_purity": (
            "of the rows called quasars whose truth is not BAD, the share that are true quasars "
            "with a right redshift"
        ),
        "completeness": (
            "of the true quasars, the share that are called quasars with a right redshift"
        ),
        "found": "of the true quasars, the share that are called quasars, whatever the redshift",
        "contamination": (
            "of the rows called quasars whose truth is not BAD, the share that are stars or "
            "galaxies, whatever the redshift"
        ),
        "called_qso": "of the rows of this true class, the share that are called quasars",
        "wrong_redshift": (
            "of the true quasars called quasars, the share whose redshift is not right"
        ),
        "line_confusion": (
            "of the true quasars called quasars, the share whose redshift is not right because "
            "one line was taken for another: (1 + ZBEST)/(1 + z) is the ratio of two lines' rest "
            "wavelengths within {dv_max:g} km/s"
        ),
        "dv_median": (
            "median of dv = c (ZBEST - z)/(1 + z), c = 299792.458 km/s, of the true quasars called "
            "quasars; for a line, its redshift in place of ZBEST, of the true quasars where the "
            "line's confidence is above the threshold"
        ),
        "dv_abs_median": "median of |dv|, same sample",
        "dv_nmad": "1.4826 median |dv - median(dv)|, same sample, outliers included",
        "outliers_3000": "share with |dv| > 3000 km/s, same sample",
        "outliers_6000": "share with |dv| > 6000 km/s, same sample",
        "mean_score": (
            "mean score of the rows in the bin whose truth is not BAD; the score is P_QSO or PROB, "
            "else the largest line confidence"
        ),
        "true_fraction": "of the same rows, the share that are true quasars",
        "calibration_error": (
            "expected calibration error: mean over the rows of |mean_score - true_fraction| of "
            "their bin, 10 equal bins of the score"
        ),
        "bal_found": "of the true BAL quasars, the share that are called quasars",
        "bal_recall": (
            "of the true BAL quasars that are called quasars, the share that are called BAL"
        ),
        "bal_rejection": (
            "of the true non-BAL quasars that are called quasars, the share that are not called BAL"
        ),
        "bal_recall_all": (
            "of all true BAL quasars, called quasars or not, the share called BAL: the accuracy "
            "for recognising BALs of Busca & Balland (2018)"
        ),
        "bal_rejection_all": (
            "of all true non-BAL quasars, called quasars or not, the share not called BAL: the "
            "accuracy for rejecting non-BAL quasars of Busca & Balland (2018)"
        ),
    }
)

#: What the tables of counts hold.
CLASS_CONFUSION = (
    "rows by true class and by what they are called: no quasar, or a quasar with ZBEST below or "
    "not below {z_lim:g}"
)
LINE_CONFUSION = (
    "true quasars called quasars whose redshift is not right, by the line that was there (rows) "
    "and the line that it was taken for (columns): the most confident one where confidences are "
    "known, else that of the best pair; 'other' where no pair's ratio of rest wavelengths is "
    "(1 + ZBEST)/(1 + z) within {dv_max:g} km/s"
)


def define(name: str, options: Options) -> str:
    """The definition of a number, with the options' values.

    Parameters
    ----------
    name : str
        A key of `DEFINITIONS`.
    options : Options

    Returns
    -------
    str
    """
    return fill(DEFINITIONS[name], options)


def fill(text: str, options: Options) -> str:
    """A text with the options' values."""
    return text.format(dv_max=options.dv_max, z_lim=options.z_lim, c=TUTORIAL_SPEED_OF_LIGHT)
