"""Figure of a spectrum with the lines that a network finds in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qnet.classification.columns import compute_columns
from qnet.classification.criterion import choose_criterion
from qnet.core.arguments import check_arguments
from qnet.core.arrays import FloatArray
from qnet.core.errors import InputError
from qnet.core.files import PathLike
from qnet.core.pz import STEP, RedshiftDistributions
from qnet.core.spectra import Spectra
from qnet.model.loading import as_model
from qnet.model.model import Model
from qnet.plotting import figure
from qnet.plotting.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT_GREY,
    SKY_BLUE,
    VERMILLION,
    styled,
)
from qnet.postprocess.decoding import Predictions
from qnet.preprocess.rebinning import rebin_cameras

if TYPE_CHECKING:
    from astropy.table import Table
    from matplotlib.axes import Axes

    from qnet.classification.population import Population

#: Colours of the lines found, of the BAL lines found, and of the network's lines at ZBEST.
_LINE, _BAL, _EXPECTED = VERMILLION, BLUE, GREEN

#: Lines of less confidence have no mark.
_LABEL_CONFIDENCE = 0.1

#: Width and height of a label and length of the mark below it, as fractions of the axes: nearer
#: labels are above one another.
_LABEL_WIDTH, _LABEL_HEIGHT, _MARK = 0.17, 0.09, 0.05

#: Height of the axes that the spectrum gets, less what the labels take, and its least.
_SPECTRUM_HEIGHT, _LEAST_HEIGHT = 0.82, 0.3

#: Pixels of the running mean that is drawn.
_SMOOTHED = 5

#: Bins of p(z) in the inset, equal in ln(1 + z).
_PZ_BINS = 300

#: Lowest p(z) in the inset, whose axis is logarithmic: a second redshift of a percent can be seen.
_LEAST_PZ = 1e-4

#: A pixel above the running median of its neighbours by more than this factor may be outside the
#: figure: a cosmic ray, or the noise at the edge.
_SPIKE = 1.6


@styled
def plot_spectrum(
    spectra: Spectra,
    model: Model | PathLike | None = None,
    row: int = 0,
    *,
    strategy: str | None = None,
    p_threshold: float | None = None,
    prior_qso: float | None = None,
    prior: str | PathLike | Table | Population | None = None,
    c_threshold: float | None = None,
    min_lines: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot a spectrum on the network's grid, with the lines found in it and p(z).

    The flux is drawn pixel by pixel over one standard deviation of the noise, and smoothed. Pixels
    without weight (NaN, zero ivar) are gaps. Each line found has a mark above the spectrum at its
    decoded wavelength, the more opaque the more confident; those above the threshold are solid,
    others dashed. For a quasar, marks at the bottom show the network's lines at ZBEST, and the
    upper axis has rest wavelengths. Models with a redshift head and a second stage have an inset of
    the redshift distribution.

    Parameters
    ----------
    spectra : Spectra
    model : Model, str or path, optional
        The default model when None.
    row : int
        Row of the spectrum.
    strategy, p_threshold, prior_qso, prior, c_threshold, min_lines : optional
        As in `qnet.classify`; a line counts as found above `c_threshold`, or 0.5.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones when None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        The row is out of range, the spectrum cannot be normalised, or matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> wave = np.arange(3700.0, 9500.0, 4.0)
    >>> flux = 10 + 5 * np.sin(wave / 300)
    >>> spectra = qnet.io.from_arrays(wave, flux, np.ones_like(flux), targetid=[7])
    >>> ax = qnet.plot_spectrum(spectra, ax=qnet.plotting.new_axes())
    >>> print(ax.get_title().split(",")[0])
    TARGETID 7
    """
    check_arguments(plot_spectrum, locals())
    model = as_model(model)
    if not 0 <= row < len(spectra):
        raise InputError(f"row must be in 0 .. {len(spectra) - 1}, not {row!r}")
    one = spectra.select([row])
    data = model.preprocess(one)
    if not np.isfinite(data.X[0]).all():
        raise InputError(f"{spectra.where()}row {row} has no data that can be normalised")
    criterion = choose_criterion(
        model, p_threshold, c_threshold, min_lines, prior_qso, prior, strategy
    )
    bins = model.architecture.redshifts
    with_pz = bins is not None and model.refiner is not None and model.calibration is not None
    columns = compute_columns(one, model, criterion, pz=with_pz)
    pz = RedshiftDistributions.take(columns, bins) if with_pz and bins is not None else None
    classified = {name: column[0] for name, column in columns.items()}
    output = model.forward(data.X)
    found = model.decode(output.preds, output.logits)
    ax = figure.as_axes(ax)
    flux = _draw_flux(ax, one, model)
    levels = _draw_lines(ax, model, found, criterion.c_threshold)
    _set_limits(ax, flux, levels)
    if classified["IS_QSO"]:
        _draw_rest_frame(ax, model, float(classified["ZBEST"]))
    count = int((found.c_line[:, 0] > criterion.c_threshold).sum())
    file = f"{', '.join(Path(name).name for name in spectra.source[:1])} ".lstrip()
    ax.set_title(
        f"TARGETID {one.ids['TARGETID'][0]}, {file}row {spectra.row[row]}\n"
        f"{_summary(classified)}, {count} line{'' if count == 1 else 's'} with c > "
        f"{criterion.c_threshold:g}"
    )
    _draw_legend(ax)
    if pz is not None:
        _draw_pz(ax, pz, float(classified["ZBEST"]))
    ax.set_xlabel(r"observed wavelength [$\mathrm{\AA}$]")
    ax.set_ylabel(figure.flux_label(spectra.flux_unit))
    return ax


