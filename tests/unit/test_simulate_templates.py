"""Objects drawn from template files: made-up ones, and the real ones where they are."""

import dataclasses

import fitsio
import numpy as np
import pytest

from qnet.core.errors import FileError, InputError, MissingFileError
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation import simulate
from qnet.simulation.absorption import bal
from qnet.simulation.frame import FRAME, LOGLAM_STEP, NPIX
from qnet.simulation.quasars import templates
from qnet.simulation.template_files import read_templates
from qnet.simulation.templates import Templates

WAVE = FRAME.wave
#: Emission line of the made-up galaxies and absorption line of the made-up stars [Angstrom].
GALAXY_LINE, STAR_LINE = 5000.0, 6000.0


def bump(wave, centre, sigma):
    return np.exp(-0.5 * ((wave / centre - 1) * SPEED_OF_LIGHT / sigma) ** 2)


def write(path, images, cards):
    """A template file: its images by HDU name, cards in the first."""
    with fitsio.FITS(str(path), "rw", clobber=True) as file:
        for number, (name, image) in enumerate(images.items()):
            file.write(image, extname=name, header=cards if number == 0 else None)


def quasar_file(folder, name, first, npix, redshifts):
    loglam = first + LOGLAM_STEP * np.arange(npix)
    wave = 10**loglam
    mean = (wave / 3000) ** -1.5
    for line in (1215.67, 1549.0, 1908.7, 2799.0, 4862.7, 6564.6):
        mean = mean * (1 + bump(wave, line, 2000))
    vectors = np.stack([mean, 0.01 * mean * bump(wave, 2799.0, 3000), 0.01 * wave / 3000])
    cards = {"CRVAL1": first, "CDELT1": LOGLAM_STEP, "LOGLAM": 1, "RRTYPE": "QSO", "RRSUBTYP": name}
    write(
        folder / f"rrtemplate-QSO-{name}.fits",
        {"BASIS_VECTORS": vectors, "REDSHIFTS": np.linspace(*redshifts, 20)},
        cards,
    )


def linear_file(folder, name, kind, subtype, first, npix, vectors, coefficients):
    cards = {"CRVAL1": first, "CDELT1": 1.0, "RRTYPE": kind, "RRSUBTYP": subtype}
    images = {"BASIS_VECTORS": vectors}
    if coefficients is not None:
        images["ARCHETYPE_COEFF"] = coefficients
    write(folder / f"rrtemplate-{name}.fits", images, cards)


def make_folder(folder, *, redmonster=True):
    """Small made-up template files of every kind."""
    redrock = folder / "redrock"
    redrock.mkdir(parents=True)
    quasar_file(redrock, "HIZ", 2.85, 8050, (1.4, 7.0))
    quasar_file(redrock, "LOZ", 3.12, 8640, (0.05, 1.6))
    rng = np.random.default_rng(0)
    wave = 1160.0 + np.arange(8850)
    old = np.where(wave > 4000, 1.0, 0.3)
    young = (wave / 4000) ** -1.0 + 3 * bump(wave, GALAXY_LINE, 100)
    fractions = rng.uniform(size=30)
    galaxy = np.column_stack([fractions, 1 - fractions])
    linear_file(redrock, "galaxy", "GALAXY", "", 1160.0, 8850, np.stack([old, young]), galaxy)
    wave = 3000.0 + np.arange(8000)
    star = np.stack([(wave / 5000) ** -2 * (1 - 0.7 * bump(wave, STAR_LINE, 200)), wave / 5000])
    coefficients = np.column_stack([np.ones(10), 0.1 * rng.uniform(size=10)])
    linear_file(redrock, "STAR-F", "STAR", "F", 3000.0, 8000, star, coefficients)
    linear_file(redrock, "star-Carbon", "STAR", "Carbon", 3000.0, 8000, star[:1], None)
    if redmonster:
        make_redmonster(folder)
    return folder


