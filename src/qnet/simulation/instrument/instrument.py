"""Native pixels, resolution, sensitivity and noise of the instruments that are simulated."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy import sparse

from qnet.core.arguments import check_arguments
from qnet.core.arrays import FloatArray
from qnet.core.errors import InputError
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import FRAME, LOGLAM_STEP, NPIX
from qnet.simulation.instrument import curves, night, throughput

#: Surveys that have an instrument, and the name of each in `Spectra.survey`.
SURVEYS = {
    "sdss": "SDSS",
    "boss": "SDSS",
    "desi": "DESI",
    "pfs": "PFS",
    "weave": "WEAVE",
    "4most": "4MOST",
    "lamost": "LAMOST",
}

#: Against BOSS, SDSS adds this much more variance for a flux: 45 minutes in place of 60, and about
#: 2.25 times less throughput; its fibres of 3 arcsec see 2.25 times more sky than those of 2 (York
#: et al. 2000, AJ 120, 1579; Smee et al. 2013, AJ 146, 32).
SDSS_GAIN, SDSS_SKY = 3.0, 2.25

#: LAMOST is BOSS scaled too: the same exposure, R = 1800, fibres of 3.3 arcsec (Cui et al. 2012,
#: RAA 12, 1197), a sky of V = 21.1 mag per arcsec2 (Zhang et al. 2015, PASP 127, 1292) against
#: 21.6 of `night`. With the gain, V = 19.5 has S/N 10 per resolution element, the limit of Yao et
#: al. (2012, RAA 12, 772). Of the sky 3 % are left (Bai et al. 2017, RAA 17, 91), of BOSS's 1 %.
LAMOST_GAIN, LAMOST_SKY, LAMOST_RESOLUTION, LAMOST_RESIDUAL = 1.85, 4.3, 1800.0, 3.0

#: Standard deviation of DESI's line spread function [Angstrom] by camera: second moment of the
#: resolution matrix of a fibre (SV3, healpix 26065).
DESI_LSF = {"B": 0.68, "R": 0.64, "Z": 0.73}

#: DESI's noise beside its ivar in spectra of one or two exposures, measured as `curves.BOSS_WHITE`.
DESI_WHITE = 0.97

#: Where the light of BOSS and SDSS passes from the blue to the red arm [Angstrom], and half the
#: width of the change in logarithm (Smee et al. 2013: dichroics at 6040 and 5900).
#: LAMOST's arms overlap at 5700-5900 (Cui et al. 2012).
DICHROIC = {"boss": 6150.0, "sdss": 6000.0, "lamost": 5800.0}
DICHROIC_WIDTH = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class Detector:
    """One camera (or coadd of cameras) on its native pixels; arrays of shape (npix,)."""

    name: str
    wave: FloatArray  # vacuum wavelengths of the pixels' centres [Angstrom]
    sigma: FloatArray  # standard deviation of the line spread function [Angstrom]
    gain: FloatArray  # variance per flux density, see `curves`
    floor: FloatArray  # variance without object and sky lines
    white: FloatArray  # standard deviation of the noise over that of the reported ivar
    taps: FloatArray  # filter that correlates the noise of neighbours; odd, sum of squares 1
    arms: FloatArray  # fraction of each arm of the spectrograph in each pixel, (narms, npix)
    sky: float  # brightness of the sky in this fibre, relative to `night`
    resample: Any  # sparse matrix (npix, NPIX) from `FRAME`, through the line spread function

    @property
    def npix(self) -> int:
        """Number of pixels."""
        return len(self.wave)


@dataclasses.dataclass(frozen=True, eq=False)
class Instrument:
    """A survey's spectrograph."""

    survey: str
    detectors: tuple[Detector, ...]
    residual: float  # size of sky-subtraction errors, relative to BOSS
    depths: tuple[float, ...]  # exposures that are coadded, relative to that of the noise curves
    chances: tuple[float, ...]  # their probabilities


