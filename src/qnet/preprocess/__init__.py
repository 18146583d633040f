"""Input of both networks: spectra rebinned, normalised, and shifted to the rest frame."""

from qnet.preprocess.normalisation import Preprocessed, normalise, preprocess
from qnet.preprocess.rebinning import rebin, rebin_cameras
from qnet.preprocess.restframe import Window, rest_frame

__all__ = [
    "Preprocessed",
    "Window",
    "normalise",
    "preprocess",
    "rebin",
    "rebin_cameras",
    "rest_frame",
]
