"""Whatever is wrong with a FITS file: it is read, or is an error of qnet in one line."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from astropy.io import fits
from astropy.table import Table

from makers import (
    BOSS_LOGLAM,
    boss_spec,
    compressed,
    desi_coadd,
    desi_set,
    image,
    make_spectra,
    prepared,
    primary,
    spplate,
    table,
    write,
)
from makers_archives import presets
from makers_surveys import (
    LAMOST_WAVE,
    MWM_WAVE,
    PFS_WAVE,
    QMOST_WAVE,
    WEAVE_WAVE,
    lamost_dr7,
    lamost_dr8,
    mwm,
    pfs_coadd,
    pfs_object,
    qmost_l1,
    qmost_mec,
    weave_l1,
)

BLOCK, CARD = 2880, 80

#: Values that cards of sizes are given, as they stand in the card.
VALUES = (
    *("0", "-1", "1", "3", "16", "-64", "999", "99999999", "2147483648", "9223372036854775808"),
    *("1.5", "1E3", "1E400", "NAN", "T", "", "'", "'3'", "'three'", "1 2", "( 1)"),
    *("'1PE'", "'QE'", "'1PB(99999999)'", "'0A'", "'99999999E'", "'1J'", "'zz'", "'7X'", "'PA'"),
    *("'IMAGE'", "'BINTABLE'", "'RICE_1'", "'GZIP_2'", "'PLIO_1'", "'HCOMPRESS_1'", "'NO_DITHER'"),
)

#: Beginnings of the names of cards that are damaged.
CARDS = (
    *("BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS", "TFORM", "TTYPE", "TDIM", "TSCAL", "TZERO"),
    *("TNULL", "THEAP", "ZBITPIX", "ZNAXIS", "ZTILE", "ZCMPTYPE", "ZVAL", "ZIMAGE", "ZDITHER0"),
    *("ZQUANTIZ", "BSCALE", "BZERO", "BLANK", "EXTNAME", "XTENSION", "SIMPLE"),
    *("CRVAL", "CRPIX", "CD1_1", "CDELT", "FSCALE", "TUNIT", "TUCD", "WAT2_", "LTM1_", "BUNIT"),
)

#: How many damaged files are read.
NUMBER = 600

#: A program that reads files of 100 kB in all ways with 3 GB of memory, and prints the outcomes.
READ = """
import json, pathlib, resource, sys, warnings
import qnet
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
warnings.simplefilter("ignore")
readers = (qnet.read_spectra, qnet.io.read_truth, qnet.io.read_spall, qnet.read_catalogue)
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    results = []
    for read in readers[: int(sys.argv[2])]:
        try:
            read(path)
            results.append("read")
        except qnet.QnetError as error:
            results.append(str(error))
    print(json.dumps([path.name, results]), flush=True)
