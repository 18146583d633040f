"""The command as a user runs it."""

from __future__ import annotations

import subprocess
import sys


def run(*arguments, **options):
    """The command, in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "qnet", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


def errors(done):
    """Lines of the command that say error; there are no others than these and warnings."""
    lines = done.stderr.splitlines()
    assert all(line.startswith(("qnet: error: ", "qnet: warning: ")) for line in lines), lines
    return [line for line in lines if line.startswith("qnet: error: ")]
