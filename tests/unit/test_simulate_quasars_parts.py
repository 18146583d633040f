"""The parts that simulated quasars are made of, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM

from qnet.core import luminosity
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.absorption import absorbers, bal
from qnet.simulation.frame import FRAME, LOGLAM_STEP, NPIX, PIXEL_KMS, QUASAR_FRAME, see_at
from qnet.simulation.profiles import add_gaussians, gaussians
from qnet.simulation.quasars import continuum, disk, host, iron

WAVE = FRAME.wave
WIDTH = WAVE * LOGLAM_STEP * np.log(10)


class TestBalnicity:
    VELOCITY = np.arange(0.0, 30000.0, 10.0) + 5.0

    def trough(self, *spans):
        light = np.ones((1, len(self.VELOCITY)))
        for low, high, value in spans:
            light[0, (low < self.VELOCITY) & (high > self.VELOCITY)] = value
        return light

    @pytest.mark.parametrize(
        ("spans", "expected"),
        [
            # Depth 1 - 0.45/0.9 over all but the first 2000 km/s.
            ([(5000, 10000, 0.45)], 0.5 * 3000),
            # Too narrow.
            ([(5000, 6900, 0.0)], 0.0),
            # Counted from 3000 km/s, whatever lies below.
            ([(500, 8000, 0.0)], 3000.0),
            # Counted to 25000 km/s.
            ([(20000, 29000, 0.0)], 3000.0),
            # A gap starts the count anew.
            ([(4000, 7000, 0.0), (7500, 11500, 0.0)], 1000.0 + 2000.0),
            # Not deep enough to count at all.
            ([(5000, 15000, 0.91)], 0.0),
        ],
    )
    def test_hand_made_troughs(self, spans, expected):
        index = bal.balnicity(self.VELOCITY, self.trough(*spans))
        assert index[0] == pytest.approx(expected, abs=11)

    def test_missing_spectrum_ends_a_trough(self):
        light = self.trough((5000, 10000, 0.0))
        light[0, (self.VELOCITY > 7500) & (self.VELOCITY < 7600)] = np.nan
        # 2500 - 2000 before the gap, 2400 - 2000 after it.
        assert bal.balnicity(self.VELOCITY, light)[0] == pytest.approx(900, abs=21)

    def test_absorption_index_counts_narrow_slow_troughs(self):
        light = self.trough((500, 1500, 0.0))
        index = bal.balnicity(self.VELOCITY, light, limits=bal.AI_RANGE, width=bal.AI_WIDTH)
        assert index[0] == pytest.approx(1000 - 450, abs=11)


class TestProfiles:
    def test_sum_is_that_of_gaussians_computed_one_by_one(self):
        spectra = np.zeros((3, NPIX), dtype=np.float32)
        add_gaussians(spectra, gaussians([0, 2, 2], [5000.0, 4000.0, 4010.0], 300.0, [1.0, 2, 3]))
        sigma = 300.0 / PIXEL_KMS
        expected = np.zeros((3, NPIX))
        for row, centre, area in ((0, 5000.0, 1.0), (2, 4000.0, 2.0), (2, 4010.0, 3.0)):
            x = np.log10(WAVE / centre) / LOGLAM_STEP / sigma
            width = centre * 300.0 / SPEED_OF_LIGHT
            expected[row] += area / (np.sqrt(2 * np.pi) * width) * np.exp(-0.5 * x**2)
        np.testing.assert_allclose(spectra, expected, atol=1e-4 * expected.max())

    @pytest.mark.parametrize("sigma", [10.0, 60.0, 1000.0, 4000.0])
    def test_area_is_kept(self, sigma):
        spectra = np.zeros((1, NPIX), dtype=np.float32)
        add_gaussians(spectra, gaussians(0, 6000.0, sigma, 7.0))
        assert (spectra[0] * WIDTH).sum() == pytest.approx(7.0, rel=2e-3)

    def test_profiles_outside_the_frame_are_left_out(self):
        spectra = np.zeros((1, NPIX), dtype=np.float32)
        add_gaussians(spectra, gaussians(0, [1000.0, 30000.0], 500.0, 1.0))
        add_gaussians(spectra, gaussians(np.zeros(0), 5000.0, 500.0, 1.0))
        assert not spectra.any()

    def test_shapes_are_seen_at_their_redshift(self):
        bank = np.log(QUASAR_FRAME.wave)[None].astype(np.float32)
        z = np.array([0.05, 1.0, 3.3, 6.8])
        seen = see_at(bank, 0, z)
        half_pixel = 0.51 * LOGLAM_STEP * np.log(10)
        np.testing.assert_allclose(seen, np.log(WAVE / (1 + z)[:, None]), atol=half_pixel + 1e-6)


class TestLight:
    def test_distances_are_those_of_astropy(self):
        z = np.array([0.05, 0.3, 1.0, 2.5, 6.8])
        model = FlatLambdaCDM(H0=luminosity.HUBBLE, Om0=luminosity.OMEGA_MATTER, Tcmb0=0)
        wanted = model.luminosity_distance(z).value
        np.testing.assert_allclose(luminosity.luminosity_distance(z), wanted, rtol=1e-4)

    def test_luminosity_by_hand(self):
        # r = 18 at z = 0.5: 4 pi D^2 f_nu nu with D = 2920 Mpc, at the wavelength that r sees.
        f_nu = 10 ** (-0.4 * (18 + 48.6))
        area = 4 * np.pi * (2920 * 3.0857e24) ** 2
        wanted = np.log10(area * f_nu * 2.99792e18 / 6165)
        seen = luminosity.log_luminosity(np.array([18.0]), np.array([0.5]), 6165 / 1.5)
        assert seen[0] == pytest.approx(wanted, abs=0.002)

    def test_power_law_has_its_slopes_and_is_one_at_the_pivot(self):
        z = np.array([0.0 + 0.1, 2.5])
        slopes = np.array([[-1.5, -1.5], [-0.5, -0.5], [0.2, 0.2]])
        flux = continuum.power_law(z, slopes)
        for row, low, high, slope in (
            (0, 3400, 4400, -1.5),
            (0, 5700, 8000, -0.5),
            (1, 1200, 2500, -1.5),
        ):
            ends = np.interp([low, high], WAVE / (1 + z[row]), np.log(flux[row]))
            assert (ends[1] - ends[0]) / np.log(high / low) == pytest.approx(slope, abs=0.02)
        assert np.interp(5100.0, WAVE / 1.1, flux[0]) == pytest.approx(1, abs=2e-4)

    def test_dust_reddens_as_published(self):
        fraction = continuum.dimming(np.array([1.0]), np.array([0.1]))[0]
        # 1.39 * 0.3**-1.2 = 5.894 mag per unit of E(B-V) at 3000 Angstrom.
        assert -2.5 * np.log10(np.interp(6000.0, WAVE, fraction)) == pytest.approx(
            0.5894, abs=0.002
        )

    @pytest.mark.parametrize("fwhm", [900.0, 3000.0, 9000.0])
    def test_iron_has_its_equivalent_widths(self, fwhm):
        z = np.array([0.6])
        one, none = np.ones(1), np.zeros(1)
        for strengths, band in (
            ((one, none, none), iron.UV_BAND),
            ((none, one, none), iron.OPTICAL_BAND),
        ):
            ratio = iron.pseudo_continuum(z, np.array([fwhm]), *(50.0 * s for s in strengths))[0]
            inside = (band[0] <= WAVE / 1.6) & (band[1] > WAVE / 1.6)
            assert (ratio * WIDTH)[inside].sum() / 1.6 == pytest.approx(50.0, rel=0.01)

    def test_host_ratio_is_the_published_one_where_it_holds(self):
        # Shen et al. 2011, eq. 1, at log L = 44.5: 0.8052 - 0.7751 + 0.2280 - 0.0197.
        assert 10 ** luminosity.host_ratio(np.array(44.5)) == pytest.approx(0.2384, abs=2e-4)
        assert (np.diff(luminosity.host_ratio(np.linspace(42, 46, 100))) <= 1e-12).all()

    def test_old_hosts_have_a_break_and_absorption_lines(self):
        light = host.starlight(np.array([0.3, 0.3]), np.array([0.0, 1.0]), np.zeros(2))
        rest = WAVE / 1.3
        red, blue = (
            light[:, (rest > a) & (rest < b)].mean(axis=1) for a, b in ((4050, 4250), (3750, 3950))
        )
        assert 1.6 < red[0] / blue[0] < 2.2
        assert red[1] / blue[1] < 1.4
        for line in (3934.8, 5176.6, 5894.6):
            near = light[0, np.abs(rest - line) < 3].mean()
            beside = np.interp(
                line, [line - 40, line + 40], np.interp([line - 40, line + 40], rest, light[0])
            )
            assert near < 0.93 * beside

    def test_disk_lines_have_two_peaks_and_their_area(self):
        rng = np.random.default_rng(3)
        row = np.arange(20)
        spectra = np.zeros((20, NPIX), dtype=np.float32)
        add_gaussians(
            spectra, disk.disk_profiles(rng, row, np.full((20, 1), 7000.0), np.full((20, 1), 200.0))
        )
        np.testing.assert_allclose((spectra * WIDTH).sum(axis=1), 200.0, rtol=5e-3)
        inner = (spectra[:, 1:-1] > spectra[:, :-2]) & (spectra[:, 1:-1] >= spectra[:, 2:])
        high = spectra[:, 1:-1] > 0.3 * spectra.max(axis=1, keepdims=True)
        assert ((inner & high).sum(axis=1) >= 2).mean() > 0.6


class TestAbsorbers:
    def test_damped_line_has_the_width_of_the_square_root_law(self):
        # Draine 2011, eq. 9.25 and 9.28: W = 7.3 Angstrom (N/1e20)**0.5.
        for log_n in (20.3, 21.0, 21.5):
            tau = np.zeros((1, NPIX), dtype=np.float32)
            systems = absorbers.Systems(np.array([0]), np.array([3.0]))
            absorbers.add_damped(tau, systems, np.array([log_n]))
            near = np.abs(WAVE / (1215.67 * 4) - 1) < 0.12
            width = ((1 - np.exp(-tau[0])) * WIDTH)[near].sum() / 4
            assert width == pytest.approx(7.3 * 10 ** (0.5 * (log_n - 20)), rel=0.06)

    def test_metal_lines_have_the_widths_asked_for(self):
        rng = np.random.default_rng(0)
        nspec = 200
        systems = absorbers.Systems(np.arange(nspec), np.full(nspec, 1.0))
        tau = np.zeros((nspec, NPIX), dtype=np.float32)
        width = np.full(nspec, 2.0)
        add_gaussians(tau, absorbers.line_profiles(rng, systems, width, (("MgII(2796)", 1.0),)))
        near = np.abs(WAVE / 5592.7 - 1) < 0.02
        measured = ((1 - np.exp(-tau)) * WIDTH)[:, near].sum(axis=1) / 2
        assert np.median(measured) == pytest.approx(2.0, rel=0.05)

    def test_number_of_systems_is_the_integral_of_their_density(self):
        z = np.full(4000, 2.0)
        systems = absorbers.draw_systems(np.random.default_rng(0), z, 0.5, 0.1, 1.0)
        end = 3 * (1 - 3000 / SPEED_OF_LIGHT)
        expected = 0.1 / 2 * (end**2 - 1.5**2)
        assert len(systems.row) / 4000 == pytest.approx(expected, rel=0.06)
        assert systems.z.min() >= 0.5
        assert systems.z.max() < 2.0
