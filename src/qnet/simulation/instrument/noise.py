"""Observation of spectra by an instrument: noise, sky residuals, calibration errors, masks."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.random import Generator
from scipy.interpolate import BSpline
from scipy.ndimage import correlate1d

from qnet.core.arguments import check_fields
from qnet.core.arrays import BoolArray, Float32Array, FloatArray
from qnet.core.checks import check_finite
from qnet.core.errors import InputError, shown
from qnet.core.spectra import Camera
from qnet.simulation.frame import LOGLAM_STEP
from qnet.simulation.instrument.instrument import Detector, Instrument, sky_continuum, sky_lines
from qnet.simulation.instrument.night import NFAMILIES

#: Largest legal value of each error: beyond, flux leaves the range of float32.
LARGEST_ERRORS = {
    **dict.fromkeys(("depth", "sky_level", "sky_continuum", "sky_line", "line_shift"), 10.0),
    **dict.fromkeys(("line_width", "arm", "tilt", "wiggle", "telluric", "ivar", "edge"), 10.0),
    **dict.fromkeys(("bad_sky", "crosstalk", "bump"), 1000.0),
    "velocity": 3e4,
    "hits": 1000.0,
}


@dataclasses.dataclass(frozen=True)
class Errors:
    """Sizes of the errors that are not photon noise; standard deviations unless stated otherwise.

    Those marked * were measured: on 40 spectra of BOSS (flux - the pipeline's fit, in bins of 10 to
    100 pixels, 23 faint and 12 bright spectra), which leave about 1 % of the sky's continuum in the
    red and 2 % below 4500 Angstrom, 3 % of the object, part of which is misfit, and under 1 % of
    the sky lines; and on 6 spectra without signal of a DESI coadd (tile 80605, Everest), where
    bins of 300 Angstrom depart from zero by 0.2 to 0.9 % of the sky's continuum above 6000 Angstrom
    and by 2 to 10 % below 5000. The others are adopted: large enough to cover those of real
    spectra.

    Attributes
    ----------
    depth : float
        Natural logarithm of a spectrum's gain: weather, fibre, position on the plate (* 0.16 to
        0.25 within a plate).
    sky_level : float
        Natural logarithm of the sky's brightness, for the continuum and for each family of lines.
    sky_continuum : float
        Sky continuum left, relative to the sky (*).
    sky_line : float
        Sky lines left, relative to the line (*).
    line_shift, line_width : float
        Displacement and broadening of the subtracted lines, in units of the line spread function.
    velocity : float
        Largest velocity [km/s] of the frame against the observatory: that of the Earth.
    arm : float
        Flux of an arm or camera against the others.
    tilt : float
        Exponent of a power law in wavelength: flux calibration, atmospheric dispersion.
    wiggle : float
        Calibration errors of 60 and of 600 pixels of 69 km/s (*).
    telluric : float
        Optical depth of telluric bands left, relative to one.
    ivar : float
        Natural logarithm of the reported sigma against the true one.
    edge : float
        Errors at the ends of an arm, in units of the noise there.
    bad_sky : tuple of (float, float)
        Fraction of spectra with larger sky residuals, and the factor.
    crosstalk : tuple of (float, float)
        Fraction of spectra with light of another object, and the largest fraction of its light.
    bump : tuple of (float, float)
        Fraction of spectra with scattered light in a band 50 to 500 Angstrom wide, and its size
        relative to the sky.
    hits : float
        Mean number of unmasked cosmic rays per 1000 pixels.

    Raises
    ------
    InputError
        A value is negative, not finite or far too large.

    Examples
    --------
    Spectra without cosmic rays, and with sky residuals twice as large:

    >>> import qnet
    >>> from qnet.simulation import Errors
    >>> errors = Errors(hits=0.0, sky_continuum=0.02, sky_line=0.014)
    >>> qnet.simulate(5, seed=1, errors=errors).collect().spectra
    <Spectra: 5 spectra, simulated spectra; coadd (4646 pixels)>
    """

    depth: float = 0.2
    sky_level: float = 0.2
    sky_continuum: float = 0.01
    sky_line: float = 0.007
    line_shift: float = 0.01
    line_width: float = 0.007
    velocity: float = 30.0
    arm: float = 0.02
    tilt: float = 0.08
    wiggle: float = 0.012
    telluric: float = 0.03
    ivar: float = 0.06
    edge: float = 0.5
    bad_sky: tuple[float, float] = (0.05, 3.0)
    crosstalk: tuple[float, float] = (0.03, 0.01)
    bump: tuple[float, float] = (0.04, 0.05)
    hits: float = 0.1

    def __post_init__(self) -> None:
        check_fields(self)
        for name, most in LARGEST_ERRORS.items():
            values = getattr(self, name)
            for value in values if isinstance(values, (list, tuple)) else [values]:
                check_finite(f"errors.{name}", value, least=0, most=most)
        for name in ("bad_sky", "crosstalk", "bump"):
            pair = getattr(self, name)
            if not isinstance(pair, (list, tuple)) or len(pair) != 2 or pair[0] > 1:
                raise InputError(
                    f"errors.{name} must be a fraction of spectra and a size, not {shown(pair)}"
                )


#: Telluric bands: centre, half width [Angstrom] and optical depth of what is left of them at most:
#: O2 B, H2O, O2 A, H2O, H2O (Smette et al. 2015, A&A 576, A77, figure 1).
TELLURIC = (
    (6885.0, 25.0, 0.5), (7245.0, 60.0, 0.3), (7630.0, 35.0, 1.0), (8200.0, 100.0, 0.3),
    (9400.0, 150.0, 1.0),
)  # fmt: skip

#: Runs of masked pixels: mean number per 1000 pixels and mean length; and fraction of spectra with
#: a gap, its shortest and longest length; fraction of arms that are missing. DESI (a spectrum of
#: one exposure) has 6 runs of about 3 pixels in R and Z each, BOSS (40 coadds) 1 masked pixel in
#: 1000. Of the others nothing is known: LAMOST is as SDSS, those of small pixels have more of them.
MASK_RUNS = {
    "sdss": (0.6, 3.0),
    "boss": (0.3, 3.0),
    "desi": (2.0, 3.0),
    "lamost": (0.6, 3.0),
    **dict.fromkeys(("pfs", "weave", "4most"), (0.5, 4.0)),
}
MASK_GAP = (0.03, 30, 400)
MASK_ARM = 0.006


def observe(
    flux: Float32Array, instrument: Instrument, rng: Generator, errors: Errors
) -> tuple[list[Camera], list[Float32Array]]:
    """Spectra on `FRAME` [1e-17 erg/s/cm2/A] as observed, and without noise on the same pixels."""
    night = _Night(len(flux), instrument, rng, errors)
    cameras, signals = [], []
    for detector in instrument.detectors:
        signal = np.ascontiguousarray((detector.resample @ flux.T).T)
        observed, ivar = _expose(signal, detector, night)
        cameras.append(Camera(detector.name, detector.wave, observed, ivar))
        signals.append(signal)
    return cameras, signals


class _Night:
    """Conditions that the cameras of a spectrum have in common, shape (nspec, ...)."""

    def __init__(self, nspec: int, instrument: Instrument, rng: Generator, errors: Errors) -> None:
        self.nspec, self.survey, self.rng, self.errors = nspec, instrument.survey, rng, errors
        depths = rng.choice(instrument.depths, size=nspec, p=instrument.chances)
        self.variance = np.exp(errors.depth * rng.standard_normal(nspec)) / depths
        self.exposures = depths
        self.sky = np.exp(errors.sky_level * rng.standard_normal(nspec))
        self.families = np.exp(errors.sky_level * rng.standard_normal((nspec, NFAMILIES)))
        self.velocity = rng.uniform(-errors.velocity, errors.velocity)
        size = instrument.residual * np.exp(0.5 * rng.standard_normal(nspec))
        fraction, factor = errors.bad_sky
        self.residual = size * np.where(rng.random(nspec) < fraction, factor, 1.0)
        self.calibration = np.exp(0.5 * rng.standard_normal(nspec))
        self.line_errors = rng.standard_normal((3, nspec, NFAMILIES))
        self.tilt = errors.tilt * rng.standard_normal(nspec)
        self.telluric = errors.telluric * rng.standard_normal(nspec)
        # Calibration errors go on from camera to camera: one curve over all wavelengths.
        self.wiggles = _Wiggles(rng, nspec, 60), _Wiggles(rng, nspec, 600)
        self.reported = _Wiggles(rng, nspec, 1000)
        self.report = errors.ivar * rng.standard_normal(nspec)


class _Wiggles:
    """Random smooth curves of unit standard deviation over log wavelength, one per spectrum."""

    #: log10 of the wavelengths that the curves cover.
    RANGE = 3.54, 4.03

    def __init__(self, rng: Generator, nspec: int, pixels: float) -> None:
        self.step = pixels * LOGLAM_STEP
        count = int(np.ceil((self.RANGE[1] - self.RANGE[0]) / self.step)) + 4
        self.coefficients = rng.standard_normal((nspec, count)).astype(np.float32)

    def __call__(self, wave: FloatArray) -> Float32Array:
        """The curves at wavelengths, shape (nspec, npix)."""
        count = self.coefficients.shape[1]
        knots = self.RANGE[0] + self.step * (np.arange(count + 4) - 3)
        basis = BSpline.design_matrix(np.log10(wave), knots, 3).toarray()
        # The cubic B-splines at a wavelength add up to 1, their squares to less.
        basis /= np.sqrt((basis**2).sum(axis=1, keepdims=True))
        return np.asarray(self.coefficients @ basis.astype(np.float32).T)


def _expose(
    signal: Float32Array, detector: Detector, night: _Night
) -> tuple[Float32Array, Float32Array]:
    """Flux and ivar that one camera gives for the signal, shape (nspec, npix)."""
    errors = night.errors
    lines = [part.astype(np.float32) for part in sky_lines(detector, night.velocity)]
    sky = sky_continuum(detector).astype(np.float32)
    light = np.maximum(signal, 0) + night.families.astype(np.float32) @ lines[0]
    variance = light * detector.gain.astype(np.float32)
    variance += night.sky[:, None].astype(np.float32) * detector.floor.astype(np.float32)
    variance *= night.variance[:, None].astype(np.float32)
    if night.survey == "desi" and detector.name == "B":
        variance *= _dip(detector, night)
    sigma = np.sqrt(variance)

    flux = signal * _calibration(detector, night)
    flux += _noise(detector, night) * sigma * detector.white.astype(np.float32)
    flux += _sky_residual(detector, sky, night)
    size = (errors.sky_line, errors.line_shift, errors.line_width)
    for part, scale, draw in zip(lines, size, night.line_errors, strict=True):
        amplitude = scale * draw * night.families * night.residual[:, None]
        flux += amplitude.astype(np.float32) @ part
    flux += _edges(detector, night) * sigma
    _add_strays(flux, signal, sky, detector, night)
    _add_hits(flux, sigma, night)

    report = 1 + night.report[:, None] + 0.5 * errors.ivar * night.reported(detector.wave)
    ivar = 1 / (variance * np.maximum(report, 0.5).astype(np.float32) ** 2)
    ivar[_mask(detector, night)] = 0
    return flux, ivar


def _dip(detector: Detector, night: _Night) -> Float32Array:
    """Factor on the variance of DESI's B camera: a dip in throughput near 4400 Angstrom."""
    # In the measured spectra in one of two spectrographs, at 4365 to 4425 A, factors of 1.6 to 3.
    rng, nspec = night.rng, night.nspec
    height = np.where(rng.random(nspec) < 0.5, rng.uniform(0.5, 2.0, nspec), 0.0)
    centre, width = rng.uniform(4350, 4420, nspec), rng.uniform(8, 30, nspec)
    x = (detector.wave - centre[:, None]) / width[:, None]
    return (1 + height[:, None] * np.exp(-0.5 * x**2)).astype(np.float32)


