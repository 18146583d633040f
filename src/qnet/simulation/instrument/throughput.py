"""Instruments whose noise is computed from throughput and detectors: PFS, WEAVE, 4MOST.

A pixel collects S = A t e(wavelength) a(wavelength) c dl wavelength / (h c) electrons from 1e-17
erg/s/cm2/A: A is the collecting area, t the exposure time, e the efficiency of telescope, fibre,
spectrograph and detector, a the transmission of the atmosphere, c the fraction of a point source
that enters the fibre, for a Gaussian of the seeing's width. Then gain = 1 / S and floor = sky / S +
R / S**2, where R is the variance of read noise and dark current of the detector pixels that are
summed. Where two arms overlap, their electrons are added.

PFS
    Efficiency, area, read noise, dark current and the width of the trace (5 pixels) are those of
    the survey's exposure time calculator (spt_ExposureTimeCalculator, config/PFS.dat of 2016-02-29,
    without losses at the fibre, and 0.84 for vignetting); resolution by Tamura et al. (2016, Proc.
    SPIE 9908, 99081M). Pixels as in pfsCoadd: 0.8 Angstrom. Reference: two exposures of 15 minutes.
WEAVE
    Ranges, gaps, dispersion and the efficiency of about 0.25 in the middle of an arm: the
    observatory's page of the low-resolution mode; R = 5000 there, fibres of 1.3 arcsec and the
    survey: Jin et al. (2024, MNRAS 530, 2688). Read noise 2.5 electrons. The efficiency at the ends
    of the arms is assumed. Reference: three exposures of 20 minutes.
4MOST
    Low-resolution spectrograph: pixels of the joint spectrum, collecting area, read noise, six
    pixels across the trace and the resolution by arm: tables of py4most (MIT licence). The
    efficiency is assumed: the table of py4most was not at hand; its values are those of a similar
    three-arm spectrograph. Reference: one exposure of 20 minutes.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from qnet.core.arrays import FloatArray
from qnet.simulation.instrument import night

#: Wavelength and another number, in order of wavelength [Angstrom].
Curve = tuple[tuple[float, float], ...]

#: Planck's constant times the speed of light [erg Angstrom] (CODATA 2018).
_HC = 1.986446e-8

#: Extinction of the air above Cerro Paranal [mag per airmass] (Patat et al. 2011, A&A 527, A91,
#: rounded), taken for all three; and airmass.
EXTINCTION: Curve = (
    (3600, 0.49), (3800, 0.40), (4025, 0.33), (4425, 0.23), (5025, 0.16), (5700, 0.12),
    (6500, 0.07), (7000, 0.05), (8000, 0.04), (10500, 0.03),
)  # fmt: skip
AIRMASS = 1.2

#: Diameter [arcsec] of the fibre that measured `night`, and the seeing (SDSS: York et al. 2000).
NIGHT_FIBRE, NIGHT_SEEING = 2.0, 1.3

#: Fraction of the light that is left of errors of position and guiding (assumed).
CENTRED = 0.8

#: An arm counts where it collects at least this fraction of what another one collects.
_LEAST_ARM = 0.1

#: Full width at half maximum of a Gaussian over its standard deviation.
_FWHM = 2.3548


@dataclasses.dataclass(frozen=True)
class Arm:
    """An arm of a spectrograph and its detector."""

    dispersion: float  # [Angstrom per detector pixel]
    fwhm: Curve  # of the line spread function [Angstrom]
    efficiency: Curve  # 0 beyond its ends
    read_noise: float  # [electrons] of a detector pixel
    dark: float = 0.0  # [electrons per second] of a detector pixel


@dataclasses.dataclass(frozen=True)
class Spectrograph:
    """A spectrograph that is fed by fibres, and how its survey exposes."""

    area: float  # [cm2]
    exposure: float  # reference [s]
    reads: int  # exposures that make up the reference
    fibre: float  # diameter [arcsec]
    seeing: float  # full width at half maximum of a star on the fibre [arcsec]
    trace: float  # detector pixels across a spectrum that are summed
    pixels: tuple[tuple[float, float, float], ...]  # first, last, step [Angstrom] of pieces
    arms: tuple[Arm, ...]
    depths: tuple[float, ...]  # exposures relative to the reference
    chances: tuple[float, ...]  # their probabilities

    @property
    def coupling(self) -> float:
        """Fraction of a point source that enters the fibre."""
        return CENTRED * enclosed(self.fibre, self.seeing)

    @property
    def sky(self) -> float:
        """Brightness of the sky in the fibre, relative to `night`, for a flux of point sources."""
        area = (self.fibre / NIGHT_FIBRE) ** 2
        return area * CENTRED * enclosed(NIGHT_FIBRE, NIGHT_SEEING) / self.coupling

    @property
    def wave(self) -> FloatArray:
        """Wavelengths of the pixels' centres [Angstrom]; pieces follow one another."""
        pieces = [
            first + step * np.arange(round((last - first) / step) + 1)
            for first, last, step in self.pixels
        ]
        return np.concatenate(pieces)


