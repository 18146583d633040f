"""Small whole files of every kind that qnet reads, and damaged copies of them."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
from astropy.io import fits
from astropy.table import Table

import qnet
from catalogues import mock_survey, write_quasarnet, write_squeze, write_truth
from makers import (
    BOSS_LOGLAM,
    boss_spec,
    compressed,
    desi_cframe,
    desi_coadd,
    desi_set,
    image,
    make_spectra,
    prepared,
    primary,
    spall,
    spcframe,
    spfield,
    spplate,
    table,
    write,
)
from makers_archives import mmu_hdf5, mmu_parquet, presets
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
from networks import write_legacy

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


def fits_files(folder):
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
        "spField.fits": spfield(flux, ivar, catalogids=[1, 2, 3]),
        "cframe-b5-00085607.fits": desi_cframe("B5", *cameras["B"]),
        "truth.fits": [primary(), table(truth)],
        "truth-inspection.fits": [primary(), table(inspection, "VI_RESULTS")],
    }
    frame = spcframe(np.tile(loglam, (3, 1)), flux, ivar, fibers=[1, 2, 3])
    layouts["spCFrame-b1-00171234.fits"] = frame
    wave = 10**loglam
    axis = {"CRVAL1": 3700.0, "CDELT1": 2.5, "CRPIX1": 1.0, "CTYPE1": "AWAV"}
    layouts["pixels.fits"] = [
        primary(),
        table(dict(zip("wfi", (wave, flux[0], ivar[0]), strict=True))),
    ]
    layouts["pixels.fits"][1].header.update(TUCD1="em.wl", TUCD2="phot.flux.density", TUNIT2="Jy")
    layouts["spectra.fits"] = [primary(), table({"wave": [wave] * 3, "flux": flux, "ivar": ivar})]
    layouts["slit.fits"] = [primary(flux, **axis), image(ivar, "IVAR")]
    layouts |= {f"survey{number}.fits": hdus for number, hdus in enumerate(survey_files())}
    further = presets(np.linspace(3800.0, 9200.0, 130))
    layouts |= {f"preset{number}.fits": hdus for number, hdus in enumerate(further.values())}
    return [write(folder / name, hdus) for name, hdus in layouts.items()]


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


def table_files(folder):
    """Files of spectra in other formats than FITS: tables, and rows of the Multimodal Universe."""
    wave = np.linspace(3700.0, 9500.0, 60)
    flux, ivar = make_spectra(wave, (1.0, 2.0))
    rows = Table({"wave": [wave] * 2, "flux": flux, "ivar": ivar})
    for suffix, kind in (("xml", "votable"), ("ecsv", "ascii.ecsv"), ("parquet", "parquet")):
        rows.write(folder / f"spectra.{suffix}", format=kind)
    Table({"wave": wave, "flux": flux[0], "ivar": ivar[0]}).write(folder / "spectra.csv")
    mmu_hdf5(folder / "rows.h5", wave, flux, ivar, ids=[7, 8])
    with h5py.File(folder / "rows.h5", "a") as file:  # and one that the process of its own reads
        del file["ra"]
        file.create_dataset("ra", data=np.ones(2), compression="gzip")
    mmu_parquet(folder / "rows.parquet", wave, flux, ivar, ids=[7, 8])


def foreign_catalogues(folder, catalogue):
    """Catalogues and truth of other programs."""
    truth, result = mock_survey(nspec=3)
    write_truth(folder / "truth-superset.fits", truth)
    write_quasarnet(folder / "catalogue-quasarnet.fits", result)
    write_squeze(folder / "catalogue-squeze.fits", [1, 2], [1.0, 2.0], [0.4, 0.9], [False] * 2)
    for name in ("redrock", "catalogue-redrock"):
        qnet.io.export(catalogue, folder / f"{name}.fits", to="redrock")
    quasars = catalogue.copy()
    quasars["IS_QSO"], quasars["TARGET_RA"], quasars["TARGET_DEC"] = True, 10.0, 20.0
    qnet.io.export(quasars, folder / "truth-picca.fits", to="picca")


def seed_files(folder):
    """Paths of whole files of every kind: spectra, truth, catalogues, distributions, weights."""
    fits_files(folder)
    table_files(folder)
    coadd = folder / "coadd.fits"
    (folder / "coadd.fits.gz").write_bytes(gzip.compress(coadd.read_bytes(), 1))
    truth = Table({"TARGETID": np.arange(3), "TRUEZ": np.ones(3), "TRUESPECTYPE": ["QSO"] * 3})
    for kind in ("csv", "ecsv"):
        truth.write(folder / f"truth.{kind}", format=f"ascii.{kind}")
    write(folder / "spAll.fits", spall([1], [2], [3], [4]))
    weights = write_legacy(folder / "network.h5", seed=1)
    model = qnet.load_model(weights)
    model.save(folder / "network.safetensors")
    catalogue, distributions = qnet.classify(coadd), qnet.classify(coadd, pz=True)
    for suffix in ("fits", "csv", "ecsv", "parquet"):
        qnet.write_catalogue(catalogue, folder / f"catalogue.{suffix}")
    foreign_catalogues(folder, catalogue)
    for suffix in ("fits", "parquet"):
        qnet.io.write_pz(distributions, folder / f"pz.{suffix}")
    with h5py.File(folder / "scan.h5", "w") as file:
        file["targetids"] = np.arange(2)
        for name in ("QSO:::HIZ", "GALAXY"):
            file[f"zscan/{name}/redshifts"] = np.linspace(1.5, 6.0, 50)
            for array in ("zchi2", "penalty"):
                file[f"zscan/{name}/{array}"] = np.ones((2, 50))
    return sorted(path for path in Path(folder).iterdir() if path.is_file())


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


def damaged_bytes(content, rng):
    """A copy of any file with bytes set, removed, repeated, or numbers made large."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if len(content) < 16:
            break
        at, size = int(rng.integers(len(content) - 8)), int(rng.integers(1, 64))
        match rng.integers(7):
            case 0:
                content[at] = rng.integers(256)
            case 1:
                content[at] ^= 1 << rng.integers(8)
            case 2:
                del content[at : at + size]
            case 3:
                content[at:at] = content[at : at + size] * int(rng.integers(1, 20))
            case 4:
                value = int(rng.choice([-1, 0, 1 << 31, 1 << 40, (1 << 63) - 1]))
                content[at : at + 8] = value.to_bytes(8, "little", signed=True)
            case 5:
                other = int(rng.integers(len(content)))
                content[at : at + size] = content[other : other + size]
            case 6:
                digits = [
                    n for n in range(at, min(at + 400, len(content))) if 48 <= content[n] < 58
                ]
                for n in digits[:1]:
                    content[n : n + 1] = rng.choice([b"-1", b"999999999", b"1e99", b"nan", b"'"])
    return bytes(content)


def damage(name, content, rng):
    """A damaged copy of a file, in the way of its kind."""
    if ".fits" in name and not name.endswith(".gz") and rng.random() < 0.7:
        return damaged(content, rng)
    if name.endswith(".gz") and rng.random() < 0.7:
        return gzip.compress(damaged(gzip.decompress(content), rng), 1)
    return damaged_bytes(content, rng)
