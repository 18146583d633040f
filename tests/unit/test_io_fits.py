"""FITS files with awkward names, compressions, headers, and damage of every kind."""

from __future__ import annotations

import gzip

import fitsio
import numpy as np
import pytest

from makers import (
    BOSS_LOGLAM,
    boss_spec,
    compressed,
    desi_coadd,
    desi_set,
    fibermap,
    image,
    make_spectra,
    primary,
    spplate,
    table,
    write,
)
from qnet.core.errors import FileError, MissingFileError
from qnet.io import read_spectra
from qnet.io.fits.file import FitsFile

NAMES = [
    "coadd[1].fits",
    "coadd (copy 2).fits",
    "a+b.fits",
    "spectra of 3C 273.fits",
    "-o.fits",
    "~user.fits",
    "a,b;c.fits",
    "100%.fits",
    "Größe.fits",
    "coadd[FIBERMAP][TARGETID>0].fits",
    "coadd.fits[1]",
    "http:--x.fits",
    "no suffix",
    "quote'\".fits",
    "filter.fits(out.fits)",
]


@pytest.fixture(scope="module")
def cameras():
    return desi_set()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cameras):
    """Bytes of a coadd with masks, and the first and last byte of each of its HDUs by name."""
    masks = {name: np.zeros(flux.shape, np.int32) for name, (_, flux, _) in cameras.items()}
    path = tmp_path_factory.mktemp("whole") / "coadd.fits"
    write(path, desi_coadd(cameras, fibermap([1, 2, 3]), masks=masks))
    with fitsio.FITS(str(path)) as fits:
        infos = {hdu.get_extname(): hdu.get_info() for hdu in fits}
    places = {
        name: (info["header_start"], info["data_start"], info["data_end"])
        for name, info in infos.items()
    }
    return path.read_bytes(), places


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("folder", ["", "run [2] + more"])
def test_any_file_name(tmp_path, cameras, name, folder):
    parent = tmp_path / folder
    parent.mkdir(exist_ok=True)
    plain = write(tmp_path / "plain.fits", desi_coadd(cameras, fibermap([1, 2, 3])))
    path = parent / name
    path.write_bytes(plain.read_bytes())
    spectra = read_spectra(path)
    np.testing.assert_array_equal(spectra.cameras[0].flux, cameras["B"][1])
    assert spectra.source == (str(path),)
    assert sorted(entry.name for entry in parent.iterdir() if entry.is_file()) == sorted(
        {name} | ({"plain.fits"} if parent == tmp_path else set())
    )


def test_relative_and_text_names(tmp_path, cameras, monkeypatch):
    write(tmp_path / "a b.fits", desi_coadd(cameras, fibermap([1, 2, 3])))
    monkeypatch.chdir(tmp_path)
    assert read_spectra("a b.fits").source == ("a b.fits",)
    assert read_spectra("./a b.fits", rows=[1]).ids["TARGETID"].tolist() == [2]


@pytest.mark.parametrize("kind", ["GZIP_1", "GZIP_2"])
def test_floats_that_are_tile_compressed(tmp_path, cameras, kind):
    _, flux, ivar = cameras["B"]
    hdus = desi_coadd({"B": cameras["B"]}, fibermap([1, 2, 3]))
    hdus = [
        compressed({"B_FLUX": flux, "B_IVAR": ivar}[hdu.name], hdu.name, kind)
        if hdu.name in ("B_FLUX", "B_IVAR")
        else hdu
        for hdu in hdus
    ]
    spectra = read_spectra(write(tmp_path / "coadd.fits", hdus), rows=[2, 0])
    np.testing.assert_array_equal(spectra.cameras[0].flux, flux[[2, 0]])
    np.testing.assert_array_equal(spectra.cameras[0].ivar, ivar[[2, 0]])


