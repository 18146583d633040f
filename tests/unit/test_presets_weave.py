"""WEAVE: pairs of arms, fibres by NSPEC, counts to flux, files that are refused."""

from __future__ import annotations

import numpy as np
import pytest

import qnet
from makers import image, make_spectra, primary, write
from makers_surveys import WEAVE_WAVE, weave_l1
from qnet import QNFlag
from qnet.core.errors import FileError, QnetWarning
from qnet.io import read_spectra
from qnet.io.reader import group_frames

SPECTRA = {arm: make_spectra(wave, (1.1, 2.3, 0.7), seed=4) for arm, wave in WEAVE_WAVE.items()}


def arm(name, **options):
    wave = WEAVE_WAVE["BLUE" if name == "GREEN" else name]
    flux, ivar = SPECTRA["BLUE" if name == "GREEN" else name]
    return weave_l1(name, wave, flux, ivar, **options)


def pair(folder, kind="stacked", first=1004073, names=("BLUE", "RED"), **options):
    """The files of two arms."""
    return [
        write(folder / f"{kind}_{first + n}.fit", arm(name, RUN=first + n, **options))
        for n, name in enumerate(names)
    ]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("blue", ["BLUE", "GREEN"])
def test_a_pair_of_arms_is_one_set(tmp_path, blue, order, small_model):
    paths = pair(tmp_path, names=(blue, "RED"))[::order]
    spectra = read_spectra(paths)
    assert sorted(camera.name for camera in spectra.cameras) == sorted([blue.lower(), "red"])
    for camera in spectra.cameras:
        flux, ivar = SPECTRA["RED" if camera.name == "red" else "BLUE"]
        np.testing.assert_allclose(camera.flux, flux, rtol=2e-6)
        np.testing.assert_allclose(camera.ivar, ivar, rtol=2e-6)
    assert not spectra.flag.any()
    table = qnet.classify(paths, model=small_model)
    assert table["INPUT_INDEX"].tolist() == [0, 0, 0]
    assert (table["TARGETID"] == -1).all()
    assert table["TARGET_NAME"].tolist() == [f"WVE_0{n}000000+0000000" for n in (1, 2, 3)]
    assert table["TARGID"].tolist() == ["target 1", "target 2", "target 3"]


def test_an_arm_given_twice_is_used_once(tmp_path, small_model):
    blue, red = pair(tmp_path)
    with pytest.warns(QnetWarning, match=r"stacked_1004073\.fit: given more than once"):
        table = qnet.classify([blue, red, blue], model=small_model)
    assert len(table) == 3


def test_an_arm_alone_is_flagged(tmp_path):
    (blue, _) = pair(tmp_path)
    assert (read_spectra(blue).flag & QNFlag.CAMERA_MISSING).all()


def test_exposures_and_stacks_are_paired_by_their_headers_not_their_names(tmp_path):
    minutes = 17 / 1440
    files = {  # kind, number: arm, block, start
        ("single", 1): ("RED", 7, 0.0),
        ("single", 2): ("BLUE", 7, 1e-5),
        ("single", 3): ("BLUE", 7, minutes + 1e-5),
        ("single", 4): ("RED", 7, minutes),
        ("single", 5): ("RED", 7, 2 * minutes),
        ("stacked", 1): ("RED", 7, 0.0),
        ("stacked", 2): ("BLUE", 7, 0.0),
        ("stacked", 3): ("BLUE", 8, 0.0),
        ("stacked", 4): ("RED", 9, 0.0),
    }
    paths = [
        write(
            tmp_path / f"{kind}_{number}.fit",
            arm(name, OBID=block, **{"MJD-OBS": 59000.0 + start}),
        )
        for (kind, number), (name, block, start) in files.items()
    ]
    damaged = tmp_path / "stacked_9.fit"
    damaged.write_bytes(paths[0].read_bytes()[:9000])
    groups = [[path.name for path in group] for group in group_frames([*paths, damaged])]
    assert groups == [
        ["single_1.fit", "single_2.fit"],
        ["single_3.fit", "single_4.fit"],
        ["single_5.fit"],
        ["stacked_1.fit", "stacked_2.fit"],
        ["stacked_3.fit"],
        ["stacked_4.fit"],
        ["stacked_9.fit"],
    ]


