"""The progress bar: what it counts and how it says it."""

from __future__ import annotations

import re

import pytest

from qnet.cli.common import show_warning
from qnet.core.progress import Progress


def shown(capsys) -> list[str]:
    """The states of the bar, without times and rates."""
    text = re.sub(r"\d\d:\d\d, (\S+ left, )?", "", capsys.readouterr().err)
    return [part.strip() for part in re.sub(r", \d+/s", "", text).split("\r") if part.strip()]


def test_blocks_of_a_file_are_counted_before_it_is_done(capsys):
    with Progress(True, files=3) as bar:
        bar.add(100, of_file=0.5)
        bar.add_file(150)
        bar.add_file(failed=True, part=0.5)
        bar.add_file(20, part=0.5)
        bar.add_file(7)
    last = shown(capsys)[-1]
    assert last == "100%|██████████| 177 spectra, 3 of 3 files, 1 failed"


def test_a_run_goes_on_where_it_was(capsys):
    with Progress(True, spectra=40, done=10) as bar:
        bar.note("epoch 2 of 4")
        bar.add(20)
    states = shown(capsys)
    assert states[0].endswith("10 of 40 spectra")
    assert states[-1] == "75%|███████▌  | 30 of 40 spectra, epoch 2 of 4"


@pytest.mark.parametrize("show", [None, False])
def test_nothing_is_shown_without_a_terminal(capsys, show):
    with Progress(show, files=2, what="reading") as bar:
        bar.add_file(3)
    assert capsys.readouterr().err == ""


def test_a_warning_is_a_line_of_its_own(capsys):
    with Progress(True, what="merging") as bar:
        bar.add(5)
        show_warning("a name")
    assert "\nqnet: warning: a name\n" in capsys.readouterr().err.replace("\r", "\n")
