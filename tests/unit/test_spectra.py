"""The container: selecting, stacking and joining rows, and what it refuses."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qnet
from makers import desi_coadd, desi_set, fibermap, write
from qnet.core.errors import InputError, QnetWarning
from qnet.core.flags import QNFlag
from qnet.core.positions import POSITIONS
from qnet.core.spectra import Camera, Spectra, stack

WAVES = {"B": np.linspace(3600.0, 5800.0, 23), "R": np.linspace(5760.0, 7620.0, 19)}


def batch(targetids, *, seed=0, flag=None, waves=WAVES, dtype=np.float32):
    """Cameras of random pixels, some of them without weight, NaN or infinite."""
    rng = np.random.default_rng(seed)
    nspec = len(targetids)
    cameras = []
    for name, wave in waves.items():
        shape = (nspec, wave.shape[-1])
        flux = rng.normal(1.0, 1.0, shape).astype(dtype)
        ivar = rng.uniform(0.5, 2.0, shape).astype(dtype)
        kind = rng.integers(0, 12, shape)
        ivar[kind == 0] = 0
        ivar[kind == 1] = -1
        flux[kind == 2] = np.nan
        flux[kind == 3] = np.inf
        ivar[kind == 4] = np.nan
        cameras.append(Camera(name, wave, flux, ivar))
    ids = {
        "TARGETID": np.asarray(targetids, np.int64),
        "NAME": np.array([f"row {row}" for row in range(nspec)], dtype="U8"),
    }
    return Spectra(
        tuple(cameras),
        ids,
        flag=np.zeros(nspec, np.int32) if flag is None else flag,
        survey="DESI",
        layout="a test",
        source=("x.fits",),
        cards=(("SPECPROD", "fuji"),),
    )


def has_bad_pixels(spectra, row):
    """Whether a row holds numbers that are not finite, and not masked by an ivar of 0."""
    return any(
        not (np.isfinite(flux) and np.isfinite(ivar)) and ivar != 0
        for camera in spectra.cameras
        for flux, ivar in zip(camera.flux[row], camera.ivar[row], strict=True)
    )


def plain_coadd(spectra):
    """First rows, flags and summed cameras of what is joined: a loop over pixels."""
    groups = {}
    for row, targetid in enumerate(spectra.ids["TARGETID"].tolist()):
        groups.setdefault(targetid if targetid > 0 else ("alone", row), []).append(row)
    firsts, flags, cameras = [], [], {camera.name: ([], []) for camera in spectra.cameras}
    for rows in groups.values():
        good = [row for row in rows if not spectra.flag[row] & QNFlag.BAD_FIBER] or rows
        firsts.append(good[0])
        bad_pixels = any(has_bad_pixels(spectra, row) for row in good)
        flags.append(spectra.flag[good[0]] | (QNFlag.BADPIX if bad_pixels else 0))
        for camera in spectra.cameras:
            npix = camera.flux.shape[1]
            flux, ivar = np.zeros(npix), np.zeros(npix)
            for pixel in range(npix):
                total = weighted = 0.0
                for row in good:
                    f, w = float(camera.flux[row, pixel]), float(camera.ivar[row, pixel])
                    if np.isfinite(f) and np.isfinite(w) and w > 0:
                        total += w
                        weighted += w * f
                flux[pixel] = weighted / total if total else 0.0
                ivar[pixel] = total
            cameras[camera.name][0].append(flux)
            cameras[camera.name][1].append(ivar)
    return firsts, flags, {name: tuple(map(np.array, pair)) for name, pair in cameras.items()}


@given(
    st.lists(
        st.tuples(st.sampled_from([5, 7, 9, 0, -1, -7, 2**62]), st.booleans()),
        min_size=1,
        max_size=9,
    ),
    st.integers(0, 5),
)
def test_coadd_equals_a_plain_loop(rows, seed):
    targetids, bad = zip(*rows, strict=True)
    spectra = batch(targetids, seed=seed, flag=np.where(bad, np.int32(QNFlag.BAD_FIBER), 0))
    firsts, flags, expected = plain_coadd(spectra)
    joined = spectra.coadd()
    assert joined.row.tolist() == firsts
    assert joined.ids["TARGETID"].tolist() == [targetids[row] for row in firsts]
    assert joined.ids["NAME"].tolist() == [f"row {row}" for row in firsts]
    assert joined.flag.tolist() == flags
    for camera in joined.cameras:
        flux, ivar = expected[camera.name]
        np.testing.assert_allclose(camera.flux, flux, rtol=1e-6)
        np.testing.assert_allclose(camera.ivar, ivar, rtol=1e-6)
        np.testing.assert_array_equal(camera.wave, WAVES[camera.name])


def test_coadd_keeps_the_order_of_first_appearance_and_what_the_file_said():
    spectra = batch([9, 5, -1, 9, 7, -1, 5])
    joined = spectra.coadd()
    assert joined.ids["TARGETID"].tolist() == [9, 5, -1, 7, -1]
    assert joined.row.tolist() == [0, 1, 2, 4, 5]
    for name in ("survey", "layout", "source", "cards", "flux_unit"):
        assert getattr(joined, name) == getattr(spectra, name)


def test_coadd_of_a_target_whose_first_exposure_is_bad_stays_in_its_place():
    bad = int(QNFlag.BAD_FIBER)
    spectra = batch([9, 5, 9, 5], flag=[bad, 0, 0, bad])
    joined = spectra.coadd()
    assert joined.ids["TARGETID"].tolist() == [9, 5]
    assert joined.row.tolist() == [2, 1]
    assert not (joined.flag & QNFlag.BAD_FIBER).any()
    for ours, camera in zip(joined.cameras, spectra.cameras, strict=True):
        good = np.isfinite(camera.flux) & np.isfinite(camera.ivar) & (camera.ivar > 0)
        np.testing.assert_allclose(ours.flux, np.where(good, camera.flux, 0)[[2, 1]], rtol=1e-6)


def test_coadd_remembers_pixels_that_were_masked():
    """As without joining: not finite and not masked, in an exposure that is used."""
    wave, ones = np.array([4000.0, 4001.0]), np.ones((6, 2))
    flux, ivar = ones.copy(), ones.copy()
    flux[1, 0], ivar[2, 1], flux[4, 0] = np.nan, np.inf, np.nan
    flux[3, 1], ivar[3, 1] = np.nan, 0
    flags = np.array([0, 0, 0, 0, QNFlag.BAD_FIBER, 0], np.int32)
    ids = {"TARGETID": np.array([1, 1, 2, 3, 4, 4])}
    joined = Spectra((Camera("c", wave, flux, ivar),), ids, flag=flags).coadd()
    assert joined.flag.tolist() == [QNFlag.BADPIX, QNFlag.BADPIX, 0, 0]


def test_coadd_of_nothing_and_of_singles():
    nothing = batch([])
    assert len(nothing.coadd()) == 0
    singles = batch([3, 1, 2])
    assert singles.coadd().row.tolist() == [0, 1, 2]


@pytest.mark.parametrize("ivar", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("bad_row", [0, 1])
def test_coadd_gives_no_weight_to_ivar_that_is_not_finite(ivar, bad_row):
    wave = np.array([4000.0, 4001.0])
    weight = np.array([[2.0, 2.0], [2.0, 2.0]])
    weight[1, 0] = ivar
    flags = [0, 0]
    flags[bad_row] = int(QNFlag.BAD_FIBER)
    flux = np.array([[1.0, 1.0], [5.0, 5.0]])
    both = Spectra((Camera("c", wave, flux, weight),), {"TARGETID": np.array([5, 5])}, flag=flags)
    (camera,) = both.coadd().cameras
    expected = [[5.0, 5.0]] if bad_row == 0 else [[1.0, 1.0]]
    if bad_row == 0:
        expected[0][0] = 0.0
    np.testing.assert_array_equal(camera.flux, expected)


@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e-17, np.float32), (1e-17, np.float64), (1e-19, np.float64)]
)
def test_coadd_in_small_units(scale, dtype):
    wave = np.array([4000.0, 4001.0])
    flux = np.array([[1.0, 1.0], [3.0, 3.0]])
    ivar = np.array([[1.0, 3.0], [3.0, 1.0]])
    small = Camera("c", wave, (flux * scale).astype(dtype), (ivar / scale**2).astype(dtype))
    (camera,) = Spectra((small,), {"TARGETID": np.array([5, 5])}).coadd().cameras
    np.testing.assert_allclose(camera.flux / scale, [[2.5, 1.5]], rtol=1e-6)
    np.testing.assert_allclose(camera.ivar * scale**2, [[4.0, 4.0]], rtol=1e-6)


def test_coadd_of_rows_on_their_own_wavelengths_is_refused():
    own = np.stack([WAVES["B"], WAVES["B"] + 1])
    spectra = batch([5, 5], waves={"b": own})
    with pytest.raises(InputError, match=r"x\.fits: spectra on wavelengths of their own cannot"):
        spectra.coadd()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([2, 0, 0], [2, 0, 0]),
        (np.array([1], np.uint8), [1]),
        ([True, False, True, False], [0, 2]),
        ([], []),
        (np.array([], np.int64), []),
        ((3,), [3]),
        (range(2), [0, 1]),
    ],
    ids=str,
)
@pytest.mark.parametrize("own", [False, True])
def test_select(rows, expected, own):
    waves = {"b": np.stack([WAVES["B"] + row for row in range(4)])} if own else WAVES
    spectra = batch([9, 5, -1, 7], flag=[0, 1, 2, 4], waves=waves)
    some = spectra.select(rows)
    assert len(some) == len(expected)
    assert some.row.tolist() == expected
    assert some.flag.tolist() == [[0, 1, 2, 4][row] for row in expected]
    assert some.ids["TARGETID"].tolist() == [[9, 5, -1, 7][row] for row in expected]
    for ours, camera in zip(some.cameras, spectra.cameras, strict=True):
        np.testing.assert_array_equal(ours.flux, camera.flux[expected])
        np.testing.assert_array_equal(ours.ivar, camera.ivar[expected])
        if own:
            np.testing.assert_array_equal(ours.wave, camera.wave[expected])
    assert some.select([]).source == ("x.fits",)


def test_rows_of_a_selection_are_those_of_the_file():
    spectra = batch([9, 5, -1, 7]).select([3, 1]).select([1])
    assert spectra.row.tolist() == [1]


@pytest.mark.parametrize("own", [False, True])
def test_stack_pads_at_the_red_end_without_weight(own):
    parts = []
    for number, npix in enumerate((30, 12, 30)):
        wave = np.linspace(4000.0, 9000.0, npix) + number
        wave = np.stack([wave, wave + 0.5]) if own else wave
        parts.append(batch([10 + number, -number], seed=number, waves={"c": wave}))
    whole = stack(parts)
    (camera,) = whole.cameras
    assert camera.flux.shape == camera.wave.shape == (6, 30)
    assert whole.ids["TARGETID"].tolist() == [10, 0, 11, -1, 12, -2]
    assert whole.row.tolist() == list(range(6))
    assert whole.source == ("x.fits",) * 3
    assert whole.layout == "a test"
    for number, part in enumerate(parts):
        (old,) = part.cameras
        npix = old.flux.shape[1]
        rows = slice(2 * number, 2 * number + 2)
        np.testing.assert_array_equal(camera.flux[rows, :npix], old.flux)
        np.testing.assert_array_equal(camera.ivar[rows, :npix], old.ivar)
        np.testing.assert_array_equal(
            camera.wave[rows, :npix], np.broadcast_to(old.wave, (2, npix))
        )
        assert not camera.ivar[rows, npix:].any()
    assert (np.diff(camera.wave) > 0).all()


@pytest.mark.parametrize("edges", [False, True])
def test_edges_are_kept(edges):
    one = Spectra((Camera("c", WAVE, ONES, ONES, edges),), IDS)
    for spectra in (one, one.select([1]), one.coadd(), stack([one, one])):
        assert spectra.cameras[0].edges is edges
    other = Spectra((Camera("c", WAVE, ONES, ONES, not edges),), IDS)
    with pytest.raises(InputError, match="left edges and of centres cannot be stacked"):
        stack([one, other])


def test_stack_of_very_different_lengths():
    short = batch([1], waves={"c": np.array([9999.0, 10000.0])})
    long = batch([2], waves={"c": np.linspace(3600.0, 10000.0, 200_000)})
    (camera,) = stack([short, long]).cameras
    assert np.isfinite(camera.wave).all()
    assert not camera.ivar[0, 2:].any()


def test_stack_keeps_the_columns_that_all_have():
    one = batch([1], waves={"c": WAVES["B"]})
    other = dataclasses.replace(one, ids={"TARGETID": np.array([2]), "PLATE": np.array([7])})
    assert list(stack([one, other]).ids) == ["TARGETID"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [([], "no spectra to stack"), ([batch([1])], "only spectra with one camera")],
)
def test_stack_refuses(parts, message):
    with pytest.raises(InputError, match=message):
        stack(parts)


ONES = np.ones((2, 5))
WAVE = np.arange(5.0) + 4000


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((WAVE, ONES[0], ONES[0]), r"flux must be \(nspec, npix\), not of shape \(5,\)"),
        ((WAVE, ONES[None], ONES[None]), r"flux must be \(nspec, npix\)"),
        ((WAVE, ONES, ONES[:1]), r"flux \(2, 5\) and ivar \(1, 5\) must have the same shape"),
        ((WAVE[:4], ONES, ONES), r"wave must have shape \(5,\) or \(2, 5\) .* not \(4,\)"),
        ((WAVE[:1], ONES[:, :0], ONES[:, :0]), "wave must have shape"),
        ((WAVE[:0], ONES[:, :0], ONES[:, :0]), "wave holds no pixel"),
        ((WAVE[::-1], ONES, ONES), "wave must increase, but pixels 0 and 1 hold 4004 and 4003"),
        ((np.repeat(WAVE, 2)[:5], ONES, ONES), "pixels 0 and 1 hold 4000 and 4000"),
        ((np.stack([WAVE[::-1]] * 2), ONES, ONES), "pixels 0 and 1 hold 4004 and 4003"),
        ((WAVE * np.nan, ONES, ONES), "wave holds NaN, infinite, zero or negative"),
        ((WAVE * np.inf, ONES, ONES), "wave holds NaN, infinite, zero or negative"),
        ((WAVE - 4000, ONES, ONES), "wave holds NaN, infinite, zero or negative"),
        ((-WAVE[::-1], ONES, ONES), "wave holds NaN, infinite, zero or negative"),
        ((WAVE, ONES.astype(complex), ONES), "flux must hold numbers, not type complex128"),
        ((WAVE, ONES, ONES.astype(str)), "ivar must hold numbers, not type"),
        ((WAVE, ONES.astype(object), ONES), "flux must hold numbers, not type object"),
    ],
)
def test_camera_refuses(arrays, message):
    with pytest.raises(InputError, match=message):
        Camera("blue", *arrays)


CAMERA = Camera("c", WAVE, ONES, ONES)
IDS = {"TARGETID": np.array([1, 2])}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cameras": ()}, "at least one camera"),
        ({"ids": {}}, r"x\.fits: spectra need a TARGETID column"),
        ({"ids": {"TARGETID": np.array([1])}}, r"camera c has 2, but column TARGETID has 1"),
        ({"ids": IDS | {"PLATE": np.arange(3)}}, r"x\.fits: .*but column PLATE has 3"),
        ({"flag": np.zeros(3, int)}, "but flag has 3"),
        ({"row": np.zeros(1, int)}, "but row has 1"),
        ({"cameras": (CAMERA, CAMERA.select(np.array([0])))}, "but camera c has 1"),
        ({"ids": {"TARGETID": np.array([1.5, 2.0])}}, "TARGETID"),
        ({"ids": {"TARGETID": np.array(["a", "b"])}}, "TARGETID"),
        ({"ids": {"TARGETID": np.ones((2, 2), int)}}, "TARGETID"),
    ],
)
def test_spectra_refuse(options, message):
    with pytest.raises(InputError, match=message):
        Spectra(**({"cameras": (CAMERA,), "ids": IDS, "source": ("x.fits",)} | options))


@pytest.mark.parametrize(
    "ids", [[1, 2], (1, 2), np.array([1, 2], ">i4"), np.array([1, 2], np.uint64)], ids=repr
)
def test_targetids_become_int64(ids):
    spectra = Spectra((CAMERA,), {"TARGETID": ids})
    assert spectra.select([1]).ids["TARGETID"].tolist() == [2]
    assert spectra.ids["TARGETID"].dtype == np.int64
    assert spectra.ids["TARGETID"].dtype.isnative


def test_repr_and_defaults():
    spectra = Spectra([CAMERA], IDS)
    assert repr(spectra) == "<Spectra: 2 spectra, arrays; c (5 pixels)>"
    assert spectra.where() == ""
    assert spectra.flag.dtype == spectra.row.dtype == np.int32
    assert spectra.row.tolist() == [0, 1]
    assert isinstance(spectra.cameras, tuple)


PIXELS = np.arange(12)
GOOD_WAVE = 4000.0 * np.exp(2e-4 * PIXELS)


def one_camera(wave, ivar=None, *, nspec=3):
    """A camera of some rows, flux 1 to 12; ivar 1 where it is not given."""
    flux = np.tile(PIXELS + 1.0, (nspec, 1)).astype(np.float32)
    return Camera("c", wave, flux, np.ones_like(flux) if ivar is None else ivar)


@pytest.mark.parametrize(
    "odd",
    [
        0 * GOOD_WAVE,
        np.nan * GOOD_WAVE,
        np.inf * GOOD_WAVE,
        -GOOD_WAVE,
        GOOD_WAVE[::-1],
        np.where(PIXELS == 5, np.nan, GOOD_WAVE),
        np.where(PIXELS == 5, GOOD_WAVE[4], GOOD_WAVE),
        np.where(PIXELS == 0, 1.0, np.nan),
    ],
    ids=["zero", "nan", "inf", "negative", "falling", "a nan", "a tie", "loglam 0"],
)
@pytest.mark.parametrize("weight", [0.0, 1.0, np.nan])
def test_a_row_without_legal_wavelengths_loses_its_weight_alone(odd, weight):
    wave = np.stack([GOOD_WAVE, odd, 1.1 * GOOD_WAVE])
    ivar = np.ones(wave.shape, np.float32)
    ivar[1] = weight
    with pytest.warns(
        QnetWarning, match="c: 1 of 3 spectra .* row 1 is the first: wave "
    ) as caught:
        camera = one_camera(wave, ivar)
    assert len(caught) == 1
    np.testing.assert_array_equal(camera.wave[[0, 2]], wave[[0, 2]])
    np.testing.assert_array_equal(camera.ivar[[0, 2]], 1)
    assert not camera.ivar[1].any()
    assert camera.ivar.dtype == np.float32
    assert (np.diff(camera.wave) > 0).all()
    assert (camera.wave > 0).all()
    assert camera.select([1, 1]).wave.shape == (2, 12)  # legal from here on: no further warning


@pytest.mark.parametrize("odd", [0.0, -1.0, 1.0, np.nan, np.inf, 4000.3, 1e6])
@pytest.mark.parametrize(
    "where", [[0], [11], [0, 1, 2], [10, 11], [5], [4, 5, 6], [0, 5, 11], [0, 1, 2, 3, 9, 10, 11]]
)
@pytest.mark.parametrize("no_weight", [0.0, -1.0, np.nan])
@pytest.mark.parametrize("shared", [True, False])
def test_pixels_without_weight_need_no_wavelength(odd, where, no_weight, shared):
    wave, ivar = GOOD_WAVE.copy(), np.ones((3, 12))
    wave[where], ivar[:, where] = odd, no_weight
    camera = one_camera(wave if shared else np.tile(wave, (3, 1)), ivar)
    np.testing.assert_array_equal(camera.ivar, ivar)
    for row in np.atleast_2d(camera.wave):
        good = np.setdiff1d(PIXELS, where)
        np.testing.assert_array_equal(row[good], GOOD_WAVE[good])
        # What is legal stays.
        legal = np.isfinite(wave).all() and (wave > 0).all() and (np.diff(wave) > 0).all()
        np.testing.assert_allclose(row, wave if legal else GOOD_WAVE, rtol=1e-9)


def test_a_pixel_with_weight_in_any_row_needs_its_shared_wavelength():
    wave, ivar = np.where(PIXELS == 5, 0.0, GOOD_WAVE), np.ones((3, 12))
    ivar[:2, 5] = 0
    with pytest.raises(InputError, match="c: wave holds NaN, infinite, zero or negative"):
        one_camera(wave, ivar)
    wave = np.where(PIXELS < 2, 0.0, GOOD_WAVE[::-1])
    ivar[:, :2] = 0
    with pytest.raises(InputError, match="c: wave must increase, but pixels 2 and 3 hold 4007"):
        one_camera(wave, ivar)


@pytest.mark.parametrize("wave", [0 * GOOD_WAVE, np.full((3, 12), np.nan)], ids=["shared", "own"])
def test_wavelengths_that_no_pixel_needs_may_all_be_odd(wave):
    with pytest.warns(QnetWarning, match="c: 3 of 3 spectra have no legal wavelengths"):
        camera = one_camera(wave, np.zeros((3, 12)))
    assert camera.wave.shape == wave.shape
    assert (np.diff(camera.wave) > 0).all()
    assert not camera.ivar.any()


def test_no_rows_need_no_wavelengths():
    assert one_camera(0 * GOOD_WAVE, np.zeros((0, 12)), nspec=0).flux.shape == (0, 12)


def placed(targetids, ra, dec=None, **options):
    """Spectra of some targets at some positions [arcsec from 359.9999, 60]."""
    spectra = batch(targetids, **options)
    ra = 359.9999 + np.asarray(ra, float) / 3600 / np.cos(np.radians(60))
    dec = 60 + np.zeros(len(ra)) if dec is None else 60 + np.asarray(dec) / 3600
    return dataclasses.replace(
        spectra, ids=spectra.ids | {"TARGET_RA": ra % 360, "TARGET_DEC": dec}
    )


@pytest.mark.parametrize(
    ("targetids", "ra", "groups"),
    [
        ([5, 5, 5], [0, 1.9, 0.4], [[0, 1, 2]]),
        ([5, 5, 5], [0, 1.9, 3.8], [[0, 1, 2]]),
        ([5, 5, 5], [0, 3.8, 1.9], [[0, 1, 2]]),
        ([5, 5, 5], [0, 2.1, 0], [[0, 2], [1]]),
        ([5, 5, 5, 5], [240, 0, 240, 1], [[0, 2], [1, 3]]),
        ([5, 7, 5, 7], [0, 0, 100, 1], [[0], [1, 3], [2]]),
        ([5, 7, 5, 7], [0, 100, 100, 0], [[0], [1], [2], [3]]),
        ([5, 5, 5], [0, np.nan, 1], [[0, 1, 2]]),
        ([5, 5, 5, 5], [np.nan, 0, 100, np.nan], [[0, 3], [1], [2]]),
        ([5, 5], [np.nan, np.nan], [[0, 1]]),
        ([-1, -1, 0, 0], [0, 0, 0, 0], [[0], [1], [2], [3]]),
    ],
    ids=str,
)
def test_coadd_joins_targets_by_position(targetids, ra, groups):
    spectra = placed(targetids, ra)
    apart = len(groups) > len(set(targetids)) and targetids[0] > 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        joined = spectra.coadd()
    assert joined.row.tolist() == [rows[0] for rows in groups]
    split = "5, 7" if len(groups) == 4 and 7 in targetids else "5"
    message = f"x.fits: TARGETID {split} is at positions more than 2 arcsec apart"
    assert [str(one.message).partition(":")[0] for one in caught] == ["x.fits"] * apart
    assert all(str(one.message).startswith(message) for one in caught)
    for number, rows in enumerate(groups):
        alone = dataclasses.replace(
            spectra.select(rows), ids={"TARGETID": spectra.ids["TARGETID"][rows]}
        ).coadd()
        for camera, expected in zip(joined.cameras, alone.cameras, strict=True):
            np.testing.assert_array_equal(camera.flux[number], expected.flux[0])
            np.testing.assert_array_equal(camera.ivar[number], expected.ivar[0])


@pytest.mark.parametrize("names", POSITIONS, ids=str)
def test_coadd_takes_positions_by_all_their_names(tmp_path, names):
    fmap = fibermap([5, 5, 5])
    ra, dec = fmap.pop("TARGET_RA") + np.array([0, 0, 0.1]), fmap.pop("TARGET_DEC")
    fmap |= {names[0]: ra, names[1]: dec}
    path = write(tmp_path / "s.fits", desi_coadd(desi_set(), fmap))
    spectra = qnet.read_spectra(path)
    plain = dataclasses.replace(
        spectra, ids={"TARGETID": spectra.ids["TARGETID"], names[0]: ra, names[1]: dec}
    )
    for each in (spectra, plain):
        with pytest.warns(QnetWarning, match="TARGETID 5 is at positions more than 2 arcsec apart"):
            assert each.coadd().row.tolist() == [0, 2]


@given(st.permutations(range(7)))
def test_places_do_not_depend_on_the_order_of_rows(order):
    dec = np.array([0, 1.5, 3.0, 60, 61.9, np.nan, 200])[list(order)]
    spectra = placed([5] * 7, np.zeros(7), dec)
    with pytest.warns(QnetWarning, match="TARGETID 5 is at positions more than 2 arcsec apart"):
        joined = spectra.coadd()
    found = {
        frozenset(np.flatnonzero(np.isclose(dec, dec[row], atol=4, rtol=0, equal_nan=True)))
        for row in joined.row
    }
    assert len(joined) == 4 == len(found)


@pytest.mark.parametrize(
    "places",
    [
        {"TARGET_RA": np.array([0.0, 9.0])},
        {"TARGET_RA": np.array(["0", "9"]), "TARGET_DEC": np.array(["0", "9"])},
        {"TARGET_RA": np.zeros((2, 2)), "TARGET_DEC": np.ones((2, 2))},
    ],
    ids=["ra only", "text", "two each"],
)
def test_coadd_without_positions_goes_by_the_id(places):
    spectra = batch([5, 5])
    assert len(dataclasses.replace(spectra, ids=spectra.ids | places).coadd()) == 1


@pytest.mark.parametrize(
    "rows",
    [0, -1, np.int64(2), slice(1, None), slice(None, None, -2), [2, 0], [True, False, True, False]],
)
def test_rows_by_index_slice_and_mask(rows):
    """The rows that NumPy takes, always as a batch."""
    spectra = batch([4, 5, 6, 7])
    chosen = spectra[rows]
    expected = np.atleast_1d(np.arange(4)[rows])
    assert isinstance(chosen, Spectra)
    np.testing.assert_array_equal(chosen.row, expected)
    np.testing.assert_array_equal(chosen.cameras[0].ivar, spectra.cameras[0].ivar[expected])


@pytest.mark.parametrize("rows", [4, -5, True, "a", 0.5, [True, False], (0, 1, 9)])
def test_rows_that_are_none_are_refused(rows):
    with pytest.raises(InputError, match=r"row"):
        batch([4, 5, 6, 7])[rows]


def test_iteration_gives_each_spectrum_and_ends():
    spectra = batch([4, 5, 6])
    assert [one.ids["TARGETID"].tolist() for one in spectra] == [[4], [5], [6]]
    assert list(spectra[:0]) == []


def test_what_notebooks_show_is_short_and_escaped(small_model):
    """Every object that notebooks show has a short text and HTML without what a name may hold."""
    spectra = dataclasses.replace(batch([4, 5]), source=("<b>.fits",))
    table = small_model.classify(spectra)
    preds = small_model.decode(small_model.predict(np.zeros((30, small_model.grid.npix))))
    table.meta["note"] = "<b>"
    truth = {4: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0)}
    evaluation = qnet.evaluate(table, truth)
    for value, words in (
        (spectra, ["a test", "DESI", "3600.0 to 5800.0", "&lt;b&gt;.fits"]),
        (small_model, [small_model.name, *small_model.lines]),
        (preds, [*preds.lines, "30 rows"]),
        (evaluation, ["purity", "completeness", "dv_nmad"]),
    ):
        html = value._repr_html_()
        assert all(word in html for word in words), html
        assert "<b>.fits" not in html
        assert len(repr(value)) < 160
        assert "array(" not in repr(value)
    assert table["TARGETID"].tolist() == [4, 5]
    with pytest.raises(InputError, match="model is not an option"):
        small_model.classify(spectra, model="qnet")