def make_redmonster(folder):
    wave = 10 ** (3.4842 + 1e-4 * np.arange(5930))
    stars = np.stack([(wave / 5000) ** slope for slope in (-3.0, 1.0)]).astype("f4")
    stars *= 1 - 0.7 * bump(wave, STAR_LINE, 200)
    stars[1, :300] = 0.25  # no data
    cards = {"CRVAL1": 3.4842, "CDELT1": 1e-4, "N2_1": "B0IVe (5394)", "N2_2": "WDhotter"}
    write(folder / "ndArch-spEigenStar-1.fits", {"": stars}, cards)
    wave = 10 ** (3.183 + 2.5e-5 * np.arange(34089))
    ages = np.stack([(wave / 5500) ** slope for slope in np.linspace(-3, 1, 15)]).astype("f4")
    cards = {"CRVAL1": 3.183, "CDELT1": 2.5e-5, "CRVAL2": -2.5, "CDELT2": 0.25}
    write(folder / "ndArch-ssp_x.fits", {"": ages}, cards)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="module")
def made_up(folder):
    return Templates.read(folder)


@pytest.fixture
def own(tmp_path):
    """A folder that a test may damage."""
    return make_folder(tmp_path / "templates")


def draw_all(templates, seed=0, count=60):
    rng = np.random.default_rng(seed)
    rmag = rng.uniform(17, 22, count)
    z = rng.uniform(0.05, 6.0, count)
    return (
        templates.quasars(rng, z, rmag),
        templates.galaxies(rng, rmag),
        templates.stars(rng, rmag),
    )


def test_all_kinds_are_finite_with_truth(made_up):
    for objects, kind in zip(draw_all(made_up), ("QSO", "GALAXY", "STAR"), strict=True):
        assert objects.flux.shape == (60, NPIX)
        assert objects.flux.dtype == np.float32
        assert np.isfinite(objects.flux).all()
        assert (objects.flux >= 0).all()
        assert (objects.flux.max(axis=1) > 0).all()
        truth = objects.truth
        assert set(truth["TRUESPECTYPE"]) == {kind}
        needed = {"TRUEZ", "TRUESUBTYPE", "BAL_FLAG_VI", "BI_CIV", "RMAG"}
        assert needed <= set(truth)
        assert all(len(column) == 60 for column in truth.values())
        if kind != "QSO":
            assert (objects.flux > 0).all()
            assert not truth["BAL_FLAG_VI"].any()


def test_the_same_state_gives_the_same_objects(made_up):
    for first, again, other in zip(*(draw_all(made_up, seed) for seed in (1, 1, 2)), strict=True):
        np.testing.assert_array_equal(first.flux, again.flux)
        assert not np.array_equal(first.flux, other.flux)


def test_magnitudes_are_those_asked_for(made_up):
    for draw in (made_up.galaxies, made_up.stars):
        bright, faint = (draw(np.random.default_rng(3), np.full(20, m)) for m in (20.0, 22.5))
        if draw == made_up.stars:  # the redshift of a galaxy follows its magnitude
            np.testing.assert_allclose(bright.flux, 10 * faint.flux, rtol=1e-4)
        inside = (WAVE >= 5600) & (WAVE < 6900)
        weight = (WAVE * np.gradient(WAVE))[inside]
        mean = bright.flux[:, inside] @ weight / weight.sum()
        np.testing.assert_allclose(mean, mean[0], rtol=1e-4)


def test_galaxies_have_their_lines_at_the_true_redshift(own):
    (own / "ndArch-ssp_x.fits").unlink()
    objects = Templates.read(own).galaxies(np.random.default_rng(0), np.full(40, 20.0))
    for flux, z in zip(objects.flux, objects.truth["TRUEZ"], strict=True):
        if z > 0.9:
            continue
        near = np.abs(WAVE / (GALAXY_LINE * (1 + z)) - 1) < 0.01
        at = WAVE[near][np.argmax(flux[near])]
        assert at == pytest.approx(GALAXY_LINE * (1 + z), rel=3e-4)