def _noise(detector: Detector, night: _Night) -> Float32Array:
    """Gaussian noise of unit variance, neighbouring pixels correlated by the filter."""
    white = night.rng.standard_normal((night.nspec, detector.npix), dtype=np.float32)
    if len(detector.taps) == 1:
        return white
    return np.asarray(correlate1d(white, detector.taps, axis=1, mode="wrap"))


def _calibration(detector: Detector, night: _Night) -> Float32Array:
    """Factor by which the flux is wrong, shape (nspec, npix)."""
    wave, errors = detector.wave, night.errors
    # Four times larger at the blue end, where standard stars are faint and the air disperses.
    blue = (1 + 3 * np.exp(-(wave - 3600) / 250)).astype(np.float32)
    wiggles = sum(wiggle(wave) for wiggle in night.wiggles) * blue * np.float32(errors.wiggle)
    logarithm = wiggles * night.calibration[:, None].astype(np.float32)
    logarithm += night.tilt[:, None].astype(np.float32) * np.log(wave / 5400).astype(np.float32)
    step = errors.arm * night.rng.standard_normal((night.nspec, len(detector.arms)))
    logarithm += step.astype(np.float32) @ detector.arms.astype(np.float32)
    depth = np.zeros(len(wave))
    for centre, width, tau in TELLURIC:
        depth += tau * np.exp(-0.5 * ((wave - centre) / (width / 1.5)) ** 2)
    logarithm += night.telluric[:, None].astype(np.float32) * depth.astype(np.float32)
    return np.asarray(np.exp(logarithm))


