"""Figures of evaluations: purity and completeness, confusion, calibration; or all at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.errors import FileError
from qnet.core.files import PathLike, check_output
from qnet.evaluation import Confusion, Evaluation, Scan
from qnet.plotting.figure import as_axes, legend_below, line_label, save_figure, short_name
from qnet.plotting.redshifts import as_list, plot_dv, plot_z
from qnet.plotting.style import BLACK, CYCLE, GREY, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Curves of a scan: attribute, name, line style.
_CURVES = (
    ("purity", "purity", "-"),
    ("completeness", "completeness", "--"),
    ("strict_purity", "strict purity", ":"),
)


@styled
def plot_purity_completeness(
    evaluations: Evaluation | Scan | Sequence[Evaluation], *, ax: Axes | None = None
) -> Axes:
    """Plot purity and completeness against threshold, with bands for the intervals.

    For evaluations, the threshold in use is marked, and the legend has the values there.

    Parameters
    ----------
    evaluations : Evaluation, Scan or sequence of Evaluation
        A scan is drawn with its strict purity. For an evaluation, the scan of the quantity in its
        criterion is drawn (P_QSO, or line confidences). An evaluation without thresholds (redrock)
        is two level lines.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones when None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        There is nothing to draw.

    Examples
    --------
    >>> import numpy as np
    >>> from qnet.evaluation import purity_completeness
    >>> from qnet.plotting import new_axes, plot_purity_completeness
    >>> Y = np.eye(5)[[2, 3, 0]]  # QSO_LZ, QSO_HZ, STAR
    >>> scan = purity_completeness([[0.9, 0.4, 0.2]], [1.0, 2.5, 2.0], Y, [1.0, 2.5, 0.0])
    >>> plot_purity_completeness(scan, ax=new_axes()).get_xlabel()
    'threshold on c'
    """
    ax = as_axes(ax, width=7.5, height=5.5)
    every = [] if isinstance(evaluations, Scan) else as_list(evaluations)
    if isinstance(evaluations, Scan):
        _draw_scan(ax, evaluations, None, CYCLE[:3])
    for number, each in enumerate(every):
        colours = CYCLE[:3] if len(every) == 1 else [CYCLE[number % len(CYCLE)]] * 2
        if each.scans:
            _draw_scan(ax, _scan_of_criterion(each), each, colours, named=len(every) > 1)
        else:
            _draw_levels(ax, each, colours)
    _mark_thresholds(ax, every)
    drawn = [evaluations] if isinstance(evaluations, Scan) else []
    drawn += [_scan_of_criterion(each) for each in every if each.scans]
    labels = dict.fromkeys(scan.label for scan in drawn)
    ax.set_xlabel(f"threshold on {' or '.join(labels)}" if labels else "threshold")
    ax.set_ylabel("purity, completeness")
    ax.set_xlim(0, 1)
    lowest = _lowest(drawn, every)
    span = 1 - lowest
    ax.set_ylim(max(lowest - 0.1 * span, 0), 1 + 0.03 * span + 0.001)
    ax.grid(visible=True)
    handles, _ = ax.get_legend_handles_labels()
    if drawn:
        from matplotlib.patches import Patch

        name = f"{100 * drawn[0].level:g} % interval"
        handles.append(Patch(color=GREY, alpha=0.2, lw=0, label=name))
    legend_below(ax, handles=handles, ncols=1 if len(every) > 1 else 2)
    return ax


def _draw_scan(
    ax: Axes, scan: Scan, each: Evaluation | None, colours: Sequence[str], *, named: bool = False
) -> None:
    """Curves of a scan with bands; of an evaluation its numbers and its threshold too."""
    prefix = f"{short_name(each.name)}: " if each is not None and named else ""
    for (attribute, title, line), colour in zip(_CURVES, colours, strict=False):
        values, low, high = (getattr(scan, attribute + end) for end in ("", "_low", "_high"))
        label = f"{prefix}{title}{'' if each is None else _number(each, attribute)}"
        ax.plot(scan.thresholds, values, line, color=colour, label=label)
        ax.fill_between(scan.thresholds, low, high, color=colour, alpha=0.1, lw=0)


def _draw_levels(ax: Axes, each: Evaluation, colours: Sequence[str]) -> None:
    """Level lines of an evaluation without thresholds."""
    for (attribute, title, line), colour in zip(_CURVES, colours, strict=False):
        label = f"{short_name(each.name)}: {title}{_number(each, attribute)}, no threshold"
        ax.axhline(each.metric(attribute).value, color=colour, ls=line, lw=1, label=label)


def _number(each: Evaluation, attribute: str) -> str:
    """A metric with the criterion in use, and the number of rows that it is of."""
    metric = each.metric(attribute)
    return f" {metric.value:.3f} (n = {metric.n})"


def _mark_thresholds(ax: Axes, every: Sequence[Evaluation]) -> None:
    """The thresholds that the criteria state; one mark where they are the same."""
    found: dict[str, list[int]] = {}
    for number, each in enumerate(every):
        if each.scans:
            label = re.escape(_scan_of_criterion(each).label)
            stated = re.search(rf"(?:{label}|\bc) > (\d+\.?\d*(?:e-?\d+)?)", each.criterion)
            if stated:
                found.setdefault(stated[1], []).append(number)
    for threshold, numbers in found.items():
        name = f"{short_name(every[numbers[0]].name)}: " if len(found) > 1 else ""
        colour = CYCLE[numbers[0] % len(CYCLE)] if name else GREY
        look: dict[str, Any] = {"color": colour, "lw": 1, "ls": (0, (6, 3)), "zorder": 1}
        ax.axvline(float(threshold), label=f"{name}threshold in use, {threshold}", **look)


def _lowest(scans: Sequence[Scan], every: Sequence[Evaluation]) -> float:
    """The lowest value in view: of the intervals at thresholds from 0.1 on, and of level lines."""
    values = [1.0]
    for scan in scans:
        for low in (scan.purity_low, scan.completeness_low):
            values += low[(scan.thresholds >= 0.1) & np.isfinite(low)].tolist()
    for each in every:
        levels = (each.metric(name).value for name in ("purity", "completeness"))
        values += [level for level in levels if np.isfinite(level)]
    return min(values)


@styled
def plot_confusion(table: Confusion, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Plot a table of counts.

    The shade is the fraction of the true class. For lines it is the count over the largest count.

    Parameters
    ----------
    table : Confusion
        `Evaluation.classes` or `Evaluation.lines`.
    title : str
        Title of the axes.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones when None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> from qnet.evaluation import Confusion
    >>> from qnet.plotting import new_axes, plot_confusion
    >>> table = Confusion(("STAR", "QSO"), ("no", "yes"), np.array([[8, 2], [0, 9]]), "made up")
    >>> [text.get_text() for text in plot_confusion(table, ax=new_axes()).texts]
    ['8', '2', '·', '9']
    """
    check_arguments(plot_confusion, locals())
    ax = as_axes(ax, width=5.8, height=4.2)
    centre: dict[str, Any] = {"ha": "center", "va": "center"}
    ax.set_title(title)
    if not table.counts.any():
        ax.text(0.5, 0.5, "no such rows", transform=ax.transAxes, color=GREY, **centre)
        ax.set_axis_off()
        return ax
    square = table.rows == table.columns
    total = table.counts.max() if square else table.counts.sum(axis=1, keepdims=True)
    shade = np.divide(table.counts, total, out=np.zeros(table.counts.shape), where=total > 0)
    ax.imshow(shade, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    for (row, column), count in np.ndenumerate(table.counts):
        colour = "white" if shade[row, column] > 0.6 else BLACK
        ax.text(column, row, str(count) if count else "·", color=colour, **centre)
    sums = table.counts.sum(axis=1)
    rows = [f"{line_label(name)} ({n})" for name, n in zip(table.rows, sums, strict=True)]
    sums = table.counts.sum(axis=0)
    columns = [f"{line_label(name)}\n({n})" for name, n in zip(table.columns, sums, strict=True)]
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xlabel("line that it was taken for (n)" if square else "called (n)")
    ax.set_ylabel("line that was there (n)" if square else "true class (n)")
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


@styled
def plot_calibration(
    evaluations: Evaluation | Sequence[Evaluation], *, ax: Axes | None = None
) -> Axes:
    """Plot the fraction of true quasars against the mean score of each bin.

    The panel above has the number of rows in each bin.

    Parameters
    ----------
    evaluations : Evaluation or sequence of Evaluation
        Those without score are left out.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones when None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> from qnet.plotting import new_axes, plot_calibration
    >>> rows = Table({"TARGETID": [1], "ZBEST": [1.0], "IS_QSO": [True], "P_QSO": [0.9]})
    >>> evaluation = qnet.evaluate(rows, {1: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0)})
    >>> plot_calibration(evaluation, ax=new_axes()).get_legend().get_texts()[0].get_text()
    'catalogue: P_QSO, error 0.100, n = 1'
    """
    ax = as_axes(ax, width=5.8, height=6.5)
    from mpl_toolkits.axes_grid1 import make_axes_locatable

    ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, zorder=0)
    above = make_axes_locatable(ax).append_axes("top", size="22%", pad=0.1)
    level = 0.95
    for number, each in enumerate(as_list(evaluations)):
        curve = each.calibration
        if curve is None:
            continue
        some, level = curve.n > 0, each.options.level
        error = each.metric("calibration_error", curve.score_name).value
        label = (
            f"{short_name(each.name)}: {curve.score_name}, error {error:.3f}, n = {curve.n.sum()}"
        )
        low = np.maximum(curve.fraction - curve.low, 0)[some]
        high = np.maximum(curve.high - curve.fraction, 0)[some]
        look: dict[str, Any] = {"fmt": "o", "ms": 5, "lw": 1.2, "label": label}
        colour, points = CYCLE[number % len(CYCLE)], (curve.mean[some], curve.fraction[some])
        ax.errorbar(*points, yerr=(low, high), color=colour, **look)
        above.stairs(curve.n, curve.edges, color=colour, lw=1.2)
    above.set_yscale("log")
    above.set_ylim(0.7, None)
    above.set_ylabel("rows")
    above.tick_params(labelbottom=False)
    for axes in (ax, above):
        axes.set_xlim(-0.02, 1.02)
        axes.grid(visible=True)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("mean score of the bin")
    ax.set_ylabel(f"fraction of true quasars, with {100 * level:g} % intervals")
    if ax.get_legend_handles_labels()[0]:
        legend_below(ax)
    return ax


