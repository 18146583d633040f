"""Colours that all figures share."""

from __future__ import annotations

#: Colours that stay apart for colour-blind readers (Okabe & Ito 2008, "Color Universal Design").
BLACK = "#000000"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"

#: For what only gives orientation, and for spectra.
GREY = "#444444"

#: Colours of things of one kind, in the order in which they are used: dark enough on white.
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK)

#: Map of counts and shares from light to dark, of one hue.
SEQUENTIAL = "Blues"
