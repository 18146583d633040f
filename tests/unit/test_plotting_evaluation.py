"""The figures of an evaluation show its numbers."""

from __future__ import annotations

import re
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

from catalogues import make_result, mock_survey, record
from qnet import evaluate
from qnet.core.errors import FileError, InputError, OutputExistsError
from qnet.plotting import (
    plot_calibration,
    plot_confusion,
    plot_dv,
    plot_purity_completeness,
    plot_z,
)
from qnet.plotting.evaluation import FIGURES, figure_paths, write_figures

mpl.use("Agg")


@pytest.fixture(scope="module")
def evaluations():
    """Of one catalogue with confidences, and of one with classes and redshifts only."""
    truth, result = mock_survey(200)
    result = replace(result, criterion="at least 1 line(s) with c > 0.5")
    bare = make_result(result.zbest, is_qso=result.is_qso, name="bare")
    return [evaluate(each, truth, nboot=2) for each in (result, bare)]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_purity_and_completeness_of_one(evaluations, ax):
    scan = evaluations[0].scans[0]
    for drawn in (evaluations[0], scan):
        ax.clear()
        assert plot_purity_completeness(drawn, ax=ax) is ax
        names = ("purity", "completeness", "strict_purity")
        shown = [name.replace("_", " ") for name in names]
        if drawn is evaluations[0]:
            metrics = [drawn.metric(name) for name in names]
            shown = [
                f"{name} {metric.value:.3f} (n = {metric.n})"
                for name, metric in zip(shown, metrics, strict=True)
            ]
            np.testing.assert_allclose(ax.lines[-1].get_xdata(), 0.5)
            ax.lines[-1].remove()
            shown.append("threshold in use, 0.5")
        assert labels(ax) == [*shown, "95 % interval"]
        for line, band, name in zip(ax.lines, ax.collections, names, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), scan.thresholds)
            np.testing.assert_array_equal(line.get_ydata(), getattr(scan, name))
            low, high = band.get_datalim(ax.transData).intervaly
            assert low == np.nanmin(getattr(scan, f"{name}_low"))
            assert high == np.nanmax(getattr(scan, f"{name}_high"))
        # All above the smallest thresholds is in view.
        assert ax.get_ylim()[0] <= np.nanmin(scan.purity_low[10:])
        assert "line confidence" in ax.get_xlabel()


def test_the_scan_is_that_of_the_score_that_the_rule_rests_on(ax):
    truth, result = mock_survey(200)
    scored = replace(result, score=np.linspace(0, 1, len(result)), score_name="P_QSO")
    for rule, label in (("IS_QSO (P_QSO > 0.5)", "P_QSO"), (result.criterion, "line confidence")):
        ax.clear()
        plot_purity_completeness(evaluate(replace(scored, criterion=rule), truth, nboot=2), ax=ax)
        assert ax.get_xlabel() == f"threshold on {label}"


def test_figures_of_their_own_are_of_pyplot(evaluations):
    """So notebooks show them."""
    import matplotlib.pyplot as plt

    for draw in (plot_purity_completeness, plot_dv, plot_calibration):
        axes = draw(evaluations[0])
        assert axes.figure.number in plt.get_fignums()
        plt.close(axes.figure)


def test_purity_and_completeness_of_several(evaluations, ax):
    plot_purity_completeness(evaluations, ax=ax)
    values = [re.sub(r" \d\.\d{3} \(n = \d+\)", "", label) for label in labels(ax)]
    assert values == [
        "made: purity",
        "made: completeness",
        "bare: purity, no threshold",
        "bare: completeness, no threshold",
        "threshold in use, 0.5",
        "95 % interval",
    ]
    level = evaluations[1].metric("completeness").value
    np.testing.assert_array_equal(ax.lines[3].get_ydata(), level)
    colours = [line.get_color() for line in ax.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]


def test_histograms_of_dv_hold_every_quasar(evaluations, ax):
    plot_dv(evaluations[0], limit=2000.0, ax=ax)
    sample = evaluations[0].sample
    dv = sample.dv[sample.called & sample.quasar]
    values, edges, _ = ax.patches[0].get_data()
    inside = np.abs(dv) <= 2000
    assert values.sum() == inside.sum() < len(dv)
    np.testing.assert_array_equal(values, np.histogram(dv, edges)[0])
    (label,) = labels(ax)
    assert f"n = {len(dv)}," in label
    assert f"{(~inside).sum()} beyond 2000" in label
    assert edges[1] - edges[0] < evaluations[0].metric("dv_nmad", "ZBEST").value
    assert "km/s" in ax.get_xlabel()
    with pytest.raises(InputError, match=r"limit .km/s. must be finite and above 0"):
        plot_dv(evaluations[0], limit=0.0, ax=ax)
    with pytest.raises(InputError, match="evaluations is empty"):
        plot_dv([], ax=ax)


