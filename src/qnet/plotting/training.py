"""Figure of the history of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.errors import FileError
from qnet.core.files import PathLike
from qnet.io.fits.file import FitsFile
from qnet.plotting.figure import as_axes
from qnet.plotting.style import CYCLE, GREY, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@styled
def plot_history(path: PathLike, *, ax: Axes | None = None) -> Axes:
    """Plot the losses of a training run against the epoch, and mark the best one.

    Parameters
    ----------
    path : path
        ``history.fits`` of a run of `qnet.train`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones when None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingFileError, FileError
        The file is missing, or is not a history.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.plotting import new_axes, plot_history
    >>> Table({"EPOCH": [1, 2, 3], "LOSS": [9.0, 4.0, 5.0]}).write("history.fits")
    >>> ax = plot_history("history.fits", ax=new_axes())
    >>> ax.get_legend().get_texts()[-1].get_text()
    'best: epoch 2'
    """
    check_arguments(plot_history, locals())
    with FitsFile(path) as fits:
        names = fits.columns(1) if len(fits) > 1 else []
        if not {"EPOCH", "LOSS"} <= set(names):
            raise FileError(
                f"{path}: is no history of a training run (a table with EPOCH and LOSS): it holds "
                f"{fits.describe()}"
            )
        history = fits.table(1, names)
    ax = as_axes(ax)
    epoch = history["EPOCH"]
    decisive = "VAL_LOSS" if "VAL_LOSS" in history else "LOSS"
    look: dict[str, Any] = {"lw": 2, "ms": 3}
    ax.plot(epoch, history["LOSS"], color=CYCLE[0], marker="o", label="training", **look)
    if decisive == "VAL_LOSS":
        ax.plot(epoch, history[decisive], color=CYCLE[1], marker="s", label="validation", **look)
    best = int(np.argmin(history[decisive]))
    ax.axvline(epoch[best], color=GREY, lw=1, ls=":", zorder=0, label=f"best: epoch {epoch[best]}")
    # The loss of the second stage has a logarithm of the error, and may be below zero.
    if min(history["LOSS"].min(), history[decisive].min()) > 0:
        ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss per spectrum, summed over the lines")
    ax.locator_params(axis="x", integer=True)
    ax.yaxis.set_minor_formatter("{x:.2g}")
    ax.yaxis.set_major_formatter("{x:.2g}")
    ax.legend(frameon=False)
    return ax
