"""Simulated quasars: what is known of the population comes out of the spectra."""

from __future__ import annotations

import numpy as np
import pytest

from qnet.core.errors import InputError
from qnet.core.luminosity import R_BAND
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.absorption import bal, forest
from qnet.simulation.frame import (
    FRAME,
    LOGLAM_STEP,
    NPIX,
    QUASAR_FRAME,
    Z_MAX,
    scale_to_r,
)
from qnet.simulation.quasars import emission, parametric
from qnet.simulation.quasars.emission import BROAD_LINES

WAVE = FRAME.wave

#: Window [Angstrom] and equivalent width [Angstrom] of lines in the composite of Vanden Berk et
#: al. 2001, AJ 122, 549, table 2.
COMPOSITE = {
    "Lya+NV": (1160, 1290, 94.0),
    "SiIV": (1360, 1446, 8.13),
    "CIV": (1494, 1620, 23.78),
    "CIII]": (1830, 1976, 21.19),
    "MgII": (2686, 2913, 32.28),
    "[OII]": (3714, 3740, 1.56),
    "[NeIII]": (3852, 3884, 1.38),
    "Hgamma": (4285, 4412, 12.62),
    "Hbeta": (4760, 4980, 46.21),
    "[OIII]": (4982, 5035, 13.23),
    "Halpha": (6400, 6765, 194.52),
}


def emitters(nspec, log_l1700):
    """Plain quasars at z = 2 of one luminosity."""
    values = {"z": 2.0, "fwhm": 4000.0, "log_l1700": log_l1700, "log_l5100": 45.0, "eigen": 0.0}
    values |= {"broad": 1.0, "oiii": np.nan}
    fields = {name: np.full(nspec, value) for name, value in values.items()}
    return emission.Emitters(**fields, disk=np.zeros(nspec, dtype=bool))


def sample(nspec, low, high, *, seed=0, rmag=(18.0, 21.0), **options):
    rng = np.random.default_rng(seed)
    return parametric.make(rng, rng.uniform(low, high, nspec), rng.uniform(*rmag, nspec), **options)


@pytest.fixture(scope="module")
def composite():
    """Geometric mean of simulated quasars in the rest frame, made as Vanden Berk et al. did."""
    rng = np.random.default_rng(7)
    z = np.sort(np.clip(np.exp(rng.normal(np.log(1.2), 0.65, 2400)), 0.05, 4.8))
    rmag = np.where(z < 0.5, rng.uniform(16.8, 18.6, z.size), rng.normal(18.7, 0.5, z.size))
    flux = np.concatenate(
        [
            parametric.make(rng, z[i : i + 600], rmag[i : i + 600]).flux
            for i in range(0, z.size, 600)
        ]
    )
    first = np.rint((np.log10(1 + Z_MAX) - np.log10(1 + z)) / LOGLAM_STEP).astype(int)
    total, count = np.zeros(QUASAR_FRAME.npix), np.zeros(QUASAR_FRAME.npix)
    for start, spectrum in zip(first, np.log(np.maximum(flux, 1e-6)), strict=True):
        part = slice(start, start + NPIX)
        have = count[part] > 0
        mean = total[part] / np.maximum(count[part], 1)
        scale = np.median((spectrum - mean)[have]) if have.any() else np.median(spectrum)
        total[part] += spectrum - scale
        count[part] += 1
    enough = count > 15
    return QUASAR_FRAME.wave[enough], np.exp(total[enough] / count[enough])


class TestComposite:
    @pytest.mark.parametrize("line", COMPOSITE)
    def test_lines_are_as_strong_as_published(self, composite, line):
        wave, flux = composite
        low, high, published = COMPOSITE[line]
        ends = [flux[np.abs(wave / end - 1) < 0.0015].mean() for end in (low, high)]
        inside = (wave >= low) & (wave <= high)
        ratio = flux[inside] / np.interp(wave[inside], [low, high], ends)
        width = np.sum((ratio - 1) * wave[inside]) * LOGLAM_STEP * np.log(10)
        assert width == pytest.approx(published, rel=0.2)

    def test_continuum_has_the_published_slope(self, composite):
        wave, flux = composite
        log_flux = np.interp([1350.0, 4230.0], wave, np.log(flux))
        assert np.diff(log_flux)[0] / np.log(4230 / 1350) == pytest.approx(-1.56, abs=0.15)