def test_stars_have_their_lines_at_the_true_velocity(made_up):
    objects = made_up.stars(np.random.default_rng(0), np.full(60, 20.0))
    velocity = objects.truth["TRUEZ"] * SPEED_OF_LIGHT
    assert 20 < np.abs(velocity).std() < 200
    for flux, v in zip(objects.flux, velocity, strict=True):
        offset = (WAVE / STAR_LINE - 1) * SPEED_OF_LIGHT
        near = np.abs(offset) < 1500
        missing = np.interp(offset[near], offset[near][[0, -1]], flux[near][[0, -1]]) - flux[near]
        missing = np.clip(missing, 0, None)
        assert (offset[near] * missing).sum() / missing.sum() == pytest.approx(v, abs=25)


@pytest.mark.parametrize(
    ("line", "low", "high", "scatter"),
    [(2798.75, 0.3, 2.4, 205), (1549.06, 1.6, 4.0, 415), (1908.73, 1.0, 3.5, 243)],
)
def test_lines_of_quasars_have_the_velocities_of_parametric_ones(made_up, line, low, high, scatter):
    z, rmag = np.linspace(low, high, 150), np.full(150, 19.0)
    objects = made_up.quasars(np.random.default_rng(0), z, rmag, bal_fraction=0.0)
    np.testing.assert_array_equal(objects.truth["TRUEZ"], z)
    found = []
    for flux, redshift in zip(objects.flux, z, strict=True):
        offset = (WAVE / (line * (1 + redshift)) - 1) * SPEED_OF_LIGHT
        near = np.abs(offset) < 8000
        above = flux[near] - np.interp(offset[near], offset[near][[0, -1]], flux[near][[0, -1]])
        above = np.clip(above, 0, None)
        found.append((offset[near] * above).sum() / above.sum())
    expected = {2798.75: -57.0, 1908.73: -229.0}.get(line, np.median(objects.truth["CIV_SHIFT"]))
    # Narrow absorbers, where there are any, and the window take a little.
    assert np.median(found) == pytest.approx(expected, abs=70 + 0.12 * abs(expected))
    assert 0.6 * scatter < np.std(found) < 1.6 * scatter + 60
    if line == 1549.06:
        assert np.corrcoef(found, objects.truth["CIV_SHIFT"])[0, 1] > 0.7


def test_a_template_without_lines_is_left_where_it_is(made_up):
    (each, *_) = [item for item in made_up.sets if item.kind == "QSO"]
    plain = dataclasses.replace(each, vectors=np.ones_like(each.vectors))
    assert np.isnan(templates._own_velocities(plain)).all()
    seen = templates._see(plain.vectors, plain, np.ones(3), np.full((3, 7), 500.0))
    np.testing.assert_array_equal(seen, 1)


def test_quasars_come_from_the_file_that_holds_their_redshift(made_up):
    sets = [each for each in made_up.sets if each.kind == "QSO"]
    z = np.array([0.01, 0.5, 1.39, 1.61, 3.0, 6.9])
    chosen = templates._choose_quasar_sets(np.random.default_rng(0), sets, z)
    assert [sets[number].names[0] for number in chosen] == ["LOZ"] * 3 + ["HIZ"] * 3
    both = templates._choose_quasar_sets(np.random.default_rng(0), sets, np.full(100, 1.5))
    assert 20 < both.sum() < 80


def test_quasars_differ_and_stay_near_the_first_vector(made_up):
    each = next(each for each in made_up.sets if each.names == ("HIZ",))
    mixes = templates._quasar_mix(np.random.default_rng(0), each, 200)
    ratio = mixes[:, each.wave > 1300] / each.vectors[0][each.wave > 1300]
    assert ratio.min() > 0.2
    assert ratio.max() < 4
    assert np.median(ratio.std(axis=0)) > 0.02