"""


def whole_files(folder):
    """Files of some layouts with compressed images, scaled columns and columns of arrays."""
    cameras = {name: (w[::9], f[:, ::9], i[:, ::9]) for name, (w, f, i) in desi_set().items()}
    arrays = np.array([np.arange(n + 1, dtype=np.float32) for n in range(3)], dtype=object)
    columns = [
        fits.Column("TARGETID", "K", array=np.arange(3)),
        fits.Column("OBJTYPE", "3A", array=["TGT"] * 3),
        fits.Column("FIBER", "1PJ()", array=np.arange(3, dtype=np.int32).reshape(3, 1)),
        fits.Column("LONG", "PE()", array=arrays),
        fits.Column("TILEID", "J", bzero=2**31, array=np.arange(3, dtype=np.uint32)),
    ]
    fibermap = fits.BinTableHDU.from_columns(columns, name="FIBERMAP")
    masks = [
        compressed(np.zeros(cameras[name][1].shape, np.int32), f"{name}_MASK", kind)
        for name, kind in (("B", "RICE_1"), ("R", "GZIP_1"), ("Z", "PLIO_1"))
    ]
    loglam = BOSS_LOGLAM[::9]
    flux, ivar = make_spectra(10**loglam, (1.0, 2.0, 3.0))
    truth = {"TARGETID": np.arange(3), "TRUEZ": np.ones(3), "TRUESPECTYPE": ["QSO"] * 3}
    nights = {"TARGETID": np.arange(9) % 3, "NIGHT": np.arange(9, dtype=np.int32) + 20210101}
    inspection = {"catalogid": np.arange(9) % 4, "z_best": np.ones(9, np.float32)}
    inspection |= {"z_conf_best": np.full(9, 3, np.int16), "has_vi": np.arange(9) > 2}
    inspection |= {"class_best": np.array(["QSO", "QSO_BAL", "STAR"] * 3)}
    layouts = {
        "coadd.fits": [*desi_coadd(cameras), fibermap, *masks, table(nights, "EXP_FIBERMAP")],
        "coadd.fits.fz": desi_coadd({"B": cameras["B"]}, {"TARGETID": np.arange(3)}),
        "spPlate.fits": spplate(flux, ivar, fibers=[1, 2, 3], start=loglam[0], step=36e-4),
        "spec.fits": boss_spec(loglam, flux[0], ivar[0]),
        "prepared.fits": prepared(*np.ones((2, 3, 443), np.float32), {"TARGETID": np.arange(3)}),
        "truth.fits": [primary(), table(truth)],
        "vi.fits": [primary(), table(inspection, "VI_RESULTS")],
    }
    wave = 10**loglam
    axis = {"CRVAL1": 3700.0, "CDELT1": 2.5, "CRPIX1": 1.0, "CTYPE1": "AWAV"}
    layouts["table.fits"] = [
        primary(),
        table(dict(zip("wfi", (wave, flux[0], ivar[0]), strict=True))),
    ]
    layouts["table.fits"][1].header.update(TUCD1="em.wl", TUCD2="phot.flux.density", TUNIT2="Jy")
    layouts["rows.fits"] = [primary(), table({"wave": [wave] * 3, "flux": flux, "ivar": ivar})]
    layouts["image.fits"] = [primary(flux, **axis), image(ivar, "IVAR")]
    layouts |= {f"{number}.fits": hdus for number, hdus in enumerate(survey_files())}
    further = presets(np.linspace(3800.0, 9200.0, 130))
    layouts |= {f"further{number}.fits": hdus for number, hdus in enumerate(further.values())}
    return [write(folder / name, hdus).read_bytes() for name, hdus in layouts.items()]


def survey_files():
    """Files of further surveys, of few pixels."""

    def arrays(wave):
        return (wave[::9], *make_spectra(wave[::9], (1.0, 2.0, 3.0)))

    for one in ((pfs_object, PFS_WAVE), (lamost_dr7, LAMOST_WAVE), (lamost_dr8, LAMOST_WAVE)):
        make, (wave, flux, ivar) = one[0], arrays(one[1])
        yield make(wave, flux[0], ivar[0])
    wave, flux, ivar = arrays(QMOST_WAVE)
    yield qmost_l1(wave, flux[0], ivar[0])
    yield qmost_mec(wave, flux, ivar)
    yield pfs_coadd(*arrays(PFS_WAVE), lengths=[245, 100, 200])
    yield pfs_coadd(*arrays(PFS_WAVE), cube=True)
    yield weave_l1("RED", *arrays(WEAVE_WAVE["RED"]))
    yield mwm("visit", *arrays(MWM_WAVE), south=1)


def damaged(content, rng):
    """A copy of a file with a card of sizes set or doubled, or with other bytes or blocks."""
    content = bytearray(content)
    starts = range(0, len(content) - CARD, CARD)
    cards = [at for at in starts if content[at : at + 8].startswith(tuple(map(str.encode, CARDS)))]
    for _ in range(rng.integers(1, 3)):
        at = int(rng.choice(cards))
        what = rng.choice(
            ["set", "double", "other", "byte", "block", "cut"], p=[0.4, 0.3, *[0.075] * 4]
        )
        block = slice(at // BLOCK * BLOCK, at // BLOCK * BLOCK + BLOCK)
        if what in ("set", "double", "other"):
            key = content[at : at + 8].decode("latin-1")
            if what == "other":
                key = f"{rng.choice(CARDS)}{rng.integers(1, 4)}"[:8]
            card = f"{key:8}= {rng.choice(VALUES):>20}".encode().ljust(CARD)
            place = at
            if what != "set":  # over the next card, the last of the header, or the one before
                place = max(0, at + CARD * int(rng.choice([1, 2, 5, -1])))
            content[place : place + CARD] = card
        elif what == "byte":
            content[rng.integers(len(content))] = rng.integers(256)
        elif what == "block":
            content[block] = bytes(BLOCK) if rng.random() < 0.5 else content[:BLOCK]
        else:
            del content[rng.integers(len(content) // 2, len(content)) :]
            break
    return bytes(content)


def test_damage_is_an_error_of_qnet_or_no_obstacle(tmp_path):
    """In a process of its own, which the C library may end, and with little memory."""
    rng = np.random.default_rng(2)
    files = whole_files(tmp_path)
    folder = tmp_path / "damaged"
    folder.mkdir()
    for number in range(NUMBER):
        content = damaged(files[number % len(files)], rng)
        (folder / f"{number:03d}.fits").write_bytes(content)
    check_outcomes(folder, NUMBER, 4)


def check_outcomes(folder, number, readers):
    """Read all files in a process of its own; what is not read is an error of qnet in one line."""
    done = subprocess.run(
        [sys.executable, "-c", READ, folder, str(readers)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout.splitlines()[-1:]}, then {done.stderr[-500:]}"
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == number
    read = sum("read" in results for _, results in found)
    assert 20 < read < number - 20
    for name, results in found:
        for result in results:
            assert result == "read" or (name in result and "memory" not in result), result
            assert result.isprintable()
            assert len(result) < 1600


def test_damaged_tables_of_other_formats_are_errors_of_qnet_or_no_obstacle(tmp_path):
    """Bytes changed, pieces doubled, left out or in another place, and ends cut off."""
    rng = np.random.default_rng(3)
    wave = np.linspace(3700.0, 9500.0, 60)
    rows = Table({"wave": [wave] * 2, "flux": np.ones((2, 60)), "ivar": np.full((2, 60), 2.0)})
    pixels = Table({"wave": wave, "flux": np.arange(60.0), "error": np.ones(60)})
    kinds = {"xml": "votable", "ecsv": "ascii.ecsv", "parquet": "parquet", "csv": "ascii.csv"}
    files = []
    for table_of in (rows, pixels):
        for suffix, kind in kinds.items():
            if table_of is pixels or suffix != "csv":
                path = tmp_path / f"whole.{suffix}"
                table_of.write(path, format=kind, overwrite=True)
                files.append((suffix, path.read_bytes()))
    folder = tmp_path / "damaged"
    folder.mkdir()
    for number in range(280):
        suffix, content = files[number % len(files)]
        content = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            at, other = rng.integers(len(content), size=2)
            piece = bytes(content[at : at + int(rng.integers(1, 60))])
            what = rng.integers(5)
            if what == 0:
                content[at] = rng.integers(256)
            elif what == 1:
                content[other:other] = piece
            elif what == 2:
                del content[at : at + len(piece)]
            elif what == 3:
                content[at : at + 1] = rng.choice([b"0", b"9999999999", b"-1", b"nan", b'"', b"<"])
            elif len(content) > 200:
                del content[int(rng.integers(len(content) // 2, len(content))) :]
        (folder / f"{number:03d}.{suffix}").write_bytes(bytes(content))
    check_outcomes(folder, 280, 1)
