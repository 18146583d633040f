"""Measured sensitivity and noise of the instruments by wavelength.

Each entry is (wavelength [Angstrom], gain, floor). The variance of a pixel [1e-34 (erg/s/cm2/A)^2]
is gain * (object + sky lines) + floor: `gain` is the photon noise of a flux density of 1e-17
erg/s/cm2/A; `floor` is the variance between the sky lines, by sky continuum and detector.

BOSS
    One pixel of 1e-4 dex of four exposures of 15 minutes (coadded). Regression of 1 / ivar on
    sky + object in windows of wavelength over 40 spectra of SDSS DR12 (plate 7102), with
    non-negative least squares.
DESI
    One pixel of 0.8 Angstrom of one exposure of about 1000 s. `gain` has the shape of a regression
    of 1 / ivar on the flux, pixel by pixel, over 24 spectra of one deep coadd (tile 80605,
    Everest), times 4.5, 5.5 and 5.2 in B, R and Z: the ratio to one exposure of 1009 s (SV3,
    healpix 26065), from which `floor` is the lower quartile of 1 / ivar. Where the cameras end,
    that one fibre and the 24 differ by up to 50: there the numbers lie between the two.
"""

from __future__ import annotations

Knots = tuple[tuple[float, float, float], ...]

BOSS: Knots = (
    (3600, 0.714, 3.7), (3700, 0.337, 1.59), (3800, 0.225, 0.833), (3900, 0.111, 0.385),
    (4000, 0.0769, 0.298), (4200, 0.0553, 0.193), (4400, 0.04, 0.143), (4700, 0.0318, 0.107),
    (5000, 0.0253, 0.0817), (5400, 0.0216, 0.0659), (5800, 0.0214, 0.0946), (6000, 0.0235, 0.106),
    (6200, 0.0219, 0.0729), (6400, 0.0164, 0.0494), (6700, 0.0141, 0.0335), (7000, 0.0123, 0.0309),
    (7400, 0.0109, 0.0274), (7800, 0.0108, 0.0309), (8200, 0.0115, 0.0279), (8600, 0.0095, 0.0219),
    (9000, 0.0097, 0.0231), (9300, 0.0135, 0.0309), (9500, 0.0153, 0.0349), (9700, 0.0165, 0.0438),
    (9900, 0.0232, 0.0624), (10100, 0.0396, 0.187), (10200, 0.056, 0.411), (10300, 0.139, 0.838),
    (10400, 0.357, 2.11),
)  # fmt: skip

DESI_B: Knots = (
    (3600, 0.22, 10.4), (3625, 0.21, 8.5), (3650, 0.19, 6.2), (3700, 0.12, 3.0),
    (3800, 0.074, 1.29), (3900, 0.052, 0.76), (4000, 0.039, 0.556), (4200, 0.031, 0.34),
    (4400, 0.028, 0.27), (4600, 0.024, 0.2), (4800, 0.021, 0.134), (5000, 0.0194, 0.111),
    (5200, 0.0185, 0.1035), (5400, 0.018, 0.102), (5600, 0.018, 0.104), (5700, 0.018, 0.129),
    (5750, 0.0194, 0.2), (5770, 0.02, 0.25), (5785, 0.02, 0.29), (5798, 0.02, 0.36),
)  # fmt: skip

DESI_R: Knots = (
    (5762, 0.12, 0.8), (5770, 0.11, 0.6), (5780, 0.09, 0.4), (5800, 0.05, 0.2), (5830, 0.025, 0.1),
    (5880, 0.0143, 0.089), (6000, 0.012, 0.078), (6200, 0.011, 0.064), (6500, 0.01, 0.051),
    (6800, 0.0094, 0.0403), (7100, 0.0088, 0.0366), (7300, 0.0088, 0.042), (7450, 0.0094, 0.0416),
    (7500, 0.0105, 0.055), (7530, 0.015, 0.09), (7560, 0.0165, 0.13), (7590, 0.018, 0.35),
    (7606, 0.1, 4.0), (7618, 0.09, 2.5),
)  # fmt: skip

DESI_Z: Knots = (
    (7522, 0.0143, 0.079), (7532, 0.0148, 0.078), (7545, 0.0153, 0.068), (7570, 0.0155, 0.06),
    (7600, 0.03, 0.07), (7630, 0.0125, 0.036), (7700, 0.0075, 0.03), (7900, 0.0069, 0.0277),
    (8200, 0.0064, 0.0253), (8600, 0.0058, 0.0212), (9000, 0.0058, 0.0239), (9250, 0.0058, 0.0232),
    (9350, 0.009, 0.0415), (9500, 0.0095, 0.0427), (9700, 0.0095, 0.053), (9790, 0.011, 0.057),
    (9810, 0.01, 0.0735), (9822, 0.0095, 0.075),
)  # fmt: skip

#: Wavelength [Angstrom] and standard deviation of BOSS's line spread function in pixels of 1e-4
#: dex: the median of column `wdisp` over the same 40 spectra.
BOSS_LSF = (
    (3600, 1.37), (3900, 1.23), (4400, 1.07), (5400, 0.94), (6200, 0.97), (7000, 0.9), (8200, 0.81),
    (9300, 0.78), (9900, 0.82), (10300, 0.89),
)  # fmt: skip

#: Wavelength [Angstrom] and how far BOSS's noise departs from its ivar: robust scatter of (flux -
#: running median over 41 pixels) * sqrt(ivar) in 22 spectra of median S/N under 3 per pixel.
BOSS_WHITE = (
    (3600, 1.09), (4000, 1.06), (4500, 1.01), (5000, 1.0), (5600, 0.93), (7000, 0.92), (8000, 0.87),
    (9000, 0.86), (10000, 0.8),
)  # fmt: skip

#: How a pixel's noise spreads over its neighbours in BOSS's coadds, with a sum of squares of 1:
#: the symmetric filter that gives their correlation at lags of 1 to 5 pixels (0.197, -0.11, 0.067,
#: -0.015, 0.016; the same 22 spectra). Averaged over many pixels the noise is 1.15 times higher.
BOSS_TAPS = (
    0.0143, -0.0176, 0.0456, -0.07, 0.1131, 0.9795, 0.1131, -0.07, 0.0456, -0.0176, 0.0143,
)  # fmt: skip