class TestSpectra:
    def test_flux_is_finite_and_positive_where_hydrogen_lets_light_through(self):
        objects = sample(400, 0.05, 6.8)
        assert np.isfinite(objects.flux).all()
        assert (objects.flux >= 0).all()
        redward = (1 + objects.truth["TRUEZ"])[:, None] * 1300 < WAVE
        assert (objects.flux[redward] > 0).mean() > 0.999

    def test_same_generator_same_spectra(self):
        one, two, other = sample(30, 0.1, 6.0), sample(30, 0.1, 6.0), sample(30, 0.1, 6.0, seed=1)
        np.testing.assert_array_equal(one.flux, two.flux)
        for name, values in one.truth.items():
            np.testing.assert_array_equal(values, two.truth[name])
        assert not np.array_equal(one.flux, other.flux)

    def test_r_magnitude_is_the_one_asked_for(self):
        objects = sample(200, 0.05, 3.3)
        again = scale_to_r(objects.flux, objects.truth["RMAG"])
        inside = (R_BAND[0] <= WAVE) & (R_BAND[1] > WAVE)
        lost = 1 - objects.flux[:, inside].mean(axis=1) / again[:, inside].mean(axis=1)
        # Metal lines of intervening gas take a little.
        assert np.median(np.abs(lost)) < 0.005
        assert np.abs(lost).max() < 0.1

    def test_narrow_lines_are_near_the_systemic_redshift(self):
        objects = sample(300, 0.1, 0.9)
        z = objects.truth["TRUEZ"]
        velocity = SPEED_OF_LIGHT * (WAVE / (5008.24 * (1 + z))[:, None] - 1)
        near = np.where(np.abs(velocity) < 800, objects.flux, -np.inf)
        peak = velocity[np.arange(len(z)), near.argmax(axis=1)][objects.truth["EW_OIII"] > 10]
        assert np.median(peak) == pytest.approx(-48, abs=25)
        assert np.percentile(np.abs(peak + 48), 90) < 150

    @pytest.mark.parametrize("log_l1700", [43.5, 44.4, 44.6, 45.0, 46.0, 47.0])
    def test_lines_have_the_velocities_of_their_luminosity(self, log_l1700):
        lines = emission.draw_broad(np.random.default_rng(2), emitters(20_000, log_l1700))
        x = log_l1700 - 45
        expected = {"MgII": (-57, 0, 205), "CIII]": (-143, 0, 243), "Hbeta": (-109, 0, 400)}
        wind = {"CIV": (-269, -438, 415), "SiIV+OIV]": (-151, -345, 477)}
        wind["HeII 1640"] = (-231, -282, 242)
        # Below log L1700 = 44.5 the wind's lines are at systemic.
        expected |= {name: row if x >= -0.5 else (0, 0, row[2]) for name, row in wind.items()}
        for name, (mean, slope, scatter) in expected.items():
            shift = lines.shift[:, emission.column(name)]
            assert shift.mean() == pytest.approx(mean + slope * x, abs=12), name
            assert np.median(shift) == pytest.approx(mean + slope * x, abs=20), name
            assert shift.std() == pytest.approx(scatter, rel=0.1), name

    def test_the_wind_moves_high_ions_together_and_no_other_line(self):
        lines = emission.draw_broad(np.random.default_rng(3), emitters(20_000, 46.0))
        shift = {line.name: lines.shift[:, emission.column(line.name)] for line in BROAD_LINES}
        correlation = np.corrcoef([shift[name] for name in ("CIV", "SiIV+OIV]", "Hbeta", "MgII")])
        assert correlation[0, 1] > 0.4
        assert np.abs(correlation[0, 2:]).max() < 0.03
        assert abs(correlation[2, 3]) < 0.03
        assert np.corrcoef(shift["Hbeta"], shift["Halpha"])[0, 1] > 0.4
        width = np.log(lines.width[:, emission.column("CIV")])
        assert np.corrcoef(shift["CIV"], width)[0, 1] > 0.25

    def test_the_peak_of_a_line_is_where_its_velocity_says(self):
        objects = emitters(2000, 46.0)
        rng = np.random.default_rng(4)
        lines = emission.draw_broad(rng, objects)
        profiles = emission.broad_profiles(rng, objects, lines)
        number = emission.column("CIV")
        each = [values.reshape(2000, len(BROAD_LINES), 2)[:, number] for values in profiles[1:]]
        centre, sigma, area = each
        velocity = SPEED_OF_LIGHT * (centre / (1549.06 * (1 + objects.z))[:, None] - 1)
        grid = np.arange(-12_000.0, 6_000.0, 10.0)
        bells = np.exp(-0.5 * ((grid - velocity[..., None]) / sigma[..., None]) ** 2)
        light = (area / sigma)[..., None] * bells
        peak = grid[light.sum(axis=1).argmax(axis=1)]
        off = peak - lines.shift[:, number]
        assert abs(np.median(off)) < 5
        assert np.percentile(np.abs(off), 95) < 60

    def test_brighter_quasars_have_weaker_carbon_lines(self):
        faint, bright = (sample(400, 2.0, 2.2, rmag=(r, r)) for r in (22.0, 18.0))
        ratio = np.median(faint.truth["EW_CIV"]) / np.median(bright.truth["EW_CIV"])
        # A power of -0.17 of luminosity over four magnitudes.
        assert ratio == pytest.approx(10 ** (0.17 * 1.6), rel=0.2)

    def test_low_luminosity_means_host_light_and_a_4000_angstrom_break(self):
        faint, bright = (sample(300, 0.2, 0.4, rmag=(r, r)) for r in (20.5, 16.5))
        assert np.median(faint.truth["HOST_FRACTION"]) > 0.6
        assert np.median(bright.truth["HOST_FRACTION"]) < 0.2
        jump = []
        for objects in (faint, bright):
            rest = WAVE / (1 + objects.truth["TRUEZ"])[:, None]
            red, blue = (
                np.nanmean(np.where((rest > a) & (rest < b), objects.flux, np.nan), axis=1)
                for a, b in ((4050, 4250), (3750, 3850))
            )
            jump.append(np.median(red / blue))
        assert jump[0] > 1.1 > 1.0 > jump[1]

    def test_kinds_have_their_fractions(self):
        objects = sample(3000, 0.05, 0.8)
        kind = objects.truth["TRUESUBTYPE"]
        assert 0.09 < (kind == "NLS1").mean() < 0.16
        assert 0.05 < (kind == "DOUBLE").mean() < 0.13
        assert 0.08 < (kind == "AGN").mean() < 0.16
        assert set(np.unique(kind)) == {"", "AGN", "BAL", "DOUBLE", "NLS1", "WLQ", "RED"}
        fwhm = objects.truth["FWHM_HBETA"]
        assert ((fwhm >= 1000) & (fwhm <= 15000)).all()
        assert (fwhm[kind == "NLS1"] <= 2000).all()

    def test_active_galaxies_have_strong_narrow_lines_and_hosts(self):
        truth = sample(4000, 0.01, 0.5).truth
        agn = truth["TRUESUBTYPE"] == "AGN"
        host, oiii = truth["HOST_FRACTION"][agn], truth["EW_OIII"][agn]
        assert 0.1 <= host.min() < 0.15
        assert 0.9 < host.max() <= 0.95
        assert oiii.min() < 20
        assert 400 < oiii.max() <= 501
        assert np.median(oiii) > 3 * np.median(truth["EW_OIII"][~agn])

    @pytest.mark.parametrize(
        ("z", "rmag", "options", "message"),
        [
            ([7.0], [20.0], {}, "z must be from 0.01 to 6.8, and holds 7.0"),
            ([np.nan], [20.0], {}, "z must be from 0.01"),
            ([1.0, 2.0], [20.0], {}, "of one length"),
            ([1.0], [np.inf], {}, "rmag must be one-dimensional and finite"),
            ([1.0], [20.0], {"bal_fraction": 1.5}, "bal_fraction must be from 0 to 1, not 1.5"),
        ],
    )
    def test_wrong_arguments_are_refused(self, z, rmag, options, message):
        with pytest.raises(InputError, match=message):
            parametric.make(np.random.default_rng(0), z, rmag, **options)

    def test_no_objects_make_no_spectra(self):
        assert parametric.make(np.random.default_rng(0), [], []).flux.shape == (0, NPIX)


