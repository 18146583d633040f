"""What everything else stands on: spectra, grids, flags, errors, files, threads."""
