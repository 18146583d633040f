"""Figure of the pixels that decide on a spectrum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qnet.classification.occlusion import WIDTH, explain
from qnet.core.arguments import check_arguments
from qnet.core.files import PathLike
from qnet.core.spectra import Spectra
from qnet.model.model import Model
from qnet.plotting import figure
from qnet.plotting.style import BLUE, GREY, VERMILLION, styled

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes

    from qnet.classification.population import Population


#: Smallest change of the logit that can be seen: a sure class may have none.
_LEAST_CHANGE = 1e-2


@styled
def plot_explanation(
    spectra: Spectra,
    model: Model | PathLike | None = None,
    row: int = 0,
    *,
    width: float = WIDTH,
    prior: str | PathLike | Table | Population | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot which pixels carry the class and the redshift of a spectrum, by occlusion.

    Parts of the spectrum above zero support the result: without them the logit is lower by this
    number. Parts below zero are evidence against it.

    Parameters
    ----------
    spectra : Spectra
    model : Model, str or path, optional
        The default model when None.
    row : int
        Row of the spectrum.
    width : float
        Width of the hidden window [km/s].
    prior : optional
        As in `qnet.classify`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones when None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        As `qnet.classification.explain`; or matplotlib is not installed.

    See Also
    --------
    qnet.classification.explain : the numbers.

    Examples
    --------
    >>> import qnet
    >>> from qnet.plotting import new_axes, plot_explanation
    >>> spectra = qnet.simulate(1, seed=3, mix={"quasar": 1}).collect().spectra
    >>> ax = plot_explanation(spectra, ax=new_axes())
    >>> print(ax.get_ylabel())
    support [change of logit]
    """
    check_arguments(plot_explanation, locals())
    found = explain(spectra, model, row, width=width, prior=prior)
    ax = figure.as_axes(ax, height=3.0)
    for values, colour, label in (
        (found.qso, BLUE, "quasar or not"),
        (found.redshift, VERMILLION, f"redshift {found.z:.3f}"),
    ):
        heights = np.nan_to_num(values)
        label += "" if np.abs(heights).max() > _LEAST_CHANGE else ": no part alone"
        ax.stairs(heights, found.edges, color=colour, fill=True, alpha=0.25)
        ax.stairs(heights, found.edges, color=colour, lw=1.2, label=label)
    ax.axhline(0, color=GREY, lw=0.6)
    ax.set_xlim(found.edges[0], found.edges[-1])
    ax.set_xlabel(r"observed wavelength [$\mathrm{\AA}$]")
    ax.set_ylabel("support [change of logit]")
    beside = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0)}
    ax.legend(title="decides on", alignment="left", **beside)
    return ax
