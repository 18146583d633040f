"""Figures. Functions take and return axes. Matplotlib is imported when one is drawn."""

from qnet.plotting.evaluation import plot_calibration, plot_confusion, plot_purity_completeness
from qnet.plotting.figure import new_axes, save_figure
from qnet.plotting.redshifts import plot_dv, plot_z
from qnet.plotting.spectrum import plot_spectrum
from qnet.plotting.training import plot_history

__all__ = [
    "new_axes",
    "plot_calibration",
    "plot_confusion",
    "plot_dv",
    "plot_history",
    "plot_purity_completeness",
    "plot_spectrum",
    "plot_z",
    "save_figure",
]
