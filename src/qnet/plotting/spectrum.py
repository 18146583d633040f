"""A spectrum with the lines that a network finds in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.errors import InputError
from qnet.model import Model
from qnet.spectra import Spectra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours that stay apart for colour-blind readers (Okabe & Ito 2008): spectrum, line, BAL line.
_SPECTRUM, _LINE, _BAL = "#444444", "#D55E00", "#0072B2"

#: Lines of less confidence are not labelled.
_LABEL_CONFIDENCE = 0.1

#: Labels closer than this share of the axis are put at different heights.
_LABEL_DISTANCE = 0.1


def plot_spectrum(
    spectra: Spectra,
    model: Model,
    row: int = 0,
    *,
    c_threshold: float = 0.5,
    ax: Axes | None = None,
) -> Axes:
    """Plot a spectrum as the network sees it, with the lines it finds.

    Each line stands where the network puts it, the more opaque the more confident; lines above the
    threshold are drawn through, others dashed.

    Parameters
    ----------
    spectra : Spectra
    model : Model
    row : int
        Which of the spectra.
    c_threshold : float
        Confidence above which a line counts as found.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones when None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        The row is out of range, or the spectrum cannot be normalised.
    """
    import matplotlib.pyplot as plt

    if not 0 <= row < len(spectra):
        raise InputError(f"row must be in 0 .. {len(spectra) - 1}, not {row!r}")
    one = spectra.select([row])
    data = model.preprocess(one)
    if not np.isfinite(data.X[0]).all():
        raise InputError(f"{spectra.where()}row {row} has no data that can be normalised")
    found = model.decode(model.predict(data.X))
    if ax is None:
        _, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
    flux = np.where(data.observed[0], data.X[0], np.nan)
    ax.step(model.wave, flux, where="post", color=_SPECTRUM, lw=0.8)
    low, high = np.nanpercentile(flux, [0.2, 99.8])
    ax.set_ylim(low - 0.15 * (high - low), high + 0.45 * (high - low))
    ax.set_xlim(model.wave[0], model.wave[-1])
    drawn: list[tuple[float, int]] = []
    for line, c, z in zip(model.lines, found.c_line[:, 0], found.z_line[:, 0], strict=True):
        _mark_line(ax, line, model.rest[line] * (1 + z), c, c_threshold, _LINE, drawn)
    for line, c, z in zip(
        model.lines_bal, found.c_line_bal[:, 0], found.z_line_bal[:, 0], strict=True
    ):
        if c > c_threshold:
            place = model.rest[line] * (1 + z)
            _mark_line(ax, f"BAL {line}", place, c, c_threshold, _BAL, drawn)
    is_qso = bool(found.is_qso(c_threshold)[0])
    ax.set_title(
        f"TARGETID {one.ids['TARGETID'][0]}: "
        + (f"quasar at z = {found.zbest[0]:.4f}" if is_qso else "no quasar")
    )
    ax.set_xlabel(r"observed wavelength [$\mathrm{\AA}$]")
    ax.set_ylabel("normalised flux")
    return ax


def _mark_line(
    ax: Any,
    name: str,
    wave: float,
    confidence: float,
    threshold: float,
    colour: str,
    drawn: list[tuple[float, int]],
) -> None:
    """A vertical line at a wavelength, labelled above the spectrum clear of earlier labels."""
    alpha = 0.05 + 0.95 * float(confidence)
    style = "-" if confidence > threshold else "--"
    ax.axvline(wave, color=colour, alpha=alpha, lw=1.2, ls=style, zorder=0)
    left, right = ax.get_xlim()
    flip = wave > right - _LABEL_DISTANCE * (right - left)
    if confidence < _LABEL_CONFIDENCE or not left <= wave <= right:
        return
    near = {level for place, level in drawn if abs(place - wave) < _LABEL_DISTANCE * (right - left)}
    level = next(level for level in range(len(near) + 1) if level not in near)
    drawn.append((wave, level))
    ax.annotate(
        f"{name}\n$c$ = {confidence:.3f}",
        (wave, 0.98 - 0.12 * level),
        xycoords=("data", "axes fraction"),
        ha="right" if flip else "left",
        va="top",
        fontsize=8,
        color=colour,
        alpha=max(alpha, 0.6),
        xytext=(-3 if flip else 3, 0),
        textcoords="offset points",
    )
