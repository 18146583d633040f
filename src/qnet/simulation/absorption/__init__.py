"""Absorption along the line of sight and by outflows."""