def make_instrument(survey: str) -> Instrument:
    """Model of a survey's instrument: pixels, resolution, sensitivity and noise.

    Parameters
    ----------
    survey : {'sdss', 'boss', 'desi', 'pfs', 'weave', '4most', 'lamost'}
        SDSS: 3800-9200 Angstrom, BOSS: 3600-10400, LAMOST: 3700-9100, in steps of 1e-4 in log10 of
        the wavelength; DESI: cameras B 3600-5800, R 5760-7620, Z 7520-9824 in steps of 0.8
        Angstrom; PFS: 3804-10400 in steps of 0.8 (its third arm goes on to 12600); WEAVE:
        3660-9590, without the gaps of its detectors; 4MOST: 3700-9500 in steps of 0.25.

    Returns
    -------
    Instrument
        `detectors`: one for each camera, with `name`, `wave` (vacuum wavelengths of the pixels'
        centres [Angstrom]), `sigma` (standard deviation of the line spread function [Angstrom]),
        `gain` and `floor` (variance of a pixel [1e-34 (erg/s/cm2/A)^2] per flux density of 1e-17
        erg/s/cm2/A, and without object and sky lines), shape (npix,) each.

    Raises
    ------
    InputError
        The survey is none of these.

    Notes
    -----
    The noise of BOSS was measured on 40 spectra of SDSS DR12, that of DESI on 24 spectra of one
    coadd of the Everest reduction; SDSS is BOSS scaled (York et al. 2000, AJ 120, 1579; Smee et al.
    2013, AJ 146, 32), and so is LAMOST (Cui et al. 2012, RAA 12, 1197; Yao et al. 2012, RAA 12,
    772). The noise of PFS, WEAVE and 4MOST is computed from published throughputs, areas, fibres
    and detectors (`qnet.simulation.instrument.throughput` has the sources), not measured.

    Examples
    --------
    >>> from qnet.simulation import make_instrument
    >>> for detector in make_instrument("desi").detectors:
    ...     print(detector.name, detector.npix, detector.wave[[0, -1]])
    B 2751 [3600. 5800.]
    R 2326 [5760. 7620.]
    Z 2881 [7520. 9824.]
    """
    check_arguments(make_instrument, locals())
    check_survey(survey)
    if survey == "desi":
        detectors = (
            _desi("B", 3600.0, 2751, curves.DESI_B),
            _desi("R", 5760.0, 2326, curves.DESI_R),
            _desi("Z", 7520.0, 2881, curves.DESI_Z),
        )
        # Dark time: most targets have one exposure, those kept as Lyman-alpha quasars up to four.
        return Instrument("desi", detectors, 0.7, (1.0, 2.0, 3.0, 4.0), (0.6, 0.2, 0.1, 0.1))
    if (fed := throughput.SPECTROGRAPHS.get(survey)) is not None:
        return Instrument(survey, (_computed(fed),), 1.0, fed.depths, fed.chances)
    of_survey = {"boss": _boss, "sdss": _sdss, "lamost": _lamost}[survey]
    residual = LAMOST_RESIDUAL if survey == "lamost" else 1.0
    return Instrument(survey, (of_survey(),), residual, (0.7, 1.0, 1.4), (0.3, 0.4, 0.3))


def check_survey(survey: str) -> None:
    """Raise InputError unless there is an instrument of the survey."""
    if survey not in SURVEYS:
        raise InputError(f"survey must be one of {', '.join(SURVEYS)}, not {survey!r}")


