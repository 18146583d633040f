"""Axes to draw on, and figures to files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qnet.core.errors import InputError
from qnet.core.files import PathLike, atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Formats of figures, by suffix.
FIGURE_FORMATS = (".png", ".pdf", ".svg")


#: Width and height of a figure [inch].
FIGURE_SIZE = (9.0, 4.5)


def require_matplotlib() -> None:
    """Raise where matplotlib is not installed.

    Raises
    ------
    InputError
        It is not.
    """
    if find_spec("matplotlib") is None:
        raise InputError(
            "figures need matplotlib, which is not installed: install qnet-quasar[plot]"
        )


def new_axes(
    *, width: float = FIGURE_SIZE[0], height: float = FIGURE_SIZE[1], shown: bool = False
) -> Axes:
    """Axes of a new figure.

    Parameters
    ----------
    width, height : float
        Size of the figure [inch].
    shown : bool
        Whether it is one of pyplot, which notebooks and ``plt.show()`` show; else it needs no
        display, and pyplot does not keep it.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        Matplotlib is not installed.
    """
    require_matplotlib()
    if shown:
        from matplotlib.pyplot import figure as make
    else:
        from matplotlib.figure import Figure as make  # it makes one, as the other

    axes: Axes = make(figsize=(width, height), layout="constrained").subplots()
    return axes


def check_figure_name(path: PathLike) -> None:
    """Check that the name of a figure has a suffix that it can be written as.

    Raises
    ------
    InputError
        It has not.
    """
    if Path(path).suffix.lower() not in FIGURE_FORMATS:
        raise InputError(
            f"{path}: the name of a figure must end in one of {', '.join(FIGURE_FORMATS)}"
        )


def save_figure(axes: Axes, path: PathLike, *, dpi: float = 150.0, overwrite: bool = False) -> Path:
    """Write the figure of some axes; the suffix says the format.

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
        The file may not be written.
    """
    check_figure_name(path)
    figure: Any = axes.figure
    with atomic_write(path, overwrite=overwrite) as partial:
        figure.savefig(partial, dpi=dpi)
    return Path(path)