class TestBroadAbsorption:
    def test_index_of_a_spectrum_is_the_index_in_the_truth(self):
        rng = np.random.default_rng(4)
        z = rng.uniform(1.9, 4.0, 600)
        troughs = bal.draw(rng, z, 0.5)
        flux = np.ones((len(z), NPIX), dtype=np.float32)
        bal.absorb(flux, troughs, z)
        in_truth, _ = bal.indices(troughs, z)
        plain = np.flatnonzero(~troughs.low_ion)
        for i in plain[:100]:
            row = troughs.row[i]
            ratio2 = (WAVE / (1549.06 * (1 + z[row]))) ** 2
            velocity = SPEED_OF_LIGHT * (1 - ratio2) / (1 + ratio2)
            # Longward of SiIV nothing but CIV absorbs.
            clean = (velocity > -1000) & (velocity < 25500)
            measured = bal.balnicity(velocity[clean][::-1], flux[row][clean][None, ::-1])
            assert measured[0] == pytest.approx(in_truth[i], rel=0.03, abs=60)

    def test_flags_and_indices_agree(self):
        truth = sample(3000, 1.6, 3.5, rmag=(19, 21)).truth
        flag, index = truth["BAL_FLAG_VI"] == 1, truth["BI_CIV"]
        # Below the eye's limit no trough can have much of an index.
        assert (index[~flag] < bal.AI_VISIBLE).all()
        assert (truth["AI_CIV"] >= index - 1e-6).all()
        assert 0.10 < flag.mean() < 0.16
        assert 0.65 < (index[flag] > 0).mean() < 0.85
        assert 800 < np.median(index[index > 0]) < 2000
        assert (truth["TRUESUBTYPE"][flag] == "BAL").all()

    def test_below_the_reach_of_carbon_only_low_ions_are_flagged(self):
        truth = sample(3000, 0.5, 1.2, bal_fraction=1.0).truth
        assert (truth["BI_CIV"] == 0).all()
        assert (truth["LOBAL"][truth["BAL_FLAG_VI"] == 1]).all()
        assert 0.05 < truth["BAL_FLAG_VI"].mean() < bal.LOW_ION + 0.02

    def test_bal_fraction_can_be_chosen(self):
        assert not sample(300, 1.6, 3.0, bal_fraction=0.0).truth["BAL_FLAG_VI"].any()
        assert sample(300, 2.0, 3.0, bal_fraction=1.0).truth["BAL_FLAG_VI"].mean() > 0.8


