"""Seeded mock surveys: quasars, galaxies, stars and sky, put through an instrument."""
