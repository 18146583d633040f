"""Foundations of the other packages: spectra, grids, flags, errors, files, threads."""
