"""Catalogues in the formats of other programs."""
