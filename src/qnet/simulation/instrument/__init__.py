"""Instruments and the night sky: resolution, noise and errors."""