@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_1", "GZIP_2", "PLIO_1"])
def test_masks_in_any_tile_compression(tmp_path, cameras, kind):
    wave, flux, ivar = cameras["B"]
    mask = (np.arange(flux.size).reshape(flux.shape) % 5 == 0).astype(np.int32)
    hdus = [*desi_coadd({"B": cameras["B"]}, fibermap([1, 2, 3])), compressed(mask, "B_MASK", kind)]
    camera = read_spectra(write(tmp_path / "coadd.fits", hdus)).cameras[0]
    np.testing.assert_array_equal(camera.ivar, np.where(mask, np.float32(0), ivar))
    assert len(wave) == camera.flux.shape[1]


def test_file_that_fitsio_compressed(tmp_path):
    flux, ivar = make_spectra(10**BOSS_LOGLAM, (1.0, 2.0))
    path = tmp_path / "spPlate-7102-56666.fits.fz"
    hdus = spplate(flux, ivar, fibers=[1, 2])
    with fitsio.FITS(str(path), "rw", clobber=True) as fits:
        header = {card: hdus[0].header[card] for card in ("PLATEID", "MJD", "COEFF0", "COEFF1")}
        fits.write(flux, header=header, compress="gzip", qlevel=0)
        for hdu in hdus[1:]:
            data = np.asarray(hdu.data)
            fits.write(data.astype(data.dtype.newbyteorder("="))) if hdu.is_image else fits.write(
                np.rec.array(data)
            )
    spectra = read_spectra(path, spall={})
    np.testing.assert_array_equal(spectra.cameras[0].flux, flux)
    np.testing.assert_array_equal(spectra.cameras[0].ivar, ivar)
    assert spectra.ids["PLATE"].tolist() == [7102, 7102]


def test_integer_flux_with_a_scale(tmp_path, cameras):
    wave, flux, ivar = cameras["B"]
    counts = np.round(flux * 1000).astype(np.int16)
    hdus = desi_coadd({"B": (wave, flux, ivar)}, fibermap([1, 2, 3]))
    scaled = image(counts, "B_FLUX")
    path = write(tmp_path / "coadd.fits", [scaled if h.name == "B_FLUX" else h for h in hdus])
    with fitsio.FITS(str(path), "rw") as fits:
        fits["B_FLUX"].write_key("BSCALE", 0.001)
        fits["B_FLUX"].write_key("BZERO", 0.0)
    for rows in (None, [0, 1, 2]):
        read = read_spectra(path, rows=rows).cameras[0].flux
        np.testing.assert_allclose(read, counts * 0.001, rtol=1e-6)