def _scan_of_criterion(each: Evaluation) -> Scan:
    """The scan of the score in the criterion; the first where it names none."""
    return next((scan for scan in each.scans if scan.label in each.criterion), each.scans[0])


def _plot_classes(each: Evaluation, *, ax: Axes) -> None:
    """Table of the classes of one evaluation, without classes that do not occur."""
    table = each.classes
    keep = np.flatnonzero(table.counts.any(axis=1))
    rows = tuple(table.rows[at] for at in keep)
    table = Confusion(rows, table.columns, table.counts[keep], table.definition)
    title = f"{short_name(each.name)}\nrows by class; QSO_LZ: z < {each.options.z_lim:g}"
    plot_confusion(table, title=title, ax=ax)


def _plot_lines(each: Evaluation, *, ax: Axes) -> None:
    """Table of the confused lines of one evaluation, without lines that do not occur."""
    table = each.lines
    keep = np.flatnonzero(table.counts.any(axis=0) | table.counts.any(axis=1))
    keep = keep if len(keep) else np.array([len(table.rows) - 1])
    names = tuple(table.rows[at] for at in keep)
    table = Confusion(names, names, table.counts[np.ix_(keep, keep)], table.definition)
    plot_confusion(table, title=f"{short_name(each.name)}\ntrue quasars at a wrong redshift", ax=ax)


