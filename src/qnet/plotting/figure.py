"""Axes, colours and files of figures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qnet.core.arguments import check_arguments
from qnet.core.checks import check_finite, check_type
from qnet.core.errors import InputError
from qnet.core.files import PathLike, atomic_write
from qnet.lines import spelled
from qnet.plotting.style import require_matplotlib, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Largest side of a figure [inch] and most pixels per inch: beyond, no memory holds it.
MOST_INCHES, MOST_DPI = 200.0, 2000.0

#: Fewest pixels per inch: below, letters have none.
LEAST_DPI = 10.0

#: Formats of figures, by suffix.
FIGURE_FORMATS = (".png", ".pdf", ".svg")


#: Most characters of a name in a legend.
_LONGEST_NAME = 31

#: Height of tick labels and label of an axis [points]: a legend below has its place after them.
_LABEL_POINTS = 38


@styled
def new_axes(*, width: float = 9.0, height: float = 4.5, shown: bool = False) -> Axes:
    """Axes of a new figure.

    Parameters
    ----------
    width, height : float
        Size of the figure [inch].
    shown : bool
        Whether pyplot keeps the figure, so that notebooks and ``plt.show()`` show it; else it needs
        no display.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        Matplotlib is not installed.

    Examples
    --------
    >>> from qnet.plotting import new_axes
    >>> print(new_axes(width=6.0).figure.get_figwidth())
    6.0
    """
    check_arguments(new_axes, locals())
    for name, size in (("width", width), ("height", height)):
        check_finite(f"{name} [inch]", size, above=0, most=MOST_INCHES)
    if shown:
        from matplotlib.pyplot import figure as make
    else:
        from matplotlib.figure import Figure as make  # it makes one, as the other

    axes: Axes = make(figsize=(width, height), layout="constrained").subplots()
    return axes


@styled
def new_panels(heights: Sequence[float], *, width: float = 9.0, height: float = 6.5) -> list[Axes]:
    """Axes one below the other, of relative heights, with one wavelength axis."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    return list(made.subplots(len(heights), 1, sharex=True, height_ratios=heights))


def as_axes(ax: object, **size: float) -> Axes:
    """The argument `ax`, or new axes of a size where it is None; InputError where it is no axes."""
    if ax is None:
        return new_axes(**size, shown=True)
    require_matplotlib()
    from matplotlib.axes import Axes

    return check_type("ax", ax, Axes)


def short_name(name: str) -> str:
    """A name that fits into a legend: of a long one the ends."""
    half = (_LONGEST_NAME - 1) // 2
    return (
        name
        if len(name) <= _LONGEST_NAME
        else f"{name[:half]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"
    )


def legend_below(ax: Axes, **look: Any) -> None:
    """A legend below the axes and their label, where it hides no data."""
    from matplotlib.transforms import ScaledTranslation

    figure: Any = ax.figure
    shift = ScaledTranslation(0, -_LABEL_POINTS / 72, figure.dpi_scale_trans)
    place = {"bbox_to_anchor": (0.5, 0), "bbox_transform": ax.transAxes + shift}
    ax.legend(loc="upper center", **place, **look)


def annotate(
    ax: Axes,
    text: str,
    x: float,
    y: float,
    *,
    side: str = "right",
    gap: float = 3,
    size: float = 8,
    coords: tuple[str, str] = ("data", "axes fraction"),
    **look: Any,
) -> None:
    """Write a text beside a point, to its right or left, at a gap [points]."""
    style: dict[str, Any] = {"ha": "left" if side == "right" else "right", "va": "center"} | look
    style |= {"xytext": (gap if side == "right" else -gap, 0), "textcoords": "offset points"}
    ax.annotate(text, (x, y), xycoords=coords, fontsize=size, **style)


def line_label(name: str) -> str:
    """Name of a line as it is printed: C IV for CIV(1548), Ly and the Greek letter for LYA."""
    prefix, bare = ("BAL ", name[4:]) if name.startswith("BAL ") else ("", name)
    words = spelled(bare)
    return prefix + re.sub(r" (alpha|beta|gamma)", r"$\\\1$", words) if " " in words else name


#: How astropy writes the factor of a power of ten.
_ONE_TIMES = r"{1 \times "


def flux_label(unit: str) -> str:
    """Label of an axis of flux, with its unit where that is known."""
    if not unit:
        return "flux"
    from astropy.units import Unit

    try:
        text = Unit(unit).to_string("latex_inline")
        return f"flux [{text.replace(_ONE_TIMES, '{')}]"
    except (ValueError, TypeError):
        return f"flux [{unit}]"


def check_figure_name(path: PathLike) -> None:
    """Raise InputError unless a figure can be written under this suffix."""
    if Path(path).suffix.lower() not in FIGURE_FORMATS:
        raise InputError(
            f"{path}: the name of a figure must end in one of {', '.join(FIGURE_FORMATS)}"
        )


def save_figure(axes: Axes, path: PathLike, *, dpi: float = 150.0, overwrite: bool = False) -> Path:
    """Write the figure of some axes.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Any of the figure's.
    path : str or path
        .png, .pdf or .svg. The file is written under a temporary name in the same folder, flushed
        and renamed.
    dpi : float
        Pixels per inch of a .png.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        The suffix is none of these.
    OutputExistsError, FileError
        The file exists already, or cannot be written.

    Examples
    --------
    >>> from qnet.plotting import new_axes, save_figure
    >>> str(save_figure(new_axes(), "empty.png"))
    'empty.png'
    """
    check_arguments(save_figure, locals())
    check_figure_name(path)
    check_finite("dpi", dpi, least=LEAST_DPI, most=MOST_DPI)
    figure: Any = as_axes(axes).figure
    with atomic_write(path, overwrite=overwrite) as partial:
        figure.savefig(partial, dpi=dpi)
    return Path(path)
