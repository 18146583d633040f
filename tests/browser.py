"""A headless Chromium that opens a page; tests are skipped where there is none."""

from __future__ import annotations

import contextlib
import shutil

import pytest


def find_chromium():
    """The program; None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def open_browser():
    """A browser without network."""
    pytest.importorskip("plotly", reason="plotly is not installed")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if (program := find_chromium()) is None:
        pytest.skip("there is no Chromium on this machine")
    with api.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page in a browser, and what it wrote to its console."""

    def __init__(self, browser, path, **options):
        self.context = browser.new_context(
            viewport={"width": 1500, "height": 850}, offline=True, accept_downloads=True, **options
        )
        self.page = self.context.new_page()
        self.complaints = []
        self.requests = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.path = path
        self.open()

    def open(self):
        """Open the page, anew."""
        self.page.goto(self.path.resolve().as_uri())
        self.page.wait_for_selector("body[data-ready=yes]")

    def press(self, *keys):
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, name):
        """Text of the element of an id."""
        return self.page.inner_text(f"#{name}")

    def listed(self):
        """TARGETIDs in the list."""
        return self.page.eval_on_selector_all(
            "#list li > div:not(.small)", "found => found.map(x => x.textContent)"
        )

    def current(self):
        """TARGETID of the spectrum that is shown."""
        return self.page.inner_text("#head > span:first-child").split()[0]