def enclosed(diameter: float, seeing: float) -> float:
    """Fraction of a Gaussian of the seeing's width inside a circle of a diameter."""
    return float(1 - 2 ** -((diameter / seeing) ** 2))


def noise(spectrograph: Spectrograph) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Gain, floor, sigma [Angstrom] (npix,) and fractions of the arms (narms, npix)."""
    wave = spectrograph.wave
    width = np.gradient(wave)
    air = 10 ** (-0.4 * AIRMASS * _interp(wave, EXTINCTION))
    photons = spectrograph.area * spectrograph.exposure * width * wave / _HC * 1e-17
    electrons = np.stack([
        photons * air * spectrograph.coupling * _interp(wave, arm.efficiency, outside=0.0)
        for arm in spectrograph.arms
    ])  # fmt: skip
    electrons[electrons < _LEAST_ARM * electrons.max(axis=0)] = 0
    total = electrons.sum(axis=0)
    fractions = electrons / total
    read, variance = np.zeros(len(wave)), np.zeros(len(wave))
    for arm, fraction in zip(spectrograph.arms, fractions, strict=True):
        of_pixel = spectrograph.reads * arm.read_noise**2 + arm.dark * spectrograph.exposure
        read += (fraction > 0) * spectrograph.trace * of_pixel * width / arm.dispersion
        variance += fraction * (_interp(wave, arm.fwhm) / _FWHM) ** 2
    dark_sky = spectrograph.sky * np.interp(wave, night.CONTINUUM_WAVE, night.CONTINUUM)
    return 1 / total, dark_sky / total + read / total**2, np.sqrt(variance), fractions


def _interp(wave: FloatArray, curve: Curve, outside: float | None = None) -> FloatArray:
    """A curve at wavelengths; beyond its ends `outside`, or the value there."""
    nodes, values = np.array(curve).T
    return np.asarray(np.interp(wave, nodes, values, left=outside, right=outside))


def _by_resolution(curve: Curve) -> Curve:
    """FWHM by wavelength, of a curve of the resolution."""
    return tuple((wave, wave / resolution) for wave, resolution in curve)


PFS = Spectrograph(
    area=np.pi / 4 * 830.0**2 * (1 - 0.22**2) * 0.84,
    exposure=1800.0,
    reads=2,
    fibre=1.13,
    seeing=0.8,
    trace=5.0,
    # To 10400 Angstrom, where the frame of simulated objects ends; the third arm goes on to 12600.
    pixels=((3804.0, 10400.0, 0.8),),
    arms=(
        Arm(
            0.66,
            ((3800, 2.1), (6500, 2.1)),
            (
                (3800, 0.0621), (3900, 0.0876), (4000, 0.1145), (4100, 0.1377), (4200, 0.1605),
                (4400, 0.1936), (4600, 0.2201), (4800, 0.2349), (5000, 0.2435), (5200, 0.2480),
                (5400, 0.2510), (5600, 0.2507), (5800, 0.2479), (6000, 0.2410), (6200, 0.2312),
                (6300, 0.1975), (6400, 0.1142), (6500, 0.0013),
            ),
            read_noise=4.0,
            dark=2e-4,
        ),
        Arm(
            0.83,
            ((6300, 2.7), (9700, 2.7)),
            (
                (6300, 0.0), (6400, 0.1008), (6500, 0.2357), (6600, 0.2824), (6800, 0.2905),
                (7000, 0.2935), (7200, 0.3084), (7400, 0.3052), (7600, 0.2927), (7800, 0.3031),
                (8000, 0.3002), (8200, 0.2998), (8400, 0.2938), (8600, 0.2953), (8800, 0.2913),
                (9000, 0.2835), (9200, 0.2729), (9300, 0.2576), (9400, 0.1993), (9500, 0.1221),
                (9600, 0.0015),
            ),
            read_noise=4.0,
            dark=1e-4,
        ),
        Arm(
            0.78,
            ((9400, 2.4), (12600, 2.4)),
            (
                (9400, 0.0002), (9500, 0.0470), (9600, 0.1043), (9700, 0.1411), (9800, 0.1743),
                (9900, 0.1778), (10000, 0.1814), (10200, 0.1842), (10400, 0.1868),
            ),
            read_noise=4.0,
            dark=0.01,
        ),
    ),
    depths=(1.0, 2.0, 4.0),
    chances=(0.5, 0.3, 0.2),
)  # fmt: skip

WEAVE = Spectrograph(
    area=np.pi / 4 * (420.0**2 - 170.0**2),
    exposure=3600.0,
    reads=3,
    fibre=1.3,
    seeing=0.95,
    trace=4.0,
    pixels=(
        *((3660.0, 5490.9, 0.3), (5539.2, 5925.0, 0.3)),
        *((5925.36, 7589.76, 0.48), (7669.44, 9589.92, 0.48)),
    ),
    arms=(
        Arm(
            0.30,
            ((3660, 0.97), (6060, 0.97)),
            ((3660, 0.11), (4000, 0.18), (4400, 0.23), (4900, 0.25), (5400, 0.23), (6060, 0.12)),
            read_noise=2.5,
        ),
        Arm(
            0.48,
            ((5790, 1.54), (9590, 1.54)),
            ((5790, 0.12), (6300, 0.20), (7000, 0.24), (7700, 0.25), (8500, 0.23), (9590, 0.12)),
            read_noise=2.5,
        ),
    ),
    depths=(1.0, 2.0),
    chances=(0.8, 0.2),
)

_4MOST_BLUE: Curve = (
    (3694.7, 3812.9), (3873.7, 4128.7), (4156.1, 4608.2), (4604.4, 4947.4), (5038.5, 5497.1),
    (5527.6, 6222.2),
)  # fmt: skip
_4MOST_GREEN: Curve = (
    (5225.6, 5146.2), (5804.2, 6000.0), (6390.1, 6666.7), (6734.7, 7052.6), (7203.2, 7695.9),
)  # fmt: skip
_4MOST_RED: Curve = (
    (6889.5, 5391.8), (7537.6, 6000.0), (7992.7, 6421.1), (8206.4, 6619.9), (8620.3, 6935.7),
    (8985.8, 7228.1), (9496.1, 7660.8),
)  # fmt: skip

QMOST = Spectrograph(
    area=120715.7,
    exposure=1200.0,
    reads=1,
    fibre=1.45,
    seeing=0.9,
    trace=6.0,
    pixels=((3700.0, 9500.0, 0.25),),
    arms=(
        Arm(
            0.30,
            _by_resolution(_4MOST_BLUE),
            ((3700, 0.05), (3900, 0.11), (4200, 0.18), (4700, 0.22), (5300, 0.22), (5540, 0.18)),
            read_noise=2.286,
        ),
        Arm(
            0.32,
            _by_resolution(_4MOST_GREEN),
            ((5230, 0.12), (5540, 0.20), (6000, 0.25), (6600, 0.26), (6900, 0.24), (7200, 0.15)),
            read_noise=2.265,
        ),
        Arm(
            0.42,
            _by_resolution(_4MOST_RED),
            ((6900, 0.15), (7200, 0.24), (8000, 0.27), (8700, 0.25), (9200, 0.20), (9500, 0.15)),
            read_noise=2.206,
        ),
    ),
    depths=(1.0, 2.0, 3.0, 6.0),
    chances=(0.3, 0.3, 0.3, 0.1),
)

#: Spectrographs by survey.
SPECTROGRAPHS = {"pfs": PFS, "weave": WEAVE, "4most": QMOST}
