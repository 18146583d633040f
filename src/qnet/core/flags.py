"""The bits of the catalogue column QN_FLAG: the one table that code, docs and headers read."""

from __future__ import annotations

import enum

__all__ = ["QNFlag", "describe", "flag_names"]


class QNFlag(enum.IntFlag):
    """Bits of QN_FLAG, a reason for caution each.

    The names, positions and meanings are fixed: catalogues on disk hold them. `describe` gives the
    meaning of each bit.
    """

    NODATA = 1 << 0
    CONSTANT = 1 << 1
    BADPIX = 1 << 2
    SPARSE = 1 << 3
    CAMERA_MISSING = 1 << 4
    LOW_SNR = 1 << 5
    LINE_UNOBSERVED = 1 << 6
    JOINT = 1 << 7
    SKYLINE = 1 << 8
    OUTLIER = 1 << 9
    ZRANGE = 1 << 10
    DISAGREE = 1 << 11
    AMBIGUOUS = 1 << 12
    NOREFINE = 1 << 13
    NOT_TARGET = 1 << 16
    BAD_FIBER = 1 << 17


#: Under this share of grid pixels with weight a spectrum is SPARSE.
SPARSE_FRACTION = 0.5

#: Under this median signal-to-noise per grid pixel a spectrum is LOW_SNR.
LOW_SNR_LIMIT = 1.0

#: Beyond this velocity [km/s] from ZBEST a confident line DISAGREEs: the redshift error at which
#: Busca & Balland (2018, section 5) count a redshift as wrong.
DISAGREE_VELOCITY = 6000.0

_MEANING = {
    QNFlag.NODATA: "no pixel of the spectrum has weight inside the model's grid",
    QNFlag.CONSTANT: "the flux has no scatter: it cannot be normalised",
    QNFlag.BADPIX: "pixels with NaN or infinite flux or ivar were masked",
    QNFlag.SPARSE: f"under {SPARSE_FRACTION:g} of the grid pixels have weight",
    QNFlag.CAMERA_MISSING: "a camera is absent from the file or has no weight in this row",
    QNFlag.LOW_SNR: f"the median S/N per grid pixel is under {LOW_SNR_LIMIT:g}",
    QNFlag.LINE_UNOBSERVED: "the place of the most confident line at ZBEST has no data",
    QNFlag.JOINT: "the most confident line at ZBEST lies on a camera joint that the model names",
    QNFlag.SKYLINE: "the most confident line at ZBEST lies on a sky line that the model names",
    QNFlag.OUTLIER: "the spectrum is unlike the model's training data",
    QNFlag.ZRANGE: "ZBEST is outside the redshifts the model was trained on",
    QNFlag.DISAGREE: (
        f"a line above the threshold lies more than {DISAGREE_VELOCITY:g} km/s from ZBEST"
    ),
    QNFlag.AMBIGUOUS: "a second redshift is nearly as good as ZBEST",
    QNFlag.NOREFINE: "the model's second stage gave no redshift",
    QNFlag.NOT_TARGET: "sky or unassigned fibre, or a row that was not asked for",
    QNFlag.BAD_FIBER: "the survey's fibre status is not good",
}

#: Rows with one of these bits are never called quasars.
NEVER_QSO = QNFlag.NODATA | QNFlag.CONSTANT | QNFlag.NOT_TARGET | QNFlag.BAD_FIBER

#: Rows with one of these bits cannot be classified: their answers are NaN.
UNCLASSIFIABLE = QNFlag.NODATA | QNFlag.CONSTANT


def describe(flag: QNFlag) -> str:
    """Meaning of one bit, as docs and catalogue headers print it.

    Parameters
    ----------
    flag : QNFlag
        A single bit.

    Returns
    -------
    str
    """
    return _MEANING[flag]


def flag_names(value: int) -> list[str]:
    """Names of the bits set in a QN_FLAG value.

    Parameters
    ----------
    value : int
        A value of the catalogue column QN_FLAG.

    Returns
    -------
    list of str
        Names, lowest bit first; bits that qnet does not know are left out.

    Examples
    --------
    >>> from qnet.core.flags import flag_names
    >>> flag_names(9)
    ['NODATA', 'SPARSE']
    """
    return [str(flag.name) for flag in QNFlag if int(value) & flag]
