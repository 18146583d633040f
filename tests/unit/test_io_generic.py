"""Any table of spectra, whatever its format: what its columns hold, and in which units."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import numpy as np
import pytest
from astropy import units
from astropy.io import fits, votable
from astropy.nddata import StdDevUncertainty
from astropy.table import Column, Table

import qnet
from makers import image, make_spectra, make_spectrum, primary, table, write
from qnet.cli import main
from qnet.core.errors import FileError, InputError, QnetWarning
from qnet.io import from_arrays, from_table, read_spectra
from qnet.io.reader import read_blocks
from qnet.io.readers import READERS
from qnet.lines import air_to_vacuum

WAVE, FLUX, IVAR = make_spectrum(2.4, seed=7)
WAVE, FLUX, IVAR = WAVE[:600].astype(float), FLUX[:600], IVAR[:600]
FLUX3, IVAR3 = make_spectra(WAVE, (1.0, 2.0, 3.0), seed=8)
ERROR3 = IVAR3.astype(float) ** -0.5
CGS = "1e-17 erg / (s cm2 Angstrom)"
IDS = [11, 12, 13]

#: How a table is written, by suffix.
WRITE = {
    ".fits": {"format": "fits"},
    ".fits.gz": {"format": "fits"},
    ".xml": {"format": "votable", "tabledata_format": "tabledata"},
    ".vot": {"format": "votable", "tabledata_format": "binary2"},
    ".ecsv": {"format": "ascii.ecsv"},
    ".parquet": {"format": "parquet"},
    ".csv": {"format": "ascii.csv"},
    ".txt": {"format": "ascii.commented_header"},
    ".tab": {"format": "ascii.tab"},
    ".ipac": {"format": "ascii.ipac"},
}
TEXT = (".csv", ".txt", ".tab", ".ipac")


def rows(**more):
    """A table with a row per spectrum."""
    columns = {"wave": Column(np.tile(WAVE / 10, (3, 1)), unit="nm")}
    columns |= {"flux": Column(FLUX3, unit=CGS), "error": Column(ERROR3, unit=CGS)}
    return Table({**columns, "TARGETID": IDS, "mag": [18.0, 19.0, 20.0], **more})


def pixels(row=0, **more):
    """A table with a row per pixel."""
    columns = {"Wavelength": WAVE, "Flux": FLUX3[row], "Flux_Err": ERROR3[row]}
    return Table({**columns, **more})


def save(path, what, **more):
    """Write a table."""
    what.write(path, **WRITE["".join(path.suffixes)] | more)
    return path


def check(spectra, flux=FLUX3, ivar=IVAR3, wave=WAVE, rtol=1e-5):
    (camera,) = spectra.cameras
    np.testing.assert_allclose(np.broadcast_to(wave, camera.wave.shape), camera.wave, rtol=1e-9)
    np.testing.assert_allclose(camera.flux, np.atleast_2d(flux), rtol=rtol)
    np.testing.assert_allclose(camera.ivar, np.atleast_2d(ivar), rtol=rtol)


@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
@pytest.mark.parametrize("suffix", [suffix for suffix in WRITE if suffix not in TEXT])
def test_a_row_per_spectrum_in_every_format(tmp_path, suffix, small_model):
    path = save(tmp_path / f"a{suffix}", rows())
    spectra = read_spectra(path, air=False)
    check(spectra)
    assert spectra.ids["TARGETID"].tolist() == IDS
    assert spectra.ids["MAG"].tolist() == [18, 19, 20]
    assert units.Unit(spectra.flux_unit) == units.Unit(CGS)
    two = read_spectra(path, rows=[2, 0], air=False)
    check(two, FLUX3[[2, 0]], IVAR3[[2, 0]])
    assert two.ids["TARGETID"].tolist() == [13, 11]
    blocks = list(read_blocks([path], nrows=2, options=qnet.io.options.ReadOptions(air=False)))
    assert [block.ids["TARGETID"].tolist() for block in blocks] == [[11, 12], [13]]
    # The same answers as of the arrays, and of the table in memory.
    ours = qnet.classify(spectra, model=small_model)
    for other in (
        from_arrays(WAVE, FLUX3 * units.Unit(CGS), error=ERROR3 * units.Unit(CGS), targetid=IDS),
        from_table(rows()),
    ):
        theirs = qnet.classify(other, model=small_model)
        np.testing.assert_allclose(ours["C_LINES"], theirs["C_LINES"], atol=2e-4)
        assert ours["TARGETID"].tolist() == theirs["TARGETID"].tolist()


@pytest.mark.parametrize("suffix", WRITE)
def test_a_row_per_pixel_in_every_format(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", pixels())
    with pytest.warns(QnetWarning) as caught:
        spectra = read_spectra(path)
    check(spectra, FLUX3[0], IVAR3[0])
    messages = " ".join(str(warning.message) for warning in caught)
    assert "does not say whether its wavelengths are in air or in vacuum" in messages
    assert "has no TARGETID: it is the row number" in messages
    assert spectra.ids["TARGETID"].tolist() == [0]


@pytest.mark.parametrize("suffix", [".csv", ".xml"])
def test_gzipped_text_is_read_as_it_is(tmp_path, suffix):
    plain = save(tmp_path / f"a{suffix}", pixels())
    packed = tmp_path / f"a{suffix}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.warns(QnetWarning, match="no TARGETID"):
        check(read_spectra(packed, air=False), FLUX3[0], IVAR3[0])


def test_names_and_units_in_comments_and_brackets(tmp_path):
    numbers = "".join(
        f"{w / 10:.8f} {f:.8e} {e:.8e}\n" for w, f, e in zip(WAVE, FLUX3[0], ERROR3[0], strict=True)
    )
    for head in (
        "# a spectrum\n# VACUUM = T\n# OBJECT: J0123+45\n# lambda[nm] flux[Jy] sigma(Jy)\n",
        "# VACUUM: T\n# OBJECT = 'J0123+45'\n# lambda[nm], flux[Jy], sigma[Jy]\n# made by x\n",
    ):
        path = tmp_path / "a.dat"
        path.write_text(head + numbers)
        spectra = read_spectra(path)
        assert spectra.ids["TARGETID"].tolist() == [-1]
        assert spectra.ids["TARGET_NAME"].tolist() == ["J0123+45"]
        expected = from_arrays(WAVE, FLUX3[0] * units.Jy, error=ERROR3[0] * units.Jy).cameras[0]
        check(spectra, expected.flux, expected.ivar)


def test_columns_and_units_that_are_given(tmp_path):
    path = tmp_path / "a.dat"
    np.savetxt(path, np.column_stack([ERROR3[0] ** 2, FLUX3[0], WAVE / 1e4]))
    with pytest.raises(FileError, match=r"a\.dat: holds no spectra .*columns col1, col2, col3.*--"):
        read_spectra(path)
    given = {"columns": {"wave": "3", "flux": "col2", "variance": "1"}}
    with pytest.raises(
        FileError, match=r"states no unit of its wavelengths, which are 0\.3.*not An"
    ):
        read_spectra(path, **given, air=False)
    with pytest.warns(QnetWarning, match="no TARGETID"):
        spectra = read_spectra(path, **given, wave_unit="um", flux_unit="uJy", air=True)
    expected = from_arrays(
        WAVE, FLUX3[0] * units.uJy, variance=ERROR3[0] ** 2 * units.uJy**2, air=True
    ).cameras[0]
    check(spectra, expected.flux, expected.ivar, air_to_vacuum(WAVE))
    with pytest.raises(FileError, match="lacks the column 'nothing' that was given; it has"):
        read_spectra(path, columns={"wave": "3", "flux": "nothing"})
    for bad in ({"wave": 3}, {"weight": "1"}, {"flux": ""}):
        with pytest.raises(
            InputError, match=r"columns must map names of wave, loglam, flux, .* to"
        ):
            read_spectra(path, columns=bad)
    with pytest.raises(InputError, match=r"format must be 'table' or specutils:NAME, not 'fits'"):
        read_spectra(path, format="fits")


def spectral_votable(path, **axis):
    """A VOTable of the Spectrum data model, whose columns have names that say nothing."""
    columns = {"a": ERROR3[0], "b": FLUX3[0], "c": WAVE, "d": np.arange(len(WAVE)) % 7 == 0}
    what = Table({**columns, "flux": FLUX3[1]})
    what["d"] = what["d"].astype(np.int32)
    tree = votable.from_table(what)
    fields = {field.name: field for field in tree.get_first_table().fields}
    for name, key in zip("abcd", ("StatError", "Value", "Spectral", "Quality"), strict=True):
        path_of = f"FluxAxis.Accuracy.{key}" if name == "a" else f"FluxAxis.{key}"
        fields[name].utype = f"spec:Spectrum.Data.{path_of}"
    fields["c"].utype = "spec:Spectrum.Data.SpectralAxis.Value"
    fields["flux"].utype = "eso:Data.FluxAxis.Value"
    for key, value in axis.items():
        setattr(fields["c"], key, value)
    tree.to_xml(str(path))
    return path


def test_columns_by_their_utype_and_air_by_their_ucd(tmp_path):
    path = spectral_votable(tmp_path / "a.xml", ucd="em.wl;obs.atmos")
    with pytest.warns(QnetWarning, match="no TARGETID"):
        spectra = read_spectra(path)
    ivar = np.where(np.arange(len(WAVE)) % 7 == 0, 0, IVAR3[0])
    check(spectra, FLUX3[0], ivar, air_to_vacuum(WAVE))
    with pytest.raises(
        FileError, match=r"says that its wavelengths are in air \(column c\), but v"
    ):
        read_spectra(path, air=False)


def test_columns_of_fits_by_their_ucd(tmp_path):
    names = {
        "X": ("em.wl", WAVE),
        "Y": ("phot.flux.density;em.wl", FLUX3[0]),
        "Z": ("stat.error;phot.flux.density;em.wl", ERROR3[0]),
        "S": ("stat.error;em.wl", WAVE),
    }
    hdu = table({name: values for name, (_, values) in names.items()}, AIRORVAC="vac", OBJECT="17")
    for number, (ucd, _) in enumerate(names.values(), start=1):
        hdu.header[f"TUCD{number}"] = ucd
    spectra = read_spectra(write(tmp_path / "a.fits", [primary(), hdu]))
    check(spectra, FLUX3[0], IVAR3[0])
    assert spectra.ids["TARGETID"].tolist() == [17]


def objects(*tables):
    """A file with a table HDU for each of some objects."""
    hdus = [
        table(
            {name: what[name] for name in what.colnames},
            f"OBJ{row}",
            VACUUM=True,
            OBJECT=f"J{row}",
            RA=10.5 * row,
            DEC=1.0,
        )
        for row, what in enumerate(tables)
    ]
    return [primary(), *hdus]


def test_an_hdu_per_object(tmp_path):
    short = pixels(2)[:500]
    path = write(tmp_path / "a.fits", objects(pixels(0), pixels(1), short))
    spectra = read_spectra(path)
    assert spectra.ids["TARGET_NAME"].tolist() == ["J0", "J1", "J2"]
    assert spectra.ids["TARGETID"].tolist() == [-1, -1, -1]
    assert spectra.ids["TARGET_RA"].tolist() == [0, 10.5, 21]
    check(read_spectra(path, rows=[1, 0]), FLUX3[[1, 0]], IVAR3[[1, 0]])
    assert read_spectra(path, rows=[2, 0]).ids["TARGET_NAME"].tolist() == ["J2", "J0"]
    np.testing.assert_allclose(spectra.cameras[0].ivar[2, :500], IVAR3[2, :500], rtol=1e-5)
    assert not spectra.cameras[0].ivar[2, 500:].any()


def test_tables_of_several_kinds_are_an_error_that_names_both(tmp_path):
    exposure = pixels(1)
    exposure.rename_column("Flux_Err", "Ivar")
    path = write(tmp_path / "a.fits", objects(pixels(0), exposure))
    with pytest.raises(FileError, match="spectra in OBJ0 and in OBJ1, whose columns differ: say"):
        read_spectra(path)
    check(read_spectra(path, columns={"error": "flux_err"}), FLUX3[0], IVAR3[0])


def axis(kind, npix=600):
    """Cards of wavelengths of a kind, and the wavelengths."""
    linear, log = 3700 + 2.5 * np.arange(npix), 10 ** (3.57 + 1e-4 * np.arange(npix))
    cards = {
        "linear": ({"CRVAL1": 3705.0, "CDELT1": 2.5, "CRPIX1": 3.0, "CTYPE1": "WAVE"}, linear),
        "cd in nm": (
            {"CRVAL1": 370.0, "CD1_1": 0.25, "CDELT1": 1.0, "CRPIX1": 1, "CUNIT1": "nm"},
            linear,
        ),
        "dc-flag": ({"CRVAL1": 3.57, "CD1_1": 1e-4, "CRPIX1": 1.0, "DC-FLAG": 1}, log),
        "loglam": ({"CRVAL1": 3.57, "CDELT1": 1e-4, "CRPIX1": 1.0, "CTYPE1": "LOGLAM"}, log),
        "iraf unit": (
            {
                "CRVAL1": 0.37,
                "CDELT1": 2.5e-4,
                "CRPIX1": 1.0,
                "WAT1_001": "label=Wavelength units=micron",
            },
            linear,
        ),
        "wave-log": (
            {
                "CRVAL1": 3700.0,
                "CDELT1": 3700e-4 * np.log(10),
                "CRPIX1": 1.0,
                "CTYPE1": "WAVE-LOG",
            },
            3700 * 10 ** (1e-4 * np.arange(npix)),
        ),
        "coeff": ({"COEFF0": 3.57, "COEFF1": 1e-4}, log),
        "frequency": (
            {"CRVAL1": 8e14, "CDELT1": -5e11, "CRPIX1": 1.0, "CTYPE1": "FREQ"},
            2.99792458e18 / (8e14 - 5e11 * np.arange(npix)),
        ),
    }
    return cards[kind]


KINDS = ["linear", "cd in nm", "dc-flag", "loglam", "iraf unit", "wave-log", "coeff", "frequency"]


@pytest.mark.parametrize("kind", KINDS)
def test_images_with_wavelengths_in_their_header(tmp_path, kind):
    cards, wave = axis(kind)
    hdu = primary(FLUX3[0][None, None], OBJECT="J1", **cards)
    path = write(tmp_path / "a.fits", [hdu, image(ERROR3[0][None, None], "ERROR")])
    spectra = read_spectra(path, air=None if kind in ("linear", "wave-log") else False)
    check(spectra, FLUX3[0], IVAR3[0], wave)
    assert spectra.ids["TARGET_NAME"].tolist() == ["J1"]


def test_an_image_in_air_without_errors_is_flagged(tmp_path):
    cards, wave = axis("linear")
    hdu = primary(FLUX3[0], OBJECT="J1", **cards | {"CTYPE1": "AWAV"})
    with pytest.warns(QnetWarning, match=r"a\.fits: there are no errors of the flux"):
        spectra = read_spectra(write(tmp_path / "a.fits", [hdu]))
    np.testing.assert_allclose(spectra.cameras[0].wave, air_to_vacuum(wave))
    assert qnet.flag_names(spectra.flag[0]) == ["NO_ERROR"]


def test_rows_of_an_image_are_spectra_where_errors_or_the_user_say_so(tmp_path):
    cards, wave = axis("dc-flag")
    path = write(tmp_path / "a.fits", [primary(FLUX3, VACUUM=True, **cards)])
    with pytest.raises(
        FileError, match="an image of 3 rows, PRIMARY, without one of its errors, s"
    ):
        read_spectra(path)
    with (
        pytest.warns(QnetWarning, match="no errors of the flux"),
        pytest.warns(QnetWarning, match="no TARGETID"),
    ):
        assert len(read_spectra(path, columns={"flux": "primary"})) == 3
    both = [primary(FLUX3, VACUUM=True, **cards), image(ERROR3, "ERR")]
    with pytest.warns(QnetWarning, match="no TARGETID"):
        spectra = read_spectra(write(tmp_path / "b.fits", both), rows=[2, 1])
    check(spectra, FLUX3[[2, 1]], IVAR3[[2, 1]], wave)
    assert spectra.ids["TARGETID"].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"CRVAL1": "x"}, "card CRVAL1 is 'x', but a number was expected"),
        ({"CTYPE1": "RA---TAN"}, "holds no spectra"),
        ({"CDELT1": 0.0}, "holds no spectra"),
        ({"CRVAL1": 370.5, "CDELT1": 0.25}, "states no unit of its wavelengths, which are 370 to"),
    ],
)
def test_images_without_wavelengths_are_refused(tmp_path, cards, message):
    hdu = primary(FLUX3[0], OBJECT="J1", **axis("linear")[0] | cards)
    with pytest.raises(FileError, match=message):
        read_spectra(write(tmp_path / "a.fits", [hdu]))


def test_other_spectra_in_a_file_are_not_left_out(tmp_path):
    cards, _ = axis("linear")
    hdus = [primary(FLUX3[0], OBJECT="J1", **cards), image(ERROR3[0], "ERROR")]
    hdus += [image(FLUX3[1], "ARM_FLUX"), image(IVAR3[1], "ARM_IVAR")]
    with pytest.raises(
        FileError, match="holds further spectra, in ARM_FLUX, that would be left out"
    ):
        read_spectra(write(tmp_path / "a.fits", hdus))


def test_lists_of_several_lengths_in_parquet(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    lengths = [600, 400, 600]
    pieces = {
        "spectrum": [
            {"lambda": WAVE[:n], "flux": FLUX3[row][:n], "ivar": IVAR3[row][:n]}
            for row, n in enumerate(lengths)
        ],
        "name": ["a", "b", "c"],
    }
    parquet.write_table(pa.table(pieces), tmp_path / "a.parquet")
    with pytest.warns(QnetWarning, match="no TARGETID"):
        spectra = read_spectra(tmp_path / "a.parquet", air=False)
    assert spectra.ids["NAME"].tolist() == ["a", "b", "c"]
    (camera,) = spectra.cameras
    for row, n in enumerate(lengths):
        np.testing.assert_allclose(camera.flux[row, :n], FLUX3[row, :n], rtol=1e-6)
        assert not camera.ivar[row, n:].any()


def test_a_survey_layout_is_asked_for_as_a_table(tmp_path):
    what = rows()
    what["wave"] = np.tile(WAVE, (3, 1))
    path = save(tmp_path / "a.fits", what)
    check(read_spectra(path, format="table", air=False))
    with pytest.raises(InputError, match="read such files one by one"):
        read_spectra([path, save(tmp_path / "b.fits", what)], format="table")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<!-- --><!DOCTYPE V [<!ENTITY a "b">]><!-- --><VOTABLE/>', "a document type definition"),
        ('<VOTABLE><STREAM href="file:///etc/passwd"/></VOTABLE>', "in another file, 'file:///etc"),
        ('<VOTABLE><TABLE nrows="99999999999"/></VOTABLE>', "announces a table of 99999999999 byt"),
        ('<VOTABLE><FIELD arraysize="9999999999x9"/></VOTABLE>', "announces a table of 71"),
        ('<VOTABLE><FIELD arraysize="-3x9"/></VOTABLE>', "cannot be read as a VOTable|no spectra"),
        ("<VOTABLE><RESOURCE><TABLE>", "cannot be read as a VOTable, is it whole"),
    ],
)
def test_votables_are_data_within_limits(tmp_path, content, message):
    path = tmp_path / "a.xml"
    path.write_text(f"<?xml version='1.0'?>\n{content}")
    with pytest.raises(FileError, match=message):
        read_spectra(path)


@pytest.mark.parametrize("suffix", ["csv", "ecsv", "parquet"])
def test_one_long_text_does_not_widen_all_rows(tmp_path, monkeypatch, request, suffix):
    """Text of fixed width would take 4 bytes for each row and character of the longest."""
    monkeypatch.setattr("qnet.io.columns._TEXT", 1 << 20)
    path = tmp_path / f"a.{suffix}"
    texts = [*["QSO"] * 3000, "Q" * 30_000]
    Table({"TARGETID": np.arange(3001), "ZBEST": np.ones(3001), "NAME": texts}).write(path)
    readers = (qnet.read_catalogue,) if suffix == "parquet" else (qnet.read_catalogue, read_spectra)
    for read in readers:
        tracemalloc.start()
        request.addfinalizer(tracemalloc.stop)
        if suffix == "parquet":
            assert read(path)["NAME"].dtype == object
        else:
            with pytest.raises(FileError, match=r"a line of 300\d\d characters among 3002"):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < 20e6


def test_gzipped_text_that_inflates_far_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("qnet.io.tablefile._SMALL", 1 << 20)
    path = tmp_path / "a.xml.gz"
    path.write_bytes(gzip.compress(b"<?xml version='1.0'?><VOTABLE>" + b" " * (1 << 22)))
    with pytest.raises(FileError, match="holds more than 1 MB, too much for one table"):
        read_spectra(path)


@pytest.mark.filterwarnings("ignore")
def test_files_are_read_by_a_loader_of_specutils(tmp_path):
    specutils = pytest.importorskip("specutils")
    path = tmp_path / "a.fits"
    unit = units.Unit("erg / (s cm2 AA)")
    specutils.Spectrum(
        spectral_axis=WAVE * units.AA,
        flux=FLUX3[0] * unit,
        uncertainty=StdDevUncertainty(ERROR3[0] * unit),
    ).write(path, format="tabular-fits")
    spectra = read_spectra(path, format="specutils:tabular-fits", rows=[0])
    check(spectra, FLUX3[0], IVAR3[0])
    assert spectra.layout == "specutils:tabular-fits"
    with pytest.raises(InputError, match="no loader 'tabular-fit'; near it are tabular-fits"):
        read_spectra(path, format="specutils:tabular-fit")
    with pytest.raises(FileError, match="cannot be read by the loader JWST x1d of specutils"):
        read_spectra(path, format="specutils:JWST x1d")


@pytest.mark.filterwarnings("ignore")
def test_the_command_lists_formats_and_takes_what_is_given(tmp_path, capsys, small_weights):
    assert main(["formats", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [layout["name"] for layout in listed["layouts"]] == [reader.name for reader in READERS]
    assert "tabular-fits" in listed["specutils"]
    assert main(["formats"]) == 0
    text = capsys.readouterr().out
    assert all(reader.name in text for reader in READERS)
    path, out = tmp_path / "a.dat", tmp_path / "out.fits"
    np.savetxt(path, np.column_stack([WAVE / 10, FLUX3[0], ERROR3[0]]))
    words = [
        "classify",
        str(path),
        "-o",
        str(out),
        "--model",
        str(small_weights),
        "--medium",
        "air",
    ]
    assert main([*words, "--columns", "wave=1,flux=2,error=3", "--wave-unit", "nm"]) == 0
    expected = qnet.classify(WAVE, FLUX3[0], error=ERROR3[0], air=True, model=small_weights)
    with fits.open(out) as hdus:
        np.testing.assert_allclose(hdus[1].data["Z_LINES"], expected["Z_LINES"], rtol=1e-5)
    with pytest.raises(SystemExit):
        main([*words, "--columns", "wave"])
    assert "'wave' is not of the form wave=A,flux=B,error=C" in capsys.readouterr().err