class TestHydrogen:
    @pytest.mark.parametrize("z", [2.2, 3.0, 4.2, 5.4])
    def test_mean_transmission_is_the_observed_one(self, z):
        rng = np.random.default_rng(1)
        tau = forest.forest_depth(rng, np.full(600, z), np.full(600, 46.0))
        inside = (1060 * (1 + z) < WAVE) & (1170 * (1 + z) > WAVE)
        expected = np.exp(-forest.effective_depth(WAVE[inside] / 1215.67 - 1)).mean()
        assert np.exp(-tau[:, inside]).mean() == pytest.approx(expected, rel=0.03)

    def test_published_depths(self):
        depth = forest.effective_depth(np.array([2.0, 3.0, 4.0, 5.0, 5.5, 6.0]))
        by_hand = [0.1336, 0.4016, 0.8874, 1.8617, 2.6274, 5.896]
        np.testing.assert_allclose(depth, by_hand, rtol=2e-3)
        fine = forest.effective_depth(np.linspace(0.1, 7, 2000))
        assert (np.diff(fine) > 0).all()

    def test_nothing_is_absorbed_redward_of_the_line(self):
        tau = forest.forest_depth(np.random.default_rng(0), np.array([3.0]), np.array([46.0]))
        assert (tau[0, WAVE > 1216 * 4] == 0).all()
        assert (tau[0, (WAVE > 1100 * 4) & (WAVE < 1150 * 4)] > 0).all()

    def test_damped_systems_are_black_at_their_redshifts(self):
        truth_of = sample(1500, 2.5, 3.5, rmag=(18, 19))
        truth = truth_of.truth
        damped = np.flatnonzero(truth["NHI_DLA"] > 20.5)
        # 0.044 (1+z)**1.27 per redshift over a path of about one.
        assert 0.1 < (truth["NHI_DLA"] >= 20.3).mean() < 0.35
        assert (truth["Z_DLA"][damped] < truth["TRUEZ"][damped]).all()
        for row in damped[:40]:
            centre = 1215.67 * (1 + truth["Z_DLA"][row])
            core = np.abs(WAVE / centre - 1) < 0.001
            assert truth_of.flux[row, core].max() < 0.05 * np.median(truth_of.flux[row])