@pytest.mark.parametrize(
    "beyond", [b"\0" * 2880, b" " * 2880, b"x" * 100], ids=["zeros", "blanks", "junk"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
def test_bytes_after_the_last_hdu_are_no_obstacle(tmp_path, whole, cameras, beyond, pack):
    path = tmp_path / "coadd.fits"
    path.write_bytes(pack(whole[0] + beyond))
    np.testing.assert_array_equal(read_spectra(path).cameras[2].flux, cameras["Z"][1])


@pytest.mark.parametrize("end_of", ["B_RESOLUTION", "R_FLUX", "Z_IVAR"])
def test_gzip_file_of_several_members_is_not_read_in_part(tmp_path, whole, end_of):
    """The C library stops after the first member: what it saw is not the file."""
    content, places = whole
    plain = tmp_path / "plain.fits"
    plain.write_bytes(content)
    end = places[end_of][2]
    path = tmp_path / "coadd.fits.gz"
    path.write_bytes(gzip.compress(content[:end]) + gzip.compress(content[end:]))
    spectra, other = read_spectra(path), read_spectra(plain)
    assert spectra.ids["TARGETID"].tolist() == other.ids["TARGETID"].tolist()
    for camera, its in zip(spectra.cameras, other.cameras, strict=True):
        np.testing.assert_array_equal(camera.flux, its.flux)
        np.testing.assert_array_equal(camera.ivar, its.ivar)
    with FitsFile(path) as fits, pytest.raises(FileError, match=r"HDU number .* is damaged"):
        fits._open()


def cuts(whole):
    """Lengths at which a copy that stopped too early may end, by what it stopped in."""
    content, places = whole
    made = {"one byte short": len(content) - 1, "first header": 1000, "first block": 2880}
    for name in ("FIBERMAP", "B_FLUX", "B_MASK", "R_WAVELENGTH", "R_IVAR", "Z_FLUX", "Z_MASK"):
        header, start, end = places[name]
        made |= {
            f"header of {name}": header + 800,
            f"after the header of {name}": start,
            f"data of {name}": (start + end) // 2,
        }
    return made


CUTS = [
    "one byte short",
    "first header",
    "first block",
    *(
        f"{part} {name}"
        for name in ("FIBERMAP", "B_FLUX", "B_MASK", "R_WAVELENGTH", "R_IVAR", "Z_FLUX", "Z_MASK")
        for part in ("header of", "after the header of", "data of")
    ),
]


@pytest.mark.parametrize("pack", ["plain", "gz of the cut file"])
@pytest.mark.parametrize("cut", CUTS)
def test_file_cut_short_is_an_error(tmp_path, whole, cut, pack):
    content = whole[0][: cuts(whole)[cut]]
    path = tmp_path / "cut.fits"
    path.write_bytes(content if pack == "plain" else gzip.compress(content))
    with pytest.raises(FileError, match=r"cut\.fits: "):
        read_spectra(path)


@pytest.mark.parametrize("name", ["R_MASK", "Z_MASK"])
def test_file_cut_just_before_a_mask_is_an_error(tmp_path, whole, name):
    content, places = whole
    path = tmp_path / "cut.fits"
    path.write_bytes(content[: places[name][0]])
    with pytest.raises(FileError, match=rf"cut\.fits: .*{name}"):
        read_spectra(path)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.3, 0.38, 0.5, 0.67, 0.8, 0.95, 0.999])
def test_gzip_file_cut_short_is_an_error(tmp_path, whole, share):
    content = gzip.compress(whole[0])
    path = tmp_path / "cut.fits.gz"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileError, match=r"cut\.fits\.gz: "):
        read_spectra(path)


@pytest.mark.parametrize("lost", [1, 4, 8])
def test_gzip_file_without_its_last_bytes_is_an_error(tmp_path, whole, lost):
    path = tmp_path / "cut.fits.gz"
    path.write_bytes(gzip.compress(whole[0])[:-lost])
    with pytest.raises(FileError, match=r"cut\.fits\.gz: "):
        read_spectra(path)


@pytest.mark.parametrize("place", [0.5, -6])
def test_gzip_file_with_a_wrong_byte_is_an_error(tmp_path, whole, place):
    content = bytearray(gzip.compress(whole[0]))
    content[int(place * len(content)) if place > 0 else place] ^= 0xFF
    path = tmp_path / "rot.fits.gz"
    path.write_bytes(bytes(content))
    with pytest.raises(FileError, match=r"rot\.fits\.gz: cannot be read as FITS"):
        read_spectra(path)