def sky_lines(
    detector: Detector, velocity: float = 0.0
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sky lines [1e-17 erg/s/cm2/A] (nfamilies, npix), derivatives by shift/sigma, ln sigma."""
    # Surveys move spectra to the barycentre: `velocity` of the frame [km/s].
    rest, fluxes = night.LINES.T
    centre, family = rest * (1 + velocity / SPEED_OF_LIGHT), night.family(rest)
    shape = (night.NFAMILIES, detector.npix)
    result = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for number, (middle, flux) in enumerate(zip(centre, fluxes, strict=True)):
        low, high = np.searchsorted(detector.wave, (middle - 12, middle + 12))
        if low == high:
            continue
        sigma = detector.sigma[low:high]
        x = (detector.wave[low:high] - middle) / sigma
        profile = detector.sky * flux * np.exp(-0.5 * x**2) / (sigma * np.sqrt(2 * np.pi))
        for total, part in zip(result, (profile, x * profile, (x**2 - 1) * profile), strict=True):
            total[family[number], low:high] += part
    return result


def sky_continuum(detector: Detector) -> FloatArray:
    """Flux density of the sky between lines [1e-17 erg/s/cm2/A], shape (npix,)."""
    flux = np.interp(detector.wave, night.CONTINUUM_WAVE, night.CONTINUUM)
    return np.asarray(detector.sky * flux)


def _boss(survey: str = "boss", first: float = 3.5525, last: float = 4.0170) -> Detector:
    """The coadd of both arms of BOSS's spectrographs, between log wavelengths."""
    # As the survey stores it: spec files are read back with the same wavelengths.
    loglam = np.round(np.arange(first, last + 5e-5, LOGLAM_STEP), 4).astype(np.float32)
    wave = 10 ** loglam.astype(np.float64)
    red = 1 / (1 + np.exp(-np.log(wave / DICHROIC[survey]) / DICHROIC_WIDTH))
    sigma = np.interp(wave, *np.array(curves.BOSS_LSF).T) * np.log(10) * LOGLAM_STEP * wave
    white = np.interp(wave, *np.array(curves.BOSS_WHITE).T)
    taps, arms = np.array(curves.BOSS_TAPS), np.stack([1 - red, red])
    gain, floor, resample = *_gain_floor(wave, curves.BOSS), _resample(wave, sigma)
    return Detector("coadd", wave, sigma, gain, floor, white, taps, arms, 1.0, resample)


def _sdss() -> Detector:
    """The coadd of both arms of SDSS's spectrographs: BOSS scaled."""
    boss = _boss("sdss", 3.5798, 3.9638)
    gain, floor = boss.gain * SDSS_GAIN, boss.floor * (SDSS_GAIN * SDSS_SKY)
    return dataclasses.replace(boss, gain=gain, floor=floor, sky=SDSS_SKY)


def _lamost() -> Detector:
    """The coadd of both arms of LAMOST's spectrographs: BOSS scaled, with the same pixels."""
    boss = _boss("lamost", 3.5682, 3.9590)
    sigma = boss.wave / LAMOST_RESOLUTION / np.sqrt(8 * np.log(2))
    gain, floor = boss.gain * LAMOST_GAIN, boss.floor * (LAMOST_GAIN * LAMOST_SKY)
    resample = _resample(boss.wave, sigma)
    return dataclasses.replace(
        boss, sigma=sigma, gain=gain, floor=floor, sky=LAMOST_SKY, resample=resample
    )


def _computed(fed: throughput.Spectrograph) -> Detector:
    """The joint spectrum of the arms of a spectrograph whose noise is computed."""
    wave, (gain, floor, sigma, arms) = fed.wave, throughput.noise(fed)
    white, taps = np.ones(len(wave)), np.ones(1)
    resample = _resample(wave, sigma)
    return Detector("coadd", wave, sigma, gain, floor, white, taps, arms, fed.sky, resample)


def _desi(name: str, start: float, npix: int, knots: curves.Knots) -> Detector:
    """One camera of DESI."""
    wave = np.round(start + 0.8 * np.arange(npix), 1)
    sigma, white = np.full(npix, DESI_LSF[name]), np.full(npix, DESI_WHITE)
    taps, arms = np.ones(1), np.ones((1, npix))
    gain, floor, resample = *_gain_floor(wave, knots), _resample(wave, sigma)
    return Detector(name, wave, sigma, gain, floor, white, taps, arms, 1.0, resample)


def _gain_floor(wave: FloatArray, knots: curves.Knots) -> tuple[FloatArray, FloatArray]:
    """Gain and floor at wavelengths, interpolated in their logarithms."""
    nodes, *values = np.array(knots).T
    gain, floor = (np.exp(np.interp(wave, nodes, np.log(value))) for value in values)
    return gain, floor


def _resample(wave: FloatArray, sigma: FloatArray) -> Any:
    """Matrix from `FRAME` to native pixels: a Gaussian of at least 0.4 frame pixels, sampled."""
    pixel = FRAME.pixel(wave)
    width = np.maximum(sigma / (wave * np.log(10) * LOGLAM_STEP), 0.4)
    reach = np.arange(-6, 7)
    columns = np.clip(np.rint(pixel)[:, None].astype(int) + reach, 0, NPIX - 1)
    weight = np.exp(-0.5 * ((columns - pixel[:, None]) / width[:, None]) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(wave)), len(reach))
    return sparse.csr_matrix(
        (weight.astype(np.float32).ravel(), (rows, columns.ravel())), shape=(len(wave), NPIX)
    )
