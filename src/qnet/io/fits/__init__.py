"""The FITS layer: arrays from files, and files from arrays."""