def with_card(whole, name, key, value):
    """The bytes of the file with one card of one HDU changed."""
    content, places = whole
    place = places[name][0]
    while content[place : place + 8] != key.ljust(8).encode():
        place += 80
        assert place < places[name][1], "no such card"
    card = f"{key:<8}= {value:>20}".ljust(80).encode()
    return content[:place] + card + content[place + 80 :]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("FIBERMAP", "NAXIS2", 10**12),
        ("FIBERMAP", "NAXIS2", 2**62),
        ("FIBERMAP", "NAXIS2", 2**63 - 1),
        ("FIBERMAP", "NAXIS1", 99999),
        ("FIBERMAP", "NAXIS2", -5),
        ("FIBERMAP", "TFIELDS", 3),
        ("FIBERMAP", "TFORM1", "'zz'"),
        ("B_FLUX", "NAXIS2", 10**12),
        ("B_FLUX", "NAXIS1", 2**62),
        ("R_FLUX", "NAXIS2", 99999),
        ("R_FLUX", "NAXIS2", "'three'"),
        ("R_WAVELENGTH", "NAXIS1", 10**12),
        ("R_WAVELENGTH", "BITPIX", 3),
        ("R_WAVELENGTH", "NAXIS", -5),
        ("Z_WAVELENGTH", "PCOUNT", 10**15),
        ("Z_MASK", "BITPIX", "T"),
        ("Z_MASK", "NAXIS2", 10**10),
    ],
)
def test_header_that_lies_is_an_error(tmp_path, whole, name, key, value, pack):
    path = tmp_path / "lie.fits"
    path.write_bytes(pack(with_card(whole, name, key, value)))
    with pytest.raises(FileError, match=r"lie\.fits: "):
        read_spectra(path)


@pytest.mark.parametrize(
    "content",
    [
        b"Dear all,\nthe spectra follow.\nRegards\n",
        b"x",
        bytes(2880),
        b"\x89PNG\r\n\x1a\n" + bytes(5000),
        b"\x1f\x8b",
        gzip.compress(b"hello" * 1000),
        gzip.compress(b""),
        b"SIMPLE  =                    T",
    ],
    ids=["text", "one byte", "zeros", "png", "gzip magic", "gz text", "gz nothing", "a card"],
)
def test_file_that_is_no_fits_is_an_error(tmp_path, content):
    path = tmp_path / "text.fits"
    path.write_bytes(content)
    with pytest.raises(
        FileError,
        match=r"text\.fits: (cannot be read as (FITS|a text)|is a .*, but a file of)",
    ):
        read_spectra(path)


def test_missing_empty_and_directory(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.fits: no such file"):
        read_spectra(tmp_path / "none.fits")
    (tmp_path / "empty.fits").touch()
    with pytest.raises(FileError, match=r"empty\.fits: is empty"):
        read_spectra(tmp_path / "empty.fits")
    with pytest.raises(FileError, match="is a directory"):
        read_spectra(tmp_path)
    (tmp_path / "loop.fits").symlink_to(tmp_path / "loop.fits")
    with pytest.raises(FileError, match=r"loop\.fits"):
        read_spectra(tmp_path / "loop.fits")


def test_gz_beside_a_missing_file_is_not_read_in_its_place(tmp_path, cameras):
    write(tmp_path / "coadd.fits.gz", desi_coadd(cameras, fibermap([1, 2, 3])))
    with pytest.raises(MissingFileError, match=r"coadd\.fits: no such file"):
        read_spectra(tmp_path / "coadd.fits")


def test_fits_of_something_else_says_what_it_holds(tmp_path):
    hdus = [primary(), table({"RA": np.ones(3)}, "PHOTOMETRY"), image(np.ones((5, 6)))]
    path = write(tmp_path / "other.fits", hdus)
    message = r"other\.fits: holds no spectra .*PHOTOMETRY \(table\), HDU 2 \(image 5x6\); looked"
    with pytest.raises(FileError, match=message):
        read_spectra(path)


def test_cards_of_any_kind_are_no_obstacle(tmp_path):
    flux, ivar = make_spectra(10**BOSS_LOGLAM)
    hdus = boss_spec(BOSS_LOGLAM, flux[0], ivar[0])
    header = hdus[0].header
    header["HIERARCH ESO DET WIN1 NX"] = 5
    header["LONGCARD"] = "x" * 200
    header["UNDEF"] = None
    header["HISTORY"] = "made by hand"
    header["COMMENT"] = "COEFF0 = 3"
    header.append(("", "", "a blank card"))
    spectra = read_spectra(write(tmp_path / "spec.fits", hdus))
    assert spectra.cards == (("RUN2D", "v5_7_0"),)
