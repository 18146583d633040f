"""Galaxies and stars."""
