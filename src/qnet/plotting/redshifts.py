"""Figures of redshift errors: histograms of dv, and ZBEST against true redshift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.checks import check_finite, check_type
from qnet.core.errors import InputError, type_name
from qnet.evaluation import Evaluation
from qnet.evaluation.velocities import known_lines
from qnet.lines import SPEED_OF_LIGHT
from qnet.plotting.figure import annotate, as_axes, legend_below, line_label, short_name
from qnet.plotting.style import CYCLE, GREY, ORANGE, VERMILLION, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Largest number of pairs of lines that are marked in a plot of redshifts.
_MOST_PAIRS = 8

#: From this number of points on they are drawn smaller.
_MANY = 200

#: Steep lines whose slopes differ by less than this factor have no room for a name between them.
_CLOSE_RATIO = 1.1

#: Height of the name of a steep line, as a fraction of the axes.
_NAME_LENGTH = 0.25

#: Bins of dv in one scatter, and fewest and most of them in the axis.
_BINS_PER_SCATTER, _DV_BINS = 3, (20, 400)


@styled
def plot_dv(
    evaluations: Evaluation | Sequence[Evaluation], *, limit: float = 3000.0, ax: Axes | None = None
) -> Axes:
    """Plot histograms of the velocity errors of the true quasars called quasars.

    Parameters
    ----------
    evaluations : Evaluation or sequence of Evaluation
    limit : float
        [km/s] End of the axis; the legend counts the velocities beyond.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones when None.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        There is nothing to draw, or the limit is not positive.

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> from qnet.plotting import new_axes, plot_dv
    >>> rows = Table({"TARGETID": [1, 2], "ZBEST": [1.0, 1.001], "IS_QSO": [True, True]})
    >>> truth = {number: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0) for number in (1, 2)}
    >>> ax = plot_dv(qnet.evaluate(rows, truth), ax=new_axes())
    >>> ax.get_legend().get_texts()[0].get_text()
    'catalogue: n = 2, median 75, NMAD 111 km/s, 0 beyond 3000'
    """
    check_arguments(plot_dv, locals())
    check_finite("limit [km/s]", limit, above=0, most=SPEED_OF_LIGHT)
    ax = as_axes(ax, width=7.5, height=4.8)
    every = as_list(evaluations)
    scatters = [each.metric("dv_nmad", "ZBEST").value for each in every]
    half = round(limit / _bin_width(scatters, limit))
    edges = np.linspace(-limit, limit, 2 * half + 1)
    for number, each in enumerate(every):
        sample = each.sample
        dv = sample.dv[sample.called & sample.quasar]
        dv = dv[np.isfinite(dv)]
        beyond = int((np.abs(dv) > limit).sum())
        middle, scatter = (each.metric(name, "ZBEST").value for name in ("dv_median", "dv_nmad"))
        label = (
            f"{short_name(each.name)}: n = {len(dv)}, median {middle:.0f}, "
            f"NMAD {scatter:.0f} km/s, {beyond} beyond {limit:.0f}"
        )
        colour = CYCLE[number % len(CYCLE)]
        count, _ = np.histogram(dv, edges)
        ax.stairs(count, edges, color=colour, lw=1.2, label=label)
        ax.stairs(count, edges, color=colour, alpha=0.12, fill=True)
        ax.axvline(middle, color=colour, lw=1, ls=":")
    ax.axvline(0, color=GREY, lw=0.8, zorder=0)
    ax.set_xlim(-limit, limit)
    ax.set_ylim(0, max(ax.get_ylim()[1], 1))
    ax.set_xlabel(r"$\Delta v = c\,(z_\mathrm{best} - z)/(1 + z)$ [km/s]")
    ax.set_ylabel(f"quasars per {limit / half:.3g} km/s")
    legend_below(ax)
    return ax


def _bin_width(scatters: Sequence[float], limit: float) -> float:
    """A round width [km/s], the smallest scatter in `_BINS_PER_SCATTER` bins or more."""
    smallest = min((scatter for scatter in scatters if scatter > 0), default=limit)
    few, many = _DV_BINS
    wanted = float(np.clip(smallest / _BINS_PER_SCATTER, 2 * limit / many, 2 * limit / few))
    unit = 10 ** np.floor(np.log10(wanted))
    return float(unit * max(step for step in (1, 2, 5) if step * unit <= wanted))


@styled
def plot_z(evaluation: Evaluation, *, ax: Axes | None = None) -> Axes:
    """Plot ZBEST against true redshift, of the rows called quasars.

    Dashed lines show where one line is taken for another, for the pairs that occur.

    Parameters
    ----------
    evaluation : Evaluation
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones when None.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import qnet
    >>> from astropy.table import Table
    >>> from qnet.plotting import new_axes, plot_z
    >>> rows = Table({"TARGETID": [1, 2], "ZBEST": [1.0, 2.0], "IS_QSO": [True, True]})
    >>> truth = {number: qnet.io.TruthRecord(1.0, 3, 3, 0, 0.0) for number in (1, 2)}
    >>> ax = plot_z(qnet.evaluate(rows, truth), ax=new_axes())
    >>> ax.get_legend().get_texts()[1].get_text()
    'quasar, wrong redshift (1)'
    """
    check_arguments(plot_z, locals())
    ax = as_axes(ax, width=5.8, height=6)
    sample = evaluation.sample
    z, zbest = sample.z, sample.result.zbest
    sure = sample.called_sure
    groups = (
        (sure & sample.quasar & sample.right, "quasar, right", CYCLE[0], "o", 14),
        (sure & sample.quasar & ~sample.right, "quasar, wrong redshift", VERMILLION, "x", 36),
        (sure & ~sample.quasar, "star or galaxy", ORANGE, "^", 30),
    )
    drawn = np.concatenate([z[sure], zbest[sure]])
    end = 1.05 * (1 + float(drawn[np.isfinite(drawn)].max(initial=1.0))) - 1
    ends = np.array([0.0, end])
    ax.plot(ends, ends, color=GREY, lw=0.8, zorder=0)
    _mark_confusions(ax, evaluation, ends)
    for chosen, label, colour, marker, size in groups:
        style: dict[str, Any] = {"edgecolors": "white", "lw": 0.4} if marker != "x" else {"lw": 1.2}
        count = int(chosen.sum())
        name, area = f"{label} ({count})", size if count < _MANY else size / 2
        ax.scatter(z[chosen], zbest[chosen], s=area, c=colour, marker=marker, label=name, **style)
    ax.set_xlim(-0.05, end)
    ax.set_ylim(-0.05, end)
    ax.set_xlabel("true redshift")
    ax.set_ylabel("ZBEST")
    ax.set_aspect("equal")
    ax.set_title(f"{short_name(evaluation.name)}\nrows called quasars")
    legend_below(ax, ncols=3, handletextpad=0.2, columnspacing=1)
    return ax


def as_list(evaluations: Evaluation | Sequence[Evaluation]) -> list[Evaluation]:
    """One or several evaluations as a list; InputError where there is none."""
    every = [evaluations] if isinstance(evaluations, Evaluation) else evaluations
    if not isinstance(every, (list, tuple)):
        raise InputError(f"evaluations must be one or a list, not {type_name(every)}")
    if not every:
        raise InputError("evaluations is empty: at least one was expected")
    return [check_type("each of evaluations", each, Evaluation) for each in every]


def _mark_confusions(ax: Axes, evaluation: Evaluation, ends: Any) -> None:
    """Lines where one emission line is taken for another, for the most frequent pairs, named."""
    # Names close together at the right are joined; those of close steep lines alternate sides.
    table, rest = evaluation.lines, dict(zip(*known_lines(evaluation.sample.result), strict=True))
    pairs = [tuple(pair) for pair in np.argwhere(table.counts)]
    pairs.sort(key=lambda pair: -table.counts[pair])
    named = [(table.rows[row], table.columns[column]) for row, column in pairs]
    named = [pair for pair in named if {*pair} <= {*rest}][:_MOST_PAIRS]
    ratios = {pair: rest[pair[0]] / rest[pair[1]] for pair in named}
    for ratio in ratios.values():
        ax.plot(ends, (1 + ends) * ratio - 1, color=GREY, lw=0.6, ls="--", zorder=0)
    right: list[tuple[float, str]] = []
    last_ratio, crowd = np.inf, 0
    for (there, taken), ratio in sorted(ratios.items(), key=lambda item: -item[1]):
        last = (1 + ends[1]) * ratio - 1
        name = f"{line_label(there)} as {line_label(taken)}"
        if last <= ends[1]:
            right.append((last, name))
        else:
            # Along the line, beside it: across, the line would strike it out.
            crowd = crowd + 1 if last_ratio / ratio < _CLOSE_RATIO else 0
            last_ratio = ratio
            height = (0.97 - _NAME_LENGTH * (crowd // 2)) * ends[1]
            style: dict[str, Any] = {
                "rotation": np.degrees(np.arctan(ratio)),
                "rotation_mode": "anchor",
                "transform_rotates_text": True,
                "ha": "right",
                "va": "top" if crowd % 2 else "bottom",
            }
            ax.text((1 + height) / ratio - 1, height, name, fontsize=7, color=GREY, **style)
    for position, name in _joined(sorted(right), 0.04 * ends[1]):
        annotate(ax, name, 1, position, size=7, coords=("axes fraction", "data"), color=GREY)


def _joined(labels: list[tuple[float, str]], distance: float) -> list[tuple[float, str]]:
    """Labels in ascending order, those nearer than a distance to the last one in one with it."""
    joined: list[tuple[float, str]] = []
    first = -np.inf
    for position, name in labels:
        if position - first < distance:
            low, names = joined[-1]
            joined[-1] = (low, f"{name}\n{names}")
        else:
            joined.append((position, name))
            first = position
    return joined