def test_redshifts_are_parted_into_right_wrong_and_no_quasar(evaluations, ax):
    plot_z(evaluations[0], ax=ax)
    sample = evaluations[0].sample
    judged = sample.called & ~sample.bad
    counts = [len(points.get_offsets()) for points in ax.collections]
    expected = [
        (judged & sample.quasar & sample.right).sum(),
        (judged & sample.quasar & ~sample.right).sum(),
        (judged & ~sample.quasar).sum(),
    ]
    assert counts == expected
    assert sum(counts) == evaluations[0].metric("purity").n
    assert [int(label.split("(")[1][:-1]) for label in labels(ax)] == expected
    np.testing.assert_array_equal(
        ax.collections[1].get_offsets()[:, 0], sample.z[judged & sample.quasar & ~sample.right]
    )


def test_places_of_confused_lines_are_marked(ax):
    from catalogues import REST

    z = np.array([2.4, 2.0, 1.0, 1.0])
    zbest = REST[[0, 0, 2, 1]] * (1 + z) / REST[[3, 3, 0, 1]] - 1
    truth = {n: record("QSO", float(x)) for n, x in enumerate(z, start=1)}
    c_lines = np.full((4, 6), 0.1)
    c_lines[np.arange(4), [3, 3, 0, 1]] = 0.9
    plot_z(evaluate(make_result(zbest, c_lines), truth), ax=ax)
    names = [text.get_text() for text in ax.texts]
    assert sorted(names) == [r"C III] as Ly$\alpha$", r"Ly$\alpha$ as Mg II"]
    # The first of the marked lines (after the diagonal) runs through its two points.
    np.testing.assert_allclose(np.interp(z[:2], *ax.lines[1].get_data()), zbest[:2])


def test_names_of_steep_lines_do_not_overlap(ax):
    """Halpha as MgII and MgII as LYA lie at nearly the same ratio."""
    from catalogues import REST

    z = np.array([0.5, 0.5])
    zbest = REST[[5, 3]] * (1 + z) / REST[[3, 0]] - 1
    truth = {n: record("QSO", float(x)) for n, x in enumerate(z, start=1)}
    c_lines = np.full((2, 6), 0.1)
    c_lines[np.arange(2), [3, 0]] = 0.9
    plot_z(evaluate(make_result(zbest, c_lines), truth), ax=ax)
    sides = {text.get_text(): text.get_va() for text in ax.texts}
    assert sides == {r"H$\alpha$ as Mg II": "bottom", r"Mg II as Ly$\alpha$": "top"}


def test_confusion_tables_show_their_counts(evaluations, ax):
    table = evaluations[0].classes
    plot_confusion(table, title="classes", ax=ax)
    shown = [text.get_text() for text in ax.texts]
    assert shown == [str(count) if count else "·" for count in table.counts.ravel()]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        f"{name} ({count})"
        for name, count in zip(table.rows, table.counts.sum(axis=1), strict=True)
    ]
    assert ax.get_title() == "classes"
    ax.clear()
    empty = replace(evaluations[0].lines, counts=np.zeros_like(evaluations[0].lines.counts))
    plot_confusion(empty, ax=ax)
    assert [text.get_text() for text in ax.texts] == ["no such rows"]


def test_calibration_curve(evaluations, ax):
    long = replace(evaluations[0], name=50 * "a" + 50 * "z")
    plot_calibration([long, evaluations[1]], ax=ax)
    curve = evaluations[0].calibration
    (drawn,) = ax.containers  # the other has no score
    some = curve.n > 0
    np.testing.assert_array_equal(drawn[0].get_xdata(), curve.mean[some])
    np.testing.assert_array_equal(drawn[0].get_ydata(), curve.fraction[some])
    assert f"n = {curve.n.sum()}" in labels(ax)[0]
    assert labels(ax)[0].startswith(15 * "a" + "\N{HORIZONTAL ELLIPSIS}" + 15 * "z" + ": ")
    (rows,) = ax.figure.axes[1:]
    np.testing.assert_array_equal(rows.patches[0].get_data()[0], curve.n)


def test_new_axes_when_none_are_given(evaluations):
    for axes in (
        plot_purity_completeness(evaluations),
        plot_dv(evaluations),
        plot_z(evaluations[0]),
        plot_confusion(evaluations[0].lines),
        plot_calibration(evaluations[1]),
    ):
        assert axes.figure is not None


def test_all_figures_go_into_a_folder(tmp_path, evaluations, monkeypatch):
    folder = tmp_path / "new" / "figures"
    paths = write_figures(evaluations, folder)
    assert paths == figure_paths(folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{n}.png" for n in FIGURES)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    before = [path.read_bytes() for path in paths]
    paths[-1].unlink()
    with pytest.raises(OutputExistsError, match="exists already"):
        write_figures(evaluations[:1], folder)
    assert [path.read_bytes() for path in paths[:-1]] == before[:-1]
    monkeypatch.setattr(
        "qnet.plotting.evaluation.FIGURES", {"purity_completeness": FIGURES["purity_completeness"]}
    )
    write_figures(evaluations[:1], folder, overwrite=True)
    assert paths[0].read_bytes() != before[0]
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(FileError, match="the folder cannot be made"):
        write_figures(evaluations, blocked)
