"""Spectra to the input of the networks: rebinned, normalised, shifted to the rest frame."""

from qnet.preprocess.normalisation import Preprocessed, normalise, preprocess
from qnet.preprocess.rebinning import rebin, rebin_cameras
from qnet.preprocess.restframe import Window, fine_spectra, rest_frame, whole_pixels

__all__ = [
    "Preprocessed",
    "Window",
    "fine_spectra",
    "normalise",
    "preprocess",
    "rebin",
    "rebin_cameras",
    "rest_frame",
    "whole_pixels",
]