def test_light_short_of_the_lyman_limit_is_a_power_law(made_up):
    each = next(each for each in made_up.sets if each.names == ("HIZ",))
    vectors = templates._without_limit(each)
    wave = each.wave
    short = wave < 979
    np.testing.assert_allclose(
        vectors[0][short] * (wave[short] / 980) ** 0.3, vectors[0][short][-1], rtol=2e-3
    )


def test_hydrogen_absorbs_short_of_lyman_alpha(made_up):
    objects = made_up.quasars(
        np.random.default_rng(0), np.full(30, 4.0), np.full(30, 19.0), bal_fraction=0.0
    )
    rest = WAVE / 5
    forest = objects.flux[:, (rest > 1060) & (rest < 1160)].mean()
    clear = objects.flux[:, (rest > 1300) & (rest < 1400)].mean()
    # The mean transmission at z = 3.5 is 0.54 (Becker et al. 2013); the made-up continuum rises.
    assert 0.3 < forest / clear < 0.95


def test_broad_absorption_is_in_the_truth(made_up):
    z = np.full(100, 2.3)
    some = made_up.quasars(np.random.default_rng(0), z, np.full(100, 19.0), bal_fraction=1.0).truth
    none = made_up.quasars(np.random.default_rng(0), z, np.full(100, 19.0), bal_fraction=0.0).truth
    assert (some["BI_CIV"] > 0).mean() > 0.3
    assert set(some["TRUESUBTYPE"]) == {"", "BAL"}
    assert ((some["BAL_FLAG_VI"] == 1) == (some["TRUESUBTYPE"] == "BAL")).all()
    high = ~some["LOBAL"]
    assert ((some["BAL_FLAG_VI"] == 1) == (some["AI_CIV"] > bal.AI_VISIBLE))[high].all()
    assert not none["BAL_FLAG_VI"].any()
    assert not none["BI_CIV"].any()


def test_troughs_that_no_spectrum_shows_are_not_flagged(made_up):
    """The rule of the parametric quasars: a flag means that a trough is seen."""
    rng = np.random.default_rng(0)
    # At z = 0.1 the troughs of all ions, that of MgII too, are short of 3600 Angstrom.
    truth = made_up.quasars(rng, np.full(200, 0.1), np.full(200, 19.0), bal_fraction=1.0).truth
    assert truth["LOBAL"].sum() > 10
    assert not truth["BAL_FLAG_VI"].any()
    assert set(truth["TRUESUBTYPE"]) == {""}
    # At z = 2.3 some have a balnicity index that is too small for the eye.
    truth = made_up.quasars(rng, np.full(2000, 2.3), np.full(2000, 19.0), bal_fraction=1.0).truth
    shallow = (truth["BI_CIV"] > 0) & (truth["AI_CIV"] <= bal.AI_VISIBLE) & ~truth["LOBAL"]
    assert shallow.any()
    assert not truth["BAL_FLAG_VI"][shallow].any()


def test_subtypes_are_those_of_the_files(made_up):
    subtypes = set(made_up.stars(np.random.default_rng(0), np.full(300, 20.0)).truth["TRUESUBTYPE"])
    assert subtypes == {"F", "CARBON", "B", "WD"}


def test_redmonster_is_not_needed(tmp_path):
    templates = Templates.read(make_folder(tmp_path / "templates", redmonster=False))
    assert {each.kind for each in templates.sets} == {"QSO", "GALAXY", "STAR"}
    for objects in draw_all(templates):
        assert np.isfinite(objects.flux).all()


