"""The progress bar of all that takes long: spectra, their rate, files, and the time left."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType

#: The bar; the time left follows from the fraction that is done. The end of a line may be cut off.
_FORMAT = "{percentage:3.0f}%|{bar:10}| {elapsed}, {remaining} left, {desc}"

#: The same where the total is not known.
_NO_TOTAL = "{elapsed}, {desc}"

#: Thirds of a file make a whole one.
_ROUNDING = 1e-6


class Progress:
    """A progress bar on standard error: on a terminal only where `show` is None.

    The total is a number of files, or where there are none one of spectra; of neither where it is
    not known.
    """

    def __init__(
        self, show: bool | None, *, files: int = 0, spectra: int = 0, done: int = 0, what: str = ""
    ) -> None:
        from tqdm import tqdm

        self._files, self._total, self._what = files, spectra, what
        self._spectra, self._at_start = done, done
        self._whole = self._part = self._failed = 0.0
        self._of_part = 0
        self._note = ""
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._bar = tqdm(
            total=files or spectra or None,
            initial=0 if files else done,
            bar_format=_FORMAT if files or spectra else _NO_TOTAL,
            desc=self._describe(),
            disable=None if show is None else not show,
        )
        self.shown = not self._bar.disable

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, spectra: int, *, of_file: float = 0.0) -> None:
        """Count spectra, which are this fraction of a file that is not done yet."""
        with self._lock:
            self._spectra += spectra
            self._of_part += spectra
            self._part = min(1.0, self._part + of_file)
            self._update()

    def add_file(self, spectra: int = 0, *, part: float = 1.0, failed: bool = False) -> None:
        """Count a file or a part of it, and those of its spectra that were not counted yet."""
        with self._lock:
            self._spectra += max(0, spectra - self._of_part)
            self._of_part, self._part = 0, 0.0
            self._whole += part
            self._failed += part if failed else 0
            self._update()

    def note(self, text: str) -> None:
        """A text behind the numbers."""
        self._note = text

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.shown:
            self._bar.set_description_str(self._describe())
        self._bar.close()

    def _update(self) -> None:
        if self.shown:
            done = min(self._files, self._whole + self._part) if self._files else self._spectra
            self._bar.set_description_str(self._describe(), refresh=False)
            self._bar.update(done - self._bar.n)

    def _describe(self) -> str:
        """The numbers in words."""
        rate = (self._spectra - self._at_start) / max(time.monotonic() - self._start, 1e-3)
        of = f" of {self._total}" if self._total else ""
        parts = [f"{self._spectra}{of} spectra, {rate:.0f}/s"]
        if self._files:
            parts.append(f"{int(self._whole + _ROUNDING)} of {self._files} files")
        if self._failed:
            parts.append(f"{math.ceil(self._failed - _ROUNDING)} failed")
        parts += [self._note] if self._note else []
        return (f"{self._what}: " if self._what else "") + ", ".join(parts)


@contextlib.contextmanager
def above_bars() -> Iterator[None]:
    """Write to standard error above a progress bar, where one is shown."""
    if "tqdm" not in sys.modules:
        yield
        return
    from tqdm import tqdm

    with tqdm.external_write_mode(sys.stderr):
        yield
