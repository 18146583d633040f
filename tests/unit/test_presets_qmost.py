"""4MOST: masks, ids, fibres without objects, air and vacuum, files that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from makers import make_spectra, table, write
from makers_surveys import QMOST_WAVE, qmost_l1, qmost_mec
from qnet import QNFlag
from qnet.core.errors import FileError, QnetWarning
from qnet.io import read_spectra
from qnet.lines import air_to_vacuum

FLUX, IVAR = make_spectra(QMOST_WAVE, (1.1, 2.3, 0.7), seed=5)


def l1(**options):
    return qmost_l1(QMOST_WAVE, FLUX[0], IVAR[0], **options)


def mec(**options):
    return qmost_mec(QMOST_WAVE, FLUX, IVAR, **options)


def test_pixels_of_bad_quality_have_no_weight(tmp_path):
    qual = np.zeros(len(QMOST_WAVE), np.int32)
    qual[[5, 7, 9]] = 1, -1, 64  # -1 is TNULL
    one = read_spectra(write(tmp_path / "l.fits", l1(qual=qual)))
    many = read_spectra(write(tmp_path / "m.fits", mec(qual=np.tile(qual, (3, 1)))))
    for row in (*one.cameras[0].ivar, *many.cameras[0].ivar):
        assert np.flatnonzero(row == 0).tolist() == [5, 7, 9]


@pytest.mark.parametrize("use", [1, 2, 3, 4])
def test_ids_and_uses_of_fibres(tmp_path, use):
    one = read_spectra(write(tmp_path / "l.fits", l1(FIB_USE=use)))
    assert one.ids["TARGETID"].tolist() == [123456789012]
    assert one.ids["TARGET_NAME"].tolist() == ["QMOST_10293014-3015298"]
    assert (one.ids["TARGET_RA"][0], one.ids["TARGET_DEC"][0]) == (157.37, -30.25)
    assert bool(one.flag[0] & QNFlag.NOT_TARGET) == (use > 2)
    fibres = {"FIB_USE": np.array([1, use, 1]), "FIB_ST": np.array([2, 2, 1])}
    many = read_spectra(write(tmp_path / "m.fits", mec(fibres=fibres)))
    assert many.ids["TARGETID"].tolist() == [5000000000, 5000000001, 5000000002]
    assert many.ids["TARGET_NAME"].tolist() == ["S04000", "S04001", "S04002"]
    flagged = (many.flag & QNFlag.NOT_TARGET) != 0
    assert flagged.tolist() == [False, use > 2, True]


def test_ids_of_mock_spectra_are_in_the_first_header(tmp_path):
    first = {"OBJ_UID": 77, "OBJ_NME": "QSO_77", "OBJ_RA": 5.5, "OBJ_DEC": -6.5}
    hdus = l1(first=first)
    for name in ("CNAME", "TRG_UID", "TRG_NME", "TRG_RA", "TRG_DEC", "FIB_USE"):
        del hdus[1].header[name]
    ids = read_spectra(write(tmp_path / "l.fits", hdus)).ids
    assert [ids[name][0] for name in ("TARGETID", "TARGET_NAME", "TARGET_RA", "TARGET_DEC")] == [
        *(77, "QSO_77", 5.5, -6.5),
    ]


def test_an_id_that_is_no_number_is_kept_as_text(tmp_path):
    path = write(tmp_path / "l.fits", l1(TRG_UID="unknown"))
    with pytest.warns(QnetWarning, match="TARGETID hold values that are no integers"):
        ids = read_spectra(path).ids
    assert ids["TARGETID"].tolist() == [-1]


@pytest.mark.parametrize(
    ("cards", "air"),
    [({}, True), ({"1CTYP1": "AWAV"}, True), ({"1CTYP1": "WAVE"}, False), ({"VACUUM": "T"}, False)],
    ids=str,
)
def test_wavelengths_are_in_air_unless_the_file_states_vacuum(tmp_path, cards, air):
    (camera,) = read_spectra(write(tmp_path / "m.fits", mec(**cards))).cameras
    expected = air_to_vacuum(QMOST_WAVE) if air else QMOST_WAVE
    np.testing.assert_allclose(camera.wave, expected, rtol=1e-10)


def test_a_table_of_the_same_name_of_another_instrument_is_not_taken_for_it(tmp_path):
    hdus = l1(first={"INSTRUME": "GIRAFFE", "PRODCATG": "SCIENCE.SPECTRUM"})
    with pytest.warns(QnetWarning, match="TUCD"):
        spectra = read_spectra(write(tmp_path / "g.fits", hdus))
    assert spectra.layout == "ESO Phase 3 spectrum"


REFUSED = {
    "no errors": (l1(columns={"ERR_FLUX": None}), "lacks the column.s. ERR_FLUX; it has WAVE"),
    "no wavelengths": (l1(columns={"WAVE": None}), "lacks the column.s. WAVE; it has FLUX"),
    "counts": (
        l1(
            columns={
                name: fits.Column(name, "2901E", "adu", array=FLUX[:1])
                for name in ("FLUX", "ERR_FLUX")
            }
        ),
        "the flux has unit 'adu'",
    ),
    "fewer fibres": (
        [*mec()[:3], table({"OBJ_UID": [1, 2]}, "FIBMETATAB")],
        "HDU FIBMETATAB has 2 rows, but there are 3 spectra",
    ),
    "a second table": (
        [*l1(), table({"WAVE": QMOST_WAVE[None], "FLUX": FLUX[:1]}, "SECOND")],
        "holds further spectra, in SECOND, that would be left out",
    ),
    "no grid": (
        mec(**{"1CDLT1": "none"}),
        "card 1CDLT1 is 'none', but a number was expected",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_of_4most_are_refused_by_what_they_lack(tmp_path, case):
    hdus, message = REFUSED[case]
    with pytest.raises(FileError, match=rf"x\.fits: .*{message}"):
        read_spectra(write(tmp_path / "x.fits", hdus))
