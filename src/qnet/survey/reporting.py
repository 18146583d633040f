"""What a run tells while it goes on: failures and warnings."""

from __future__ import annotations

import logging
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