def _summary(row: Mapping[str, Any]) -> str:
    """A row of the catalogue in words."""
    words = "no quasar"
    if row["IS_QSO"]:
        error = f" ± {row['ZERR']:.4f}" if np.isfinite(row["ZERR"]) else ""
        words = f"{'BAL ' if row['IS_BAL'] else ''}quasar at z = {row['ZBEST']:.4f}{error}"
    if np.isfinite(row["P_QSO"]):
        words += f", P_QSO = {row['P_QSO']:.3f}"
    return words


def _draw_flux(ax: Axes, one: Spectra, model: Model) -> FloatArray:
    """The spectrum on the grid, smoothed too, over its noise; the flux, NaN without weight."""
    flux, ivar = (values[0].astype(np.float64) for values in rebin_cameras(one.cameras, model.grid))
    window = np.ones(_SMOOTHED)
    weight = np.convolve(ivar, window, "same")
    summed = np.convolve(flux * ivar, window, "same")
    seen = ivar > 0
    smooth = np.divide(summed, weight, out=np.full(len(flux), np.nan), where=seen)
    flux = np.where(seen, flux, np.nan)
    noise = np.divide(1, np.sqrt(ivar), out=np.full(len(flux), np.nan), where=seen)
    band: dict[str, Any] = {"step": "post", "color": LIGHT_GREY, "lw": 0, "alpha": 0.5}
    ax.fill_between(model.wave, flux - noise, flux + noise, **band, label="noise (1 sigma)")
    ax.step(model.wave, flux, where="post", color=GREY, lw=0.5, alpha=0.7, label="flux")
    ax.set_xlim(model.wave[0], model.wave[-1])
    # Drawn after the lines, so that it is above them; a patch, and no line of the axes' list.
    edges = np.append(model.wave, model.wave[-1] + np.diff(model.wave)[-1])
    look: dict[str, Any] = {"color": BLACK, "lw": 1.1, "baseline": None, "zorder": 3}
    ax.stairs(smooth, edges, label=f"mean of {_SMOOTHED} pixels", **look)
    return np.asarray(flux)


def _draw_pz(ax: Axes, pz: RedshiftDistributions, zbest: float) -> None:
    """The redshift distribution, beside the axes."""
    start, npix = pz.grid
    centres = start + STEP * np.arange(npix)
    edges = np.linspace(centres[0], centres[-1], _PZ_BINS + 1)
    mass, _ = np.histogram(centres, edges, weights=np.exp(pz.ln_p(slice(0, 1))[0]) * STEP)
    inset = ax.inset_axes((1.04, 0.62, 0.17, 0.36))
    inset.stairs(mass, np.expm1(edges), fill=True, color=SKY_BLUE, baseline=_LEAST_PZ)
    inset.stairs(mass, np.expm1(edges), color=BLUE, lw=0.8, baseline=_LEAST_PZ)
    inset.axvline(zbest, color=GREEN, lw=0.8, ls=":", zorder=0)
    inset.set_xlim(np.expm1(edges[0]), np.expm1(edges[-1]))
    inset.set_yscale("log")
    inset.set_ylim(_LEAST_PZ, 2)
    inset.yaxis.tick_right()
    inset.tick_params(labelsize="small")
    inset.set_title("p(z), if a quasar", fontsize="small")
    inset.set_xlabel("redshift", fontsize="small")


