"""The instruments: native pixels, resolution, sensitivity and noise of SDSS, BOSS and DESI."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

import numpy as np
from scipy import sparse

from qnet.core.arrays import FloatArray
from qnet.core.errors import InputError
from qnet.lines import SPEED_OF_LIGHT
from qnet.simulation.frame import LOGLAM_START, LOGLAM_STEP, NPIX
from qnet.simulation.instrument import curves, night

Survey = Literal["sdss", "boss", "desi"]

#: Against BOSS, SDSS adds this much more variance for a flux: 45 minutes in place of 60, and about
#: 2.25 times less throughput; its fibres of 3 arcsec see 2.25 times more sky than those of 2 (York
#: et al. 2000, AJ 120, 1579; Smee et al. 2013, AJ 146, 32).
SDSS_GAIN, SDSS_SKY = 3.0, 2.25

#: Standard deviation of DESI's line spread function [Angstrom] by camera: second moment of the
#: resolution matrix of a fibre (SV3, healpix 26065).
DESI_LSF = {"B": 0.68, "R": 0.64, "Z": 0.73}

#: DESI's noise beside its ivar in spectra of one or two exposures, measured as `curves.BOSS_WHITE`.
DESI_WHITE = 0.97

#: Where the light of BOSS and SDSS passes from the blue to the red arm [Angstrom], and half the
#: width of the change in logarithm (Smee et al. 2013: dichroics at 6040 and 5900).
DICHROIC = {"boss": 6150.0, "sdss": 6000.0}
DICHROIC_WIDTH = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class Detector:
    """One camera (or coadd of cameras) on its native pixels.

    Attributes
    ----------
    name : str
        The survey's name for it.
    wave : ndarray of float64, shape (npix,)
        Vacuum wavelengths of the pixels' centres [Angstrom].
    sigma : ndarray of float64, shape (npix,)
        Standard deviation of the line spread function [Angstrom].
    gain, floor : ndarray of float64, shape (npix,)
        Variance per flux density, and without object and sky lines: see `curves`.
    white : ndarray of float64, shape (npix,)
        Standard deviation of the noise over that of the reported ivar.
    taps : ndarray of float64, shape (odd,)
        Filter that correlates the noise of neighbouring pixels; sum of squares 1.
    arms : ndarray of float64, shape (narms, npix)
        Share of each arm of the spectrograph in each pixel; sums to 1.
    sky : float
        Brightness of the sky in this fibre, relative to `qnet.simulation.instrument.night`.
    resample : sparse matrix, shape (npix, NPIX)
        From the frame of objects to these pixels, through the line spread function.
    """

    name: str
    wave: FloatArray
    sigma: FloatArray
    gain: FloatArray
    floor: FloatArray
    white: FloatArray
    taps: FloatArray
    arms: FloatArray
    sky: float
    resample: Any

    @property
    def npix(self) -> int:
        """Number of pixels."""
        return len(self.wave)


@dataclasses.dataclass(frozen=True, eq=False)
class Instrument:
    """A survey's spectrograph.

    Attributes
    ----------
    survey : str
        'sdss', 'boss' or 'desi'.
    detectors : tuple of Detector
    residual : float
        Size of sky-subtraction errors, relative to BOSS.
    depths, chances : tuple of float
        Exposures that are coadded, relative to that of the noise curves, and how often.
    """

    survey: Survey
    detectors: tuple[Detector, ...]
    residual: float
    depths: tuple[float, ...]
    chances: tuple[float, ...]


def make_instrument(survey: str) -> Instrument:
    """The instrument of a survey.

    Parameters
    ----------
    survey : {'sdss', 'boss', 'desi'}
        SDSS: 3800-9200 Angstrom, BOSS: 3600-10400, in steps of 1e-4 in log10 of the wavelength;
        DESI: cameras B 3600-5800, R 5760-7620, Z 7520-9824 in steps of 0.8 Angstrom.

    Returns
    -------
    Instrument

    Raises
    ------
    InputError
        The survey is none of the three.
    """
    if survey not in get_args(Survey):
        raise InputError(f"survey must be one of {', '.join(get_args(Survey))}, not {survey!r}")
    if survey == "desi":
        detectors = tuple(
            _desi(name, start, npix, knots)
            for name, start, npix, knots in (
                ("B", 3600.0, 2751, curves.DESI_B),
                ("R", 5760.0, 2326, curves.DESI_R),
                ("Z", 7520.0, 2881, curves.DESI_Z),
            )
        )
        # Dark time: most targets have one exposure, those kept as Lyman-alpha quasars up to four.
        return Instrument("desi", detectors, 0.7, (1.0, 2.0, 3.0, 4.0), (0.6, 0.2, 0.1, 0.1))
    sdss = survey == "sdss"
    first, last = (3.5798, 3.9638) if sdss else (3.5525, 4.0170)
    detector = _boss(first, last, sdss)
    return Instrument(
        "sdss" if sdss else "boss", (detector,), 1.0, (0.7, 1.0, 1.4), (0.3, 0.4, 0.3)
    )


def sky_lines(
    detector: Detector, velocity: float = 0.0
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The sky lines on a detector, by family, with how they change if displaced or broadened.

    Parameters
    ----------
    detector : Detector
    velocity : float
        Of the frame against the observatory [km/s]: surveys move spectra to the barycentre.

    Returns
    -------
    lines, displaced, broadened : ndarray of float64, shape (nfamilies, npix)
        Flux density [1e-17 erg/s/cm2/A]; its change for a displacement by one standard deviation of
        the line spread function; and for a standard deviation larger by one part (first order).
    """
    lines = np.array(night.LINES)
    centre = lines[:, 0] * (1 + velocity / SPEED_OF_LIGHT)
    family = night.family(lines[:, 0])
    shape = (night.NFAMILIES, detector.npix)
    result = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for number, (place, flux) in enumerate(zip(centre, lines[:, 1], strict=True)):
        low, high = np.searchsorted(detector.wave, (place - 12, place + 12))
        if low == high:
            continue
        sigma = detector.sigma[low:high]
        x = (detector.wave[low:high] - place) / sigma
        profile = detector.sky * flux * np.exp(-0.5 * x**2) / (sigma * np.sqrt(2 * np.pi))
        for total, part in zip(result, (profile, x * profile, (x**2 - 1) * profile), strict=True):
            total[family[number], low:high] += part
    return result


