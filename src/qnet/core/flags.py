"""Bits of the catalogue column QN_FLAG: the one table that code, documentation and headers read."""

from __future__ import annotations

import enum

from qnet.core.checks import check_whole
from qnet.core.errors import InputError, shown

__all__ = ["QNFlag", "describe", "flag_names"]

#: Under this fraction of grid pixels with weight a spectrum is SPARSE.
SPARSE_FRACTION = 0.5

#: Under this median signal-to-noise per grid pixel a spectrum is LOW_SNR.
LOW_SNR_LIMIT = 1.0

#: Two cameras have a CAMERA_STEP where their mean fluxes differ by more than this fraction, and by
#: more than this many standard deviations, and each is that many above zero.
STEP_FRACTION, STEP_SIGMA = 0.25, 5.0

#: Beyond this velocity [km/s] from ZBEST a confident line DISAGREEs: the redshift error at which
#: Busca & Balland (2018, section 5) count a redshift as wrong.
DISAGREE_VELOCITY = 6000.0

#: Models that set a bit: of any kind, or with a calibration or a second stage.
ANY, CALIBRATED = "any model", "a calibrated model"


class QNFlag(enum.IntFlag):
    """Bits of the catalogue column QN_FLAG, each a reason for caution.

    A bit is one row: its number, its meaning, and which models set it. The numbers, names and
    meanings are fixed, because catalogues on disk hold them.

    Attributes
    ----------
    bit : int
        Number of the bit: the value is ``1 << bit``.
    meaning : str
        What a set bit means, as documentation and catalogue headers print it.
    set_by : str
        'any model', or 'a calibrated model': one with a calibration or a second stage.

    See Also
    --------
    flag_names : names of the bits of a value.
    describe : meaning of one bit.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet import QNFlag
    >>> QNFlag.LOW_SNR.bit, QNFlag.LOW_SNR.value, QNFlag.LOW_SNR.set_by
    (5, 32, 'any model')

    Rows of a catalogue that have one of two bits:

    >>> qn_flag = np.array([0, 32, 1])
    >>> (qn_flag & (QNFlag.NODATA | QNFlag.LOW_SNR)) != 0
    array([False,  True,  True])
    """

    _value_: int
    bit: int
    meaning: str
    set_by: str

    def __new__(cls, bit: int, meaning: str, set_by: str) -> QNFlag:
        """A bit from its row."""
        member = int.__new__(cls, 1 << bit)
        member._value_ = 1 << bit
        member.bit, member.meaning, member.set_by = bit, meaning, set_by
        return member

    NODATA = 0, "no pixel of the spectrum has weight inside the model's grid", ANY
    CONSTANT = 1, "the flux has no scatter, so it cannot be normalised", ANY
    BADPIX = 2, "pixels with NaN or infinite flux or ivar were masked", ANY
    SPARSE = 3, f"a fraction under {SPARSE_FRACTION:g} of the grid pixels has weight", ANY
    CAMERA_MISSING = 4, "a camera is absent from the file or has no weight in this row", ANY
    LOW_SNR = 5, f"the median S/N per grid pixel is below {LOW_SNR_LIMIT:g}", ANY
    LINE_UNOBSERVED = 6, "the position of the most confident line at ZBEST has no data", ANY
    JOINT = (
        7,
        "the most confident line at ZBEST lies on a camera joint that the model names",
        CALIBRATED,
    )
    SKYLINE = (
        8,
        "the most confident line at ZBEST lies on a sky line that the model names",
        CALIBRATED,
    )
    OUTLIER = 9, "the spectrum is unlike the model's training data", CALIBRATED
    ZRANGE = 10, "ZBEST is outside the redshifts the model was trained on", CALIBRATED
    DISAGREE = (
        11,
        f"a line above the threshold lies more than {DISAGREE_VELOCITY:g} km/s from ZBEST",
        ANY,
    )
    AMBIGUOUS = 12, "a second redshift is nearly as good as ZBEST", CALIBRATED
    NOREFINE = 13, "the model's second stage gave no redshift", CALIBRATED
    NO_EVIDENCE = 14, "too little evidence for a decision; never a quasar by P_QSO", CALIBRATED
    CAMERA_STEP = (
        15,
        f"two cameras differ in their overlap by more than {STEP_FRACTION:g} of the flux",
        ANY,
    )
    NOT_TARGET = 16, "sky or unassigned fibre, or a row that was not selected", ANY
    BAD_FIBER = 17, "the survey's fibre status is not good", ANY
    NO_ERROR = 18, "the input has no errors; they were estimated from the flux", ANY


#: Rows with one of these bits are never called quasars.
NEVER_QSO = (
    QNFlag.NODATA | QNFlag.CONSTANT | QNFlag.NO_EVIDENCE | QNFlag.NOT_TARGET | QNFlag.BAD_FIBER
)

#: Rows with one of these bits cannot be classified: ZBEST, P_QSO and so on are NaN.
UNCLASSIFIABLE = QNFlag.NODATA | QNFlag.CONSTANT


def describe(flag: QNFlag) -> str:
    """Meaning of one bit, as documentation and catalogue headers print it.

    Parameters
    ----------
    flag : QNFlag
        A single bit, or its value.

    Returns
    -------
    str

    Raises
    ------
    InputError
        The value is not that of a single known bit.

    Examples
    --------
    >>> from qnet.core.flags import QNFlag, describe
    >>> describe(QNFlag.SPARSE)
    'a fraction under 0.5 of the grid pixels has weight'
    """
    check_whole("flag", flag)
    for member in QNFlag:
        if member == flag:
            return member.meaning
    raise InputError(f"flag must be one bit of QN_FLAG, not {shown(flag)}")


def flag_names(value: int) -> list[str]:
    """Names of the bits set in a QN_FLAG value.

    Parameters
    ----------
    value : int
        A value of the catalogue column QN_FLAG.

    Returns
    -------
    list of str
        Names, lowest bit first. Unknown bits are left out.

    Raises
    ------
    InputError
        The value is not a whole number, or is negative. Pass the values of an array one by one.

    Examples
    --------
    >>> import qnet
    >>> qnet.flag_names(9)
    ['NODATA', 'SPARSE']
    """
    check_whole("value", value, least=0)
    return [str(flag.name) for flag in QNFlag if int(value) & flag]