def _set_limits(ax: Axes, flux: npt.NDArray[Any], levels: int) -> None:
    """Limits that show the spectrum, spikes aside, between its labels and the marks below."""
    low, high = np.nanpercentile(flux, [0.5, 99.5])
    # The median of three pixels keeps lines of two, and leaves out single bad pixels.
    padded = np.pad(flux.astype(np.float64), 1, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 3)
    medians = np.nanmedian(windows[np.isfinite(windows).any(axis=1)], axis=1)
    broad, peak = medians.max(), np.nanmax(flux)
    high = max(high, broad, peak if peak < _SPIKE * broad else broad)
    left = max(_SPECTRUM_HEIGHT - (_LABEL_HEIGHT + _MARK) * levels, _LEAST_HEIGHT)
    height = (high - low) / left
    ax.set_ylim(low - 0.12 * height, low + 0.88 * height)


def _draw_lines(ax: Axes, model: Model, found: Predictions, c_threshold: float) -> int:
    """The emission lines, and the BAL lines above the threshold; the levels of their labels."""
    lines = zip(model.lines, found.c_line[:, 0], found.z_line[:, 0], strict=True)
    bals = zip(model.lines_bal, found.c_line_bal[:, 0], found.z_line_bal[:, 0], strict=True)
    marks = [(line, line, c, z, _LINE) for line, c, z in lines]
    marks += [(f"BAL {line}", line, c, z, _BAL) for line, c, z in bals if c > c_threshold]
    left, right = ax.get_xlim()
    width = _LABEL_WIDTH * (right - left)
    drawn: list[tuple[float, int]] = []  # centre [Angstrom] and level of each label
    for name, line, c, z, colour in marks:
        wave = model.rest[line] * (1 + z)
        if c < _LABEL_CONFIDENCE or not left <= wave <= right:
            continue
        centre = float(np.clip(wave, left + width / 2, right - width / 2))
        near = {level for other, level in drawn if abs(other - centre) < width}
        level = next(level for level in range(len(near) + 1) if level not in near)
        drawn.append((centre, level))
        top = 0.985 - _LABEL_HEIGHT - level * (_LABEL_HEIGHT + _MARK)
        alpha, style = 0.05 + 0.95 * float(c), "-" if c > c_threshold else "--"
        end = {"ymin": top - _MARK, "ymax": top}
        ax.axvline(wave, **end, color=colour, alpha=alpha, lw=1.8, ls=style)
        text = f"{figure.line_label(name)}\nc = {c:.2f}, z = {z:.3f}"
        look: dict[str, Any] = {"color": colour, "alpha": max(alpha, 0.6), "va": "bottom"}
        look["multialignment"] = "center"
        figure.annotate(ax, text, centre, top, gap=0, size=7.5, ha="center", **look)
    return max((level + 1 for _, level in drawn), default=0)


def _draw_rest_frame(ax: Axes, model: Model, z: float) -> None:
    """Marks where the network's lines are at a redshift, and an axis of rest wavelengths."""
    left, right = ax.get_xlim()
    for line in model.lines:
        position = model.rest[line] * (1 + z)
        if model.wave[0] <= position <= model.wave[-1]:
            ax.axvline(position, ymax=0.05, color=_EXPECTED, lw=2.5)
            # To the left of the mark, but where the axes end there.
            flip = position < left + _LABEL_WIDTH * (right - left)
            side = "right" if flip else "left"
            name = figure.line_label(line)
            figure.annotate(ax, name, position, 0.025, side=side, gap=4, size=7.5, color=_EXPECTED)

    functions = (lambda wave: wave / (1 + z), lambda wave: wave * (1 + z))
    axis = ax.secondary_xaxis("top", functions=functions)
    axis.set_xlabel(r"rest wavelength [$\mathrm{\AA}$]")


def _draw_legend(ax: Axes) -> None:
    """Meaning of what is drawn, beside the axes."""
    from matplotlib.lines import Line2D

    handles, _ = ax.get_legend_handles_labels()
    drawn = {(line.get_color(), line.get_linestyle()) for line in ax.lines}
    for colour, style, label in (
        (_LINE, "-", "line found"),
        (_LINE, "--", "below the threshold"),
        (_BAL, "-", "BAL line found"),
        (_EXPECTED, "-", "lines at ZBEST"),
    ):
        if (colour, style) in drawn:
            handles.append(Line2D([], [], color=colour, ls=style, label=label))
    beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 0.46)}
    ax.legend(handles=handles, **beside, handlelength=1.5)