def sky_continuum(detector: Detector) -> FloatArray:
    """Flux density of the sky between lines [1e-17 erg/s/cm2/A], shape (npix,)."""
    wave, flux = np.array(night.CONTINUUM).T
    return np.asarray(detector.sky * np.interp(detector.wave, wave, flux))


def _boss(first: float, last: float, sdss: bool) -> Detector:
    """The coadd of both arms of BOSS's, or SDSS's, spectrographs."""
    # As the survey stores it: spec files are read back with the same wavelengths.
    loglam = np.round(np.arange(first, last + 5e-5, 1e-4), 4).astype(np.float32)
    wave = 10 ** loglam.astype(np.float64)
    gain, floor = _curve(wave, curves.BOSS)
    red = 1 / (1 + np.exp(-np.log(wave / DICHROIC["sdss" if sdss else "boss"]) / DICHROIC_WIDTH))
    sigma = np.interp(wave, *np.array(curves.BOSS_LSF).T) * np.log(10) * 1e-4 * wave
    return Detector(
        name="coadd",
        wave=wave,
        sigma=sigma,
        gain=gain * (SDSS_GAIN if sdss else 1),
        floor=floor * (SDSS_GAIN * SDSS_SKY if sdss else 1),
        white=np.interp(wave, *np.array(curves.BOSS_WHITE).T),
        taps=np.array(curves.BOSS_TAPS),
        arms=np.stack([1 - red, red]),
        sky=SDSS_SKY if sdss else 1.0,
        resample=_resample(wave, sigma),
    )


def _desi(name: str, start: float, npix: int, knots: curves.Knots) -> Detector:
    """One camera of DESI."""
    wave = np.round(start + 0.8 * np.arange(npix), 1)
    gain, floor = _curve(wave, knots)
    sigma = np.full(npix, DESI_LSF[name])
    return Detector(
        name=name,
        wave=wave,
        sigma=sigma,
        gain=gain,
        floor=floor,
        white=np.full(npix, DESI_WHITE),
        taps=np.ones(1),
        arms=np.ones((1, npix)),
        sky=1.0,
        resample=_resample(wave, sigma),
    )


def _curve(wave: FloatArray, knots: curves.Knots) -> tuple[FloatArray, FloatArray]:
    """Gain and floor at wavelengths, interpolated in their logarithms."""
    place, gain, floor = np.array(knots).T
    return np.exp(np.interp(wave, place, np.log(gain))), np.exp(
        np.interp(wave, place, np.log(floor))
    )


def _resample(wave: FloatArray, sigma: FloatArray) -> Any:
    """Matrix from the frame to native pixels: a Gaussian, never narrower than the frame resolves.

    The frame has pixels of 69 km/s. A Gaussian under 0.4 of them is no longer sampled, so there its
    width is 0.4 pixels: the spectra of DESI's Z camera are smoother than DESI's by that much.
    """
    pixel = (np.log10(wave) - LOGLAM_START) / LOGLAM_STEP
    width = np.maximum(sigma / (wave * np.log(10) * LOGLAM_STEP), 0.4)
    reach = np.arange(-6, 7)
    columns = np.clip(np.rint(pixel)[:, None].astype(int) + reach, 0, NPIX - 1)
    weight = np.exp(-0.5 * ((columns - pixel[:, None]) / width[:, None]) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(wave)), len(reach))
    return sparse.csr_matrix(
        (weight.astype(np.float32).ravel(), (rows, columns.ravel())), shape=(len(wave), NPIX)
    )