def _sky_residual(detector: Detector, sky: Float32Array, night: _Night) -> Float32Array:
    """Sky continuum that is left, on scales of 60 and 600 pixels and of the arm."""
    rng, nspec, arms = night.rng, night.nspec, detector.arms.astype(np.float32)
    size = (night.errors.sky_continuum * night.residual * night.sky)[:, None].astype(np.float32)
    # The blue sky is the worst known, above all on large scales: see `Errors.sky_continuum`.
    blue = np.exp(-(detector.wave - 3600) / 900).astype(np.float32)
    smooth = 0.7 * _Wiggles(rng, nspec, 600)(detector.wave)
    smooth += 0.5 * rng.standard_normal((nspec, len(arms)), dtype=np.float32) @ arms
    curve = smooth * (1 + 6 * blue) + 0.7 * _Wiggles(rng, nspec, 60)(detector.wave) * (1 + 2 * blue)
    return np.asarray(curve * size * sky)


def _edges(detector: Detector, night: _Night) -> Float32Array:
    """Errors at the ends of a camera, in units of its noise, falling over 40 Angstrom."""
    ends = np.exp(-np.abs(detector.wave - detector.wave[[0, -1]][:, None]) / 40)
    draw = night.errors.edge * night.rng.standard_normal((night.nspec, 2))
    return draw.astype(np.float32) @ ends.astype(np.float32)


