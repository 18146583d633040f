"""Flags, lines and target bits: the tables that code, docs and headers read."""

from __future__ import annotations

import numpy as np
import pytest

from qnet.core.errors import InputError
from qnet.core.flags import NEVER_QSO, QNFlag, describe, flag_names
from qnet.io.selection import is_qso_target
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL, absorber_IGM, rest_wavelengths

#: The bits as catalogues on disk hold them.
BITS = {
    "NODATA": 0,
    "CONSTANT": 1,
    "BADPIX": 2,
    "SPARSE": 3,
    "CAMERA_MISSING": 4,
    "LOW_SNR": 5,
    "LINE_UNOBSERVED": 6,
    "JOINT": 7,
    "SKYLINE": 8,
    "OUTLIER": 9,
    "ZRANGE": 10,
    "DISAGREE": 11,
    "AMBIGUOUS": 12,
    "NOREFINE": 13,
    "NO_EVIDENCE": 14,
    "CAMERA_STEP": 15,
    "NOT_TARGET": 16,
    "BAD_FIBER": 17,
    "NO_ERROR": 18,
}


def test_the_bits_are_where_catalogues_have_them():
    assert {flag.name: flag.bit for flag in QNFlag} == BITS
    assert [flag.value for flag in QNFlag] == [1 << bit for bit in BITS.values()]
    calibrated = {flag.name for flag in QNFlag if flag.set_by == "a calibrated model"}
    assert calibrated == {
        "JOINT",
        "SKYLINE",
        "OUTLIER",
        "ZRANGE",
        "AMBIGUOUS",
        "NOREFINE",
        "NO_EVIDENCE",
    }
    assert {flag.set_by for flag in QNFlag} == {"any model", "a calibrated model"}
    assert {bit for bit in range(32) if NEVER_QSO & (1 << bit)} == {0, 1, 14, 16, 17}
    for flag in QNFlag:
        assert len(describe(flag)) > 10
        assert flag_names(flag.value) == [flag.name]
    assert flag_names(0b1001 | 1 << 17 | 1 << 30) == ["NODATA", "SPARSE", "BAD_FIBER"]
    with pytest.raises(InputError, match="flag must be one bit of QN_FLAG, not <QNFlag"):
        describe(QNFlag.NODATA | QNFlag.SPARSE)


def test_rest_wavelengths_by_name():
    np.testing.assert_array_equal(
        rest_wavelengths(QUASARNET_LINES),
        [1215.67, 1548.2049, 1908.734, 2796.3511, 4862.68, 6562.8],
    )
    assert rest_wavelengths(QUASARNET_LINES_BAL).tolist() == [1548.2049]
    assert rest_wavelengths(["Halpha"], {"Halpha": 6564.61}).tolist() == [6564.61]
    with pytest.raises(InputError, match=r"unknown line name\(s\) \['HALPHA'\]: the legal ones"):
        rest_wavelengths(["HALPHA"])
    with pytest.raises(TypeError):
        absorber_IGM["Halpha"] = 6564.61


@pytest.mark.parametrize(
    ("column", "quasar", "other"),
    [
        ("BOSS_TARGET1", [10, 19, 40, 41, 44], [9, 20, 39, 45]),
        ("EBOSS_TARGET0", [10, 18, 20, 22, 30, 31, 33, 35, 40], [19, 21, 32, 36, 41]),
        ("EBOSS_TARGET1", [9, 18, 30, 31], [8, 19, 29, 32]),
        ("EBOSS_TARGET2", [0, 2, 4, 20, 27, 31, 34, 50, 62], [1, 3, 22, 28, 35, 49]),
        ("ANCILLARY_TARGET1", [6, 31, 50, 55, 58, 59], [5, 32, 56, 57, 60]),
        ("ANCILLARY_TARGET2", [0, 5, 7, 13, 24, 31, 53, 56], [6, 11, 16, 28, 34, 57]),
        ("DESI_TARGET", [2], [0, 1, 3, 60]),
        ("SV1_DESI_TARGET", [2], [1]),
        ("SV2_DESI_TARGET", [2], [1]),
        ("SV3_DESI_TARGET", [2], [1]),
        ("CMX_TARGET", [12, 55], [2, 11]),
    ],
)
def test_quasar_target_bits(column, quasar, other):
    bits = np.array([1 << bit for bit in quasar + other], dtype=np.int64)
    expected = [True] * len(quasar) + [False] * len(other)
    assert is_qso_target({column: bits}).tolist() == expected


def test_any_target_column_will_do_and_one_is_needed():
    columns = {"DESI_TARGET": np.array([4, 0, 0]), "SV1_DESI_TARGET": np.array([0, 4, 0])}
    assert is_qso_target(columns).tolist() == [True, True, False]
    with pytest.raises(
        InputError, match="have no target column: expected one of DESI_TARGET, SV1_DE"
    ):
        is_qso_target({"TARGETID": np.array([1])})


@pytest.mark.parametrize("value", [-1, 2.5, True, None, "9", np.array([1, 2]), np.ma.masked])
def test_names_of_what_is_no_value(value):
    """A negative number has all bits set, in two's complement: it would have every name."""
    with pytest.raises(InputError, match=r"value must be (at least 0|a whole number), not"):
        flag_names(value)
    with pytest.raises(InputError, match=r"flag must be (one bit of QN_FLAG|a whole number), not"):
        describe(value)
