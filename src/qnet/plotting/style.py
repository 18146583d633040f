"""The house style of figures: `house.mplstyle`, its colours, and what draws in it.

Functions of this package that draw are `styled`. Scripts and notebooks call
``plt.style.use("qnet.plotting.house")``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import ParamSpec, TypeVar

from qnet.core.errors import InputError

#: The style, as `matplotlib.style` finds it: the file in this folder.
HOUSE = "qnet.plotting.house"

#: Colours of the style, in the order in which things of one kind use them.
CYCLE = re.findall(r'"(#\w{6})"', Path(__file__).with_name("house.mplstyle").read_text())
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK = CYCLE

#: Colour of spectra and of guide lines, and of the noise.
GREY, LIGHT_GREY = "#444444", "#BBBBBB"

P = ParamSpec("P")
R = TypeVar("R")


def require_matplotlib() -> None:
    """Raise InputError where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise InputError(
            "figures need matplotlib, which is not installed: install qnet-quasar[plot]"
        )


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """The function, run in the house style."""

    @functools.wraps(draw)
    def draw_styled(*args: P.args, **kwargs: P.kwargs) -> R:
        """Draw in the style."""
        require_matplotlib()
        import matplotlib.style

        with matplotlib.style.context(HOUSE):
            return draw(*args, **kwargs)

    return draw_styled
