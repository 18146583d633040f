"""Figures. Functions take and return axes. Matplotlib is imported when one is drawn."""

from qnet.plotting.spectrum import plot_spectrum

__all__ = ["plot_spectrum"]