def test_fibres_are_aligned_by_nspec(tmp_path):
    order = [3, 0, 1, -1, 2]  # rows of FIBTABLE, two of them without spectra
    use = np.array(["T", "T", "S", "T", "C"])
    path = write(tmp_path / "stacked_1.fit", arm("RED", nspec=order, fibres={"TARGUSE": use}))
    spectra = read_spectra(path)
    assert spectra.ids["TARGID"].tolist() == ["target 3", "target 5", "target 1"]
    flagged = (spectra.flag & QNFlag.NOT_TARGET) != 0
    assert flagged.tolist() == [True, False, False]
    with pytest.raises(FileError, match="FIBTABLE of 2 rows does not have one row for each of the"):
        read_spectra(write(tmp_path / "short.fit", arm("RED", nspec=[1, 2])))
    with pytest.raises(FileError, match="FIBTABLE of 4 rows does not have one row for each of the"):
        read_spectra(write(tmp_path / "twice.fit", arm("RED", nspec=[1, 2, 3, 3])))


def test_gaps_without_sensitivity_have_no_weight_and_no_flag(tmp_path, small_model):
    hdus = arm("RED")
    hdus[5].data[:, 300:400] = 0
    hdus[2].data[:, 500:600] = 0
    path = write(tmp_path / "stacked_1.fit", hdus)
    ivar = read_spectra(path).cameras[0].ivar
    assert not ivar[:, 300:400].any()
    assert not ivar[:, 500:600].any()
    assert ivar[:, :300].all()
    assert not (qnet.classify(path, model=small_model)["QN_FLAG"] & QNFlag.BADPIX).any()


def test_a_statement_of_vacuum_is_believed(tmp_path):
    hdus = arm("RED")
    hdus[1].header["VACUUM"] = True
    (camera,) = read_spectra(write(tmp_path / "stacked_1.fit", hdus)).cameras
    np.testing.assert_allclose(camera.wave, WEAVE_WAVE["RED"])


def other_targets(folder):
    paths = pair(folder)
    hdus = arm("RED", fibres={"CNAME": np.array(["WVE_A", "WVE_B", "WVE_C"])})
    return [paths[0], write(folder / "other.fit", hdus)]


SETS = {
    "another block": (
        lambda folder: [pair(folder)[0], write(folder / "o.fit", arm("RED", OBID=4))],
        "o.fit: is not of one set with .*: exposure 4, camera R, 3 spectra beside exposure 3001",
    ),
    "other targets": (other_targets, "other.fit: is not of one set .*, of other targets"),
    "an arm twice": (
        lambda folder: [pair(folder)[0], write(folder / "o.fit", arm("BLUE"))],
        "o.fit: is camera B of exposure 3001, as is .*stacked_1004073.fit",
    ),
}


@pytest.mark.parametrize("case", SETS)
def test_arms_that_are_no_pair_are_refused(tmp_path, case):
    make, message = SETS[case]
    with pytest.raises(FileError, match=message):
        read_spectra(make(tmp_path))


def cube():
    shape = (30, 4, 4)
    names = ("DATA", "IVAR", "SENSFUNC")
    return [primary(), *(image(np.ones(shape, np.float32), f"BLUE_{name}") for name in names)]


REFUSED = {
    "a cube": (cube(), "WEAVE cube .*: give single_, stack_ or superstack_ files of fibres"),
    "no sensitivity": (
        [hdu for hdu in arm("RED") if hdu.name != "RED_SENSFUNC"],
        "lacks the image RED_SENSFUNC; it holds",
    ),
    "no fibres": (arm("RED")[:-1], "lacks the column CNAME of a table FIBTABLE; it holds"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_of_weave_are_refused_by_what_they_are(tmp_path, case):
    hdus, message = REFUSED[case]
    with pytest.raises(FileError, match=rf"x\.fit: .*{message}"):
        read_spectra(write(tmp_path / "x.fit", hdus))
