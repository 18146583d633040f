"""Telescopes, spectrographs and nights: noise and errors."""