def test_reading_keeps_the_flux_and_the_wavelengths(folder):
    galaxy = next(each for each in read_templates(folder) if each.path.stem == "rrtemplate-galaxy")
    wave, young = galaxy.wave, galaxy.vectors[1]
    np.testing.assert_allclose(np.diff(np.log10(wave)), LOGLAM_STEP, rtol=1e-6)
    near = np.abs(wave - GALAXY_LINE) < 20
    excess = young[near] - (wave[near] / 4000) ** -1.0
    assert (wave[near] * excess).sum() / excess.sum() == pytest.approx(GALAXY_LINE, abs=0.1)
    # 3 * sqrt(2 pi) * sigma in Angstrom.
    area = 3 * np.sqrt(2 * np.pi) * 100 / SPEED_OF_LIGHT * GALAXY_LINE
    assert (excess * np.gradient(wave)[near]).sum() == pytest.approx(area, rel=0.01)


def test_ends_without_data_hold_the_mean_of_the_nearest_pixels(folder):
    stars = next(each for each in read_templates(folder) if len(each.names) == 2)
    np.testing.assert_allclose(stars.vectors[1, :300], stars.vectors[1, 300:350].mean(), rtol=1e-5)
    assert stars.names == ("B0IVe (5394)", "WDhotter")


def test_a_folder_must_be_there_and_hold_every_kind(tmp_path, own):
    with pytest.raises(MissingFileError, match="no such folder"):
        Templates.read(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match="QSO or GALAXY or STAR"):
        Templates.read(tmp_path / "empty")
    (own / "redrock" / "rrtemplate-galaxy.fits").unlink()
    with pytest.raises(MissingFileError, match="of kind GALAXY"):
        Templates.read(own)


def test_the_digest_is_that_of_the_files(own):
    read = Templates.read(own)
    named = simulate(1, seed=0, templates=own).templates_sha256
    assert len(named) == 64
    assert read.sha256 == named == simulate(1, seed=0, templates=read).templates_sha256
    (own / "ndArch-ssp_x.fits").rename(own / "ndArch-ssp_y.fits")
    assert Templates.read(own).sha256 != named


def test_a_file_cut_short_is_named(own):
    path = own / "redrock" / "rrtemplate-QSO-HIZ.fits"
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(FileError, match=r"rrtemplate-QSO-HIZ\.fits"):
        Templates.read(own)


VECTORS = np.stack([np.linspace(1, 2, 5000), np.linspace(2, 1, 5000)])
LINEAR = {"CRVAL1": 3000.0, "CDELT1": 1.0, "RRTYPE": "STAR", "RRSUBTYP": "F"}


@pytest.mark.parametrize(
    ("images", "cards", "message"),
    [
        ({"BASIS_VECTORS": VECTORS}, {"RRTYPE": "PLANET"}, "RRTYPE = 'PLANET'"),
        ({"OTHER": VECTORS}, {}, "RRTYPE = ''"),
        ({"BASIS_VECTORS": VECTORS * np.nan}, {}, "not finite"),
        ({"BASIS_VECTORS": VECTORS[0]}, {}, "2 axes"),
        ({"BASIS_VECTORS": VECTORS}, {"CDELT1": -1.0}, "CDELT1 = -1"),
        ({"BASIS_VECTORS": VECTORS}, {"CRVAL1": "blue"}, "card CRVAL1 holds 'blue'"),
        ({"BASIS_VECTORS": VECTORS}, {"LOGLAM": 1}, "as log10"),
        (
            {"BASIS_VECTORS": VECTORS, "ARCHETYPE_COEFF": np.ones((4, 3))},
            {},
            r"ARCHETYPE_COEFF has shape \(4, 3\)",
        ),
        (
            {"BASIS_VECTORS": VECTORS, "ARCHETYPE_COEFF": np.full((4, 2), np.inf)},
            {},
            "ARCHETYPE_COEFF holds values that are not finite",
        ),
        ({"BASIS_VECTORS": VECTORS}, {"RRTYPE": "QSO"}, "REDSHIFTS"),
    ],
)
def test_faults_of_a_file_are_named(own, images, cards, message):
    write(own / "redrock" / "rrtemplate-bad.fits", images, {**LINEAR, **cards})
    with pytest.raises(FileError, match=message) as caught:
        Templates.read(own)
    assert "rrtemplate-bad.fits" in str(caught.value)