#: Figures of `write_figures`: size of a panel [inch], what draws it, and whether one panel is of
#: all evaluations or each has its own.
FIGURES: Mapping[str, tuple[tuple[float, float], Callable[..., Any], bool]] = {
    "purity_completeness": ((7.5, 5.5), plot_purity_completeness, True),
    "dv": ((7.5, 4.8), plot_dv, True),
    "z": ((5.8, 6), plot_z, False),
    "classes": ((5.8, 4.2), _plot_classes, False),
    "lines": ((6.2, 4.6), _plot_lines, False),
    "calibration": ((5.8, 6.5), plot_calibration, True),
}


def figure_paths(folder: PathLike) -> list[Path]:
    """The files that `write_figures` writes."""
    return [Path(folder) / f"{name}.png" for name in FIGURES]


@styled
def write_figures(
    evaluations: Sequence[Evaluation], folder: PathLike, *, overwrite: bool = False
) -> list[Path]:
    """Draw all figures of some evaluations into a folder, or none where one may not be written."""
    from matplotlib.figure import Figure

    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: the folder cannot be made ({error})") from error
    paths = figure_paths(folder)
    for path in paths:
        check_output(path, overwrite)
    for path, ((width, height), draw, together) in zip(paths, FIGURES.values(), strict=True):
        panels = [evaluations] if together else evaluations
        figure = Figure(figsize=(width * len(panels), height), layout="constrained")
        for ax, what in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            draw(what, ax=ax)
        save_figure(figure.axes[0], path, overwrite=overwrite)
    return paths
