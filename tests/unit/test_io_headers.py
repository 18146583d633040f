"""Headers of FITS files that the C library would misread are refused before it sees them."""

from __future__ import annotations

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from astropy.io import fits

from makers import compressed, desi_coadd, desi_set, fibermap, image, primary, table, write
from qnet.core.errors import FileError, QnetWarning
from qnet.io import read_spectra
from qnet.io.fits.file import FitsFile

CAMERAS = desi_set(cameras="B")
IDS = np.array([39627866878511337, 7, 8])
BLOCK, CARD = 2880, 80


def header_of(content, name):
    """First and last byte of the header of a named HDU."""
    end = content.index(f"EXTNAME = '{name:<8}'".encode())
    place = content.rindex(b"XTENSION", 0, end)
    return place, content.index(b"END".ljust(CARD), place)


def with_card(content, name, card, after=None):
    """The bytes of a file with a card added to the header of an HDU: at its end, or after one."""
    place, end = header_of(content, name)
    at = end if after is None else content.index(f"{after:<8}=".encode(), place) + CARD
    stop = place + -(-(end + CARD - place) // BLOCK) * BLOCK
    header = (content[place:at] + card.encode().ljust(CARD) + content[at:end]).rstrip(b" ")
    header = header.ljust(-(-len(header) // CARD) * CARD) + b"END".ljust(CARD)
    return content[:place] + header.ljust(-(-len(header) // BLOCK) * BLOCK) + content[stop:]


def changed(content, name, key, value):
    """The bytes of a file with the value of one card changed."""
    at = content.index(f"{key:<8}=".encode(), header_of(content, name)[0])
    return content[:at] + f"{key:<8}= {value:>20}".encode().ljust(CARD) + content[at + CARD :]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A coadd with scaled ids, a compressed mask and a column of arrays, as bytes."""
    _, flux, _ = CAMERAS["B"]
    arrays = np.array([np.arange(n + 1, dtype=np.float32) for n in range(3)], dtype=object)
    columns = [
        fits.Column("TARGETID", "K", array=IDS),
        fits.Column("OBJTYPE", "3A", array=["TGT", "SKY", "TGT"]),
        fits.Column("LONG", "PE()", array=arrays),
    ]
    mask = (np.arange(flux.size).reshape(flux.shape) % 7 == 0).astype(np.int32)
    hdus = [
        *desi_coadd(CAMERAS),
        fits.BinTableHDU.from_columns(columns, name="FIBERMAP"),
        compressed(mask, "B_MASK", "RICE_1"),
    ]
    return write(tmp_path_factory.mktemp("whole") / "coadd.fits", hdus).read_bytes()


@pytest.fixture
def refused(tmp_path):
    """A check that a file of these bytes, plain and gzipped, is an error with this message."""

    def check(content, match):
        for pack in (bytes, gzip.compress):
            path = tmp_path / "bad.fits"
            path.write_bytes(pack(content))
            with pytest.raises(FileError, match=rf"bad\.fits: {match}"):
                read_spectra(path)

    return check


def test_the_file_itself_is_read(tmp_path, whole):
    path = tmp_path / "coadd.fits"
    path.write_bytes(whole)
    spectra = read_spectra(path)
    assert spectra.ids["TARGETID"].tolist() == IDS.tolist()
    assert (spectra.cameras[0].ivar.ravel()[::7] == 0).all()


TWICE = [
    *(("B_FLUX", key) for key in ("BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT")),
    *(("FIBERMAP", key) for key in ("TFIELDS", "TFORM1", "TFORM3", "PCOUNT", "GCOUNT", "NAXIS1")),
    *(("B_MASK", key) for key in ("ZBITPIX", "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZCMPTYPE", "ZVAL1")),
    *(("B_MASK", key) for key in ("ZIMAGE", "ZNAXIS", "XTENSION", "TFORM1")),
]


@pytest.mark.parametrize("value", ["'text'", "99999999"])
@pytest.mark.parametrize(("name", "key"), TWICE)
def test_card_of_sizes_that_stands_twice_is_refused(refused, whole, name, key, value):
    content = with_card(whole, name, f"{key:<8}= {value:>20}")
    refused(content, rf"the header of HDU '{name}' \(number \d\) is damaged: {key} is in it twice")


@pytest.mark.parametrize(
    ("name", "card", "what"),
    [
        ("B_MASK", "TSCAL1  = 'text'", "should hold a number"),
        ("B_MASK", "TSCAL1  =                  NAN", "should hold a number"),
        ("FIBERMAP", "TZERO1  = 1 2", "should hold a number"),
        ("FIBERMAP", "HIERARCH TZERO1 = 5", "should hold a number"),
        ("FIBERMAP", "tzero1  = 5", "should hold a number"),
        ("FIBERMAP", "TSCAL1=5", "should hold a number"),
        ("FIBERMAP", "THEAP   = '", "should hold a whole number"),
        ("FIBERMAP", "THEAP   = 1E2", "should hold a whole number"),
        ("FIBERMAP", "THEAP   = 9999999", "THEAP is 9999999, but"),
        ("FIBERMAP", "THEAP   = -5", "THEAP is -5, but"),
        ("B_FLUX", "BSCALE  = T", "should hold a number"),
        ("B_FLUX", "BSCALE  = 0.0", "BSCALE is 0.0"),
        ("B_FLUX", "BZERO   = -1E400", "BZERO is -1E400"),
        ("B_MASK", "ZQUANTIZ= 'SUBTRACTIVE_DITHER_2'", "lacks ZDITHER0"),
        ("B_MASK", "ZTILE3  = ", "should hold a whole number"),
    ],
)
def test_card_in_another_form_is_refused(refused, whole, name, card, what):
    refused(with_card(whole, name, card), rf"the header of HDU '{name}' .*damaged: .*{what}")


@pytest.mark.parametrize("value", ["1.5D0", "+.5E1 / comment", "2", "-3."])
def test_numbers_in_the_forms_of_the_standard_are_read(tmp_path, whole, value):
    path = tmp_path / "scaled.fits"
    path.write_bytes(with_card(whole, "B_FLUX", f"BSCALE  = {value}"))
    scale = float(value.split("/")[0].replace("D", "E"))
    found = read_spectra(path).cameras[0].flux
    np.testing.assert_allclose(found, scale * CAMERAS["B"][1], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "key", "value", "what"),
    [
        ("B_FLUX", "PCOUNT", 5, "PCOUNT is 5"),
        ("B_FLUX", "GCOUNT", 10**12, "GCOUNT is 1000000000000"),
        ("FIBERMAP", "GCOUNT", 2, "GCOUNT is 2"),
        ("FIBERMAP", "TFIELDS", 4, "TFORM4 is '', no type"),
        ("FIBERMAP", "TFORM1", "'1PE'", "heap|columns take"),
        ("FIBERMAP", "TFORM1", "'1QE'", "heap|columns take"),
        ("FIBERMAP", "TFORM1", "'99999999E'", "columns take 400000007 bytes a row"),
        ("FIBERMAP", "TFORM1", "'J'", "columns take 15 bytes a row, but NAXIS1 is 19"),
        ("FIBERMAP", "BITPIX", -64, "BITPIX is -64, but 8 was"),
        ("FIBERMAP", "NAXIS", 1, "NAXIS is 1, but 2 was"),
        ("B_MASK", "ZVAL2", "'two'", "ZVAL2 is two"),
        ("FIBERMAP", "TFORM2", "'zz'", "TFORM2 is 'zz', no type"),
        ("FIBERMAP", "TFORM3", "'7PE'", "TFORM3 is '7PE', no type"),
        ("FIBERMAP", "TFORM3", "'1PM'", "column 'LONG' has arrays beyond its heap of 24 bytes"),
        ("B_MASK", "ZNAXIS2", 10**9, "it announces 1000000000 tiles, but there are 3"),
        ("B_MASK", "ZTILE1", 1, "it announces 2064 tiles, but there are 3"),
        ("B_MASK", "ZNAXIS1", 10**9, "it announces|cannot come of"),
        ("B_MASK", "ZVAL1", 0, "ZVAL1 is 0"),
        ("B_MASK", "ZBITPIX", 31, "ZBITPIX is 31"),
        ("B_FLUX", "BITPIX", 0, "BITPIX is 0"),
    ],
)
def test_size_beyond_sense_is_refused(refused, whole, name, key, value, what):
    refused(changed(whole, name, key, value), rf"the header of HDU '{name}' .*damaged: .*({what})")


def test_compressed_image_of_gigabytes_in_a_small_file_is_refused(refused, whole):
    content = changed(whole, "B_MASK", "ZNAXIS1", 10**9)
    refused(changed(content, "B_MASK", "ZTILE1", 10**9), ".*cannot come of")


@pytest.mark.parametrize("seed", [-64, 0, 10001, "'one'"])
def test_seed_of_a_dithered_image_beyond_its_range_is_refused(refused, whole, seed):
    """The C library takes a random number of that place from a list."""
    content = with_card(whole, "B_MASK", "ZQUANTIZ= 'SUBTRACTIVE_DITHER_1'")
    dithered = with_card(content, "B_MASK", f"ZDITHER0= {seed}")
    refused(dithered, ".*ZDITHER0 is .*, but 1 to 10000 was expected")
    refused(with_card(content, "B_MASK", "ZDITHER0= 1"), ".*it lacks ZSCALE or ZZERO")


@pytest.mark.parametrize("length", [2, 5, 2**31 - 1, 2**32 - 1])
def test_arrays_beyond_the_heap_are_refused(refused, whole, length):
    """Row 2 of LONG has 3 numbers from byte 12 of 24 on."""
    stored = struct.pack(">2I", 3, 12)
    assert whole.count(stored) == 1
    content = whole.replace(stored, struct.pack(">2I", length, 20))
    refused(content, "the header of HDU 'FIBERMAP' .*column 'LONG' has arrays beyond its heap")


@pytest.mark.parametrize("form", ["'1PE(99999999)'", "'PE(3)'", "'1PE'", "'1PE(0)'"])
def test_largest_length_that_a_column_announces_takes_no_memory(tmp_path, whole, form):
    path = tmp_path / "coadd.fits"
    path.write_bytes(changed(whole, "FIBERMAP", "TFORM3", form))
    tracemalloc.start()
    with FitsFile(path) as file:
        arrays = file.table("FIBERMAP", ["LONG"])["LONG"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [values.tolist() for values in arrays] == [[0], [0, 1], [0, 1, 2]]
    assert peak < 1 << 22


@pytest.mark.parametrize("beyond", [b"\0", b"XTENSION= 'IMAGE   '".ljust(CARD)])
def test_gz_that_inflates_beyond_its_headers_is_refused(tmp_path, whole, beyond):
    path = tmp_path / "bomb.fits.gz"
    path.write_bytes(gzip.compress(whole + beyond + b" " * (1 << 26), 1))
    tracemalloc.start()
    with pytest.raises(FileError, match=r"bomb\.fits\.gz: (inflates to far more|.*header of HDU)"):
        read_spectra(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["gz", "tiles"])
def test_small_file_that_announces_much_is_refused(tmp_path, monkeypatch, kind):
    """It would be read: zeros take 1000 times less when they are compressed."""
    zeros = np.zeros((256, 10240), np.float32)
    small = np.zeros((2, 2), np.float32)
    for data in (small, zeros):
        hdu = image(data, "B_FLUX") if kind == "gz" else compressed(data, "B_FLUX", "GZIP_1")
        path = write(tmp_path / f"{data.size}.fits", [primary(), hdu])
        if kind == "gz":
            path.write_bytes(gzip.compress(path.read_bytes(), 1))
        if data is zeros:
            monkeypatch.setattr("qnet.io.fits.structure._ANNOUNCED", 1 << 20)
            with pytest.raises(FileError, match="announces 10485760 bytes, too many for a file"):
                FitsFile(path)
        else:
            with FitsFile(path) as file:
                np.testing.assert_array_equal(file.image("B_FLUX"), small)


def test_rows_of_no_width_and_hdus_without_end_are_refused(tmp_path, refused, monkeypatch):
    path = write(tmp_path / "a.fits", [primary(), table(fibermap([1]), "FIBERMAP")])
    content = changed(path.read_bytes(), "FIBERMAP", "NAXIS1", 0)
    refused(changed(content, "FIBERMAP", "NAXIS2", 10**9), ".*1000000000 rows of no width")
    path.write_bytes(
        primary().header.tostring().encode() + fits.ImageHDU().header.tostring().encode() * 501
    )
    monkeypatch.setattr("qnet.io.fits.structure._MOST_HDUS", 500)
    with pytest.raises(FileError, match=r"a\.fits: has more than 500 HDUs"):
        read_spectra(path)


@pytest.mark.parametrize("name", ["B_IVAR", "B_MASK"])
@pytest.mark.parametrize("first", [b"BITPIX  =                    8", b"XTENSIOM= 'IMAGE   '", b""])
def test_hdu_without_its_first_card_hides_no_other(refused, whole, name, first):
    """The C library stops there: a mask behind it would be lost without a word."""
    place, _ = header_of(whole, name)
    number = ["B_IVAR", "B_MASK"].index(name) * 3 + 3
    refused(
        whole[:place] + first.ljust(CARD) + whole[place + CARD :],
        f"HDU number {number} is damaged: its header does not begin with XTENSION",
    )


def test_bytes_that_are_no_utf8_in_a_message_of_the_c_library(refused, whole):
    """It quotes the card that it finds in place of GCOUNT."""
    at = whole.index(b"GCOUNT  =", header_of(whole, "FIBERMAP")[0])
    card = b"NOTE    = '\x91'".ljust(CARD)
    refused(whole[:at] + card + whole[at + CARD :], "HDU (number 5 of 7|FIBERMAP) is damaged")


def test_extension_of_another_kind_is_no_image(refused, whole):
    """The C library gives it the shape of the image that it read last."""
    place, _ = header_of(whole, "B_IVAR")
    card = b"XTENSION= 'FOREIGN '".ljust(CARD)
    refused(whole[:place] + card + whole[place + CARD :], "lacks the image B_IVAR; it holds")


def test_bytes_after_the_last_hdu_are_told_of(tmp_path, whole):
    path = tmp_path / "coadd.fits"
    path.write_bytes(whole + b"x" * BLOCK)
    with pytest.warns(QnetWarning, match="has 2880 bytes after its last HDU, which are not read"):
        read_spectra(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize(
    ("kind", "place", "change"),
    [
        ("GZIP_1", 10, b"\0\0"),  # the beginning of the deflated bytes
        ("GZIP_2", 0, b"PK"),
        ("HCOMPRESS_1", 2, struct.pack(">2i", 1 << 15, 1 << 15)),  # width and height
        ("PLIO_1", 4, struct.pack(">3h", 0, 0, 99)),  # words of the list
    ],
)
def test_tile_that_is_not_what_it_says_is_refused(tmp_path, kind, place, change, pack):
    """The C library would inflate a tile that does not end until no memory is left."""
    data = np.arange(1024, dtype=np.int32).reshape(32, 32) % 7
    path = write(tmp_path / "tiles.fits", [primary(), compressed(data, "TILES", kind)])
    content = path.read_bytes()
    path.write_bytes(pack(content))
    with FitsFile(path) as file:
        np.testing.assert_array_equal(file.image("TILES"), data)
    start = header_of(content, "TILES")[1] // BLOCK * BLOCK + BLOCK
    cards = fits.Header.fromstring(content[header_of(content, "TILES")[0] : start].decode())
    at = start + cards["NAXIS1"] * cards["NAXIS2"] + place
    path.write_bytes(pack(content[:at] + change + content[at + len(change) :]))
    with FitsFile(path) as file, pytest.raises(FileError, match=r"COMPRESSED_DATA is no"):
        file.image("TILES", np.array([0]))


@pytest.mark.parametrize("lost", [1, 5, 20])
def test_gzipped_tile_that_does_not_end_is_refused(tmp_path, lost):
    path = tmp_path / "tiles.fits"
    data = np.arange(1024, dtype=np.int32).reshape(4, 256)
    content = write(path, [primary(), compressed(data, "TILES", "GZIP_1")]).read_bytes()
    start = header_of(content, "TILES")[1] // BLOCK * BLOCK + BLOCK
    (length,) = struct.unpack(">I", content[start : start + 4])
    path.write_bytes(content[:start] + struct.pack(">I", length - lost) + content[start + 4 :])
    with FitsFile(path) as file, pytest.raises(FileError, match=r"'TILES' .* is no GZIP image"):
        file.image("TILES")
