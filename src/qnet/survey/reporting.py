"""What a run tells while it goes on: failures, warnings, and a progress bar."""

from __future__ import annotations

import logging
import time
from typing import Protocol

from qnet.core.errors import Failure, warn

logger = logging.getLogger(__name__)


class Reporter(Protocol):
    """Where a run tells what happens, as it happens."""

    def failure(self, failure: Failure) -> None:
        """An input failed."""

    def warning(self, message: str) -> None:
        """A warning about an input."""

    def note(self, message: str) -> None:
        """What is to be done."""


class Logged:
    """Failures to the log of the library, warnings as Python's."""

    def failure(self, failure: Failure) -> None:
        """An input failed."""
        logger.error("%s", failure.error)

    def warning(self, message: str) -> None:
        """A warning about an input."""
        warn(message)

    def note(self, message: str) -> None:
        """What is to be done."""
        logger.info("%s", message)


class Bar:
    """A progress bar in files and spectra, where there is a terminal and one is asked for."""

    def __init__(self, total: int, progress: bool) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, unit="file", disable=None if progress else True)
        self._start = time.monotonic()
        self._spectra = self._failed = 0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def count(self, spectra: int, failed: bool = False) -> None:
        """Count an input."""
        self._spectra += spectra
        self._failed += failed
        rate = self._spectra / max(time.monotonic() - self._start, 1e-3)
        text = f"{self._spectra} spectra, {rate:.0f} spectra/s"
        text += f", {self._failed} failed" if self._failed else ""
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update()