def test_stars_without_names_are_an_error(own):
    image = np.ones((3, 2000), "f4") * np.linspace(1, 2, 2000)
    cards = {"CRVAL1": 3.5, "CDELT1": 1e-4, "N2_1": "A0"}
    write(own / "ndArch-spEigenStar-2.fits", {"": image}, cards)
    with pytest.raises(FileError, match="lacks the card N2_2"):
        Templates.read(own)


@pytest.mark.parametrize(
    ("z", "rmag", "fraction", "message"),
    [
        ([1.0, 2.0], [20.0], 0.1, "of one length"),
        ([np.nan], [20.0], 0.1, "z must be from 0"),
        ([8.0], [20.0], 0.1, "z must be from 0"),
        ([1.0], [np.nan], 0.1, "rmag must be"),
        ([1.0], [20.0], 1.5, "bal_fraction must be from 0 to 1"),
    ],
)
def test_wrong_arguments_are_named(made_up, z, rmag, fraction, message):
    with pytest.raises(InputError, match=message):
        made_up.quasars(np.random.default_rng(0), z, rmag, bal_fraction=fraction)


def test_nothing_to_draw(made_up):
    rng = np.random.default_rng(0)
    none = np.zeros(0)
    for objects in (made_up.quasars(rng, none, none), made_up.galaxies(rng, none)):
        assert objects.flux.shape == (0, NPIX)
    assert made_up.stars(rng, none).flux.shape == (0, NPIX)


@pytest.fixture(scope="module")
def real(request):
    shared = request.getfixturevalue("shared_data")
    if not (shared / "templates").is_dir():
        pytest.skip(f"the templates are not here: {shared / 'templates'} does not exist")
    return Templates.read(shared / "templates")


def test_real_templates_are_read_whole(real):
    assert len(real.sets) == 15
    assert sum(each.kind == "QSO" for each in real.sets) == 2
    archetypes = next(each for each in real.sets if len(each.names) > 1)
    assert len(archetypes.names) == 123
    ages = next(each.log_ages for each in real.sets if each.log_ages is not None)
    np.testing.assert_allclose(ages[[0, -1]], [-2.5, 1.0])


def test_real_templates_are_in_vacuum(real):
    def sodium(each, row=0):
        vectors = each.vectors
        if each.coefficients is not None:
            vectors = (each.coefficients.mean(axis=0) @ vectors)[None]
        wave, flux = each.wave, vectors[row]
        near = np.abs(wave - 5891.58) < 2.5
        missing = flux[near].max() - flux[near]
        return (wave[near] * missing**2).sum() / (missing**2).sum()

    by_name = {each.path.name: each for each in real.sets}
    assert sodium(by_name["rrtemplate-STAR-K-v0.1.fits"]) == pytest.approx(5891.58, abs=0.3)
    ages = next(each for each in real.sets if each.log_ages is not None)
    assert sodium(ages, row=-1) == pytest.approx(5891.58, abs=0.3)


def test_real_templates_give_finite_objects(real):
    for objects in draw_all(real, count=200):
        assert np.isfinite(objects.flux).all()
        assert (objects.flux >= 0).all()


def test_real_template_quasars_have_lines_of_a_natural_scatter(real):
    each = next(each for each in real.sets if each.names == ("HIZ",))
    mixes = templates._quasar_mix(np.random.default_rng(0), each, 300)
    wave = each.wave
    for line, low, high in ((1549, 1500, 1600), (2799, 2700, 2900)):
        sides = np.stack([mixes[:, np.abs(wave - end) < 10].mean(axis=1) for end in (low, high)])
        inside = (wave > low) & (wave < high)
        level = np.stack([np.interp(wave[inside], [low, high], pair) for pair in sides.T])
        width = ((mixes[:, inside] / level - 1) * np.gradient(wave)[inside]).sum(axis=1)
        assert (width > 0).all(), line
        assert 0.12 < np.log10(width).std() < 0.30