def _add_strays(
    flux: Float32Array, signal: Float32Array, sky: Float32Array, detector: Detector, night: _Night
) -> None:
    """Add light of neighbouring fibres and scattered light to some spectra, in place."""
    rng, nspec = night.rng, night.nspec
    fraction, most = night.errors.crosstalk
    rows = np.flatnonzero(rng.random(nspec) < fraction)
    neighbours = rng.integers(nspec, size=len(rows))
    flux[rows] += signal[neighbours] * rng.uniform(0, most, (len(rows), 1)).astype(np.float32)
    fraction, size = night.errors.bump
    rows = np.flatnonzero(rng.random(nspec) < fraction)
    centre = rng.uniform(detector.wave[0], detector.wave[-1], (len(rows), 1))
    width = np.exp(rng.uniform(np.log(50), np.log(500), (len(rows), 1)))
    height = size * rng.standard_normal((len(rows), 1)) * sky.mean()
    light = height * np.exp(-0.5 * ((detector.wave - centre) / width) ** 2)
    flux[rows] += light.astype(np.float32)


def _add_hits(flux: Float32Array, sigma: Float32Array, night: _Night) -> None:
    """Add cosmic rays that the pipeline did not find, 1 to 3 pixels wide, in place."""
    rng, (nspec, npix) = night.rng, flux.shape
    count = rng.poisson(night.errors.hits * npix / 1000 * nspec)
    row, pixel = rng.integers(nspec, size=count), rng.integers(npix, size=count)
    # One in five is negative: found in the wrong exposure, or in the sky.
    height = np.exp(rng.normal(np.log(8), 0.6, count)) * np.where(rng.random(count) < 0.2, -1, 1)
    width = rng.integers(1, 4, size=count)
    for shift, factor in enumerate((1.0, 0.7, 0.4)):
        column = np.minimum(pixel + shift, npix - 1)
        amount = np.where(width > shift, factor * height, 0) * sigma[row, column]
        np.add.at(flux, (row, column), amount.astype(np.float32))


def _mask(detector: Detector, night: _Night) -> BoolArray:
    """Pixels without weight: runs, gaps, missing arms; shape (nspec, npix)."""
    rng, nspec, npix = night.rng, night.nspec, detector.npix
    rate, length = MASK_RUNS[night.survey]
    # What is masked in one exposure is seen in the others.
    alone = np.where(night.exposures <= 1, 1.0, 0.1) if night.survey == "desi" else 1.0
    tail = np.where(rng.random(nspec) < 0.05, 8.0, 1.0)
    counts = rng.poisson(rate * npix / 1000 * alone * tail)
    rows = np.repeat(np.arange(nspec), counts)
    starts = rng.integers(npix, size=len(rows))
    lengths = rng.geometric(1 / length, size=len(rows))
    fraction, shortest, longest = MASK_GAP
    gaps = np.flatnonzero(rng.random(nspec) < fraction)
    rows = np.concatenate([rows, gaps])
    starts = np.concatenate([starts, rng.integers(npix, size=len(gaps))])
    lengths = np.concatenate([lengths, rng.integers(shortest, longest, size=len(gaps))])
    # +1 where a run begins, -1 where it ends: inside, the running sum is positive.
    change = np.zeros((nspec, npix + 1), np.int16)
    np.add.at(change, (rows, starts), 1)
    np.add.at(change, (rows, np.minimum(starts + lengths, npix)), -1)
    mask = np.cumsum(change[:, :npix], axis=1, dtype=np.int16) > 0
    for arm in detector.arms:
        missing = rng.random(nspec) < MASK_ARM
        mask[missing] |= arm > 0.5
    return mask
