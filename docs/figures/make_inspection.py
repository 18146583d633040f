"""Draw docs/figures/inspection.png: the inspection page on simulated spectra, in Chromium."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import qnet


def main() -> None:
    """Make the page and take its picture."""
    spectra = qnet.simulate(30, seed=11).collect().spectra
    with tempfile.TemporaryDirectory() as folder:
        catalogue = qnet.classify(spectra)
        page = qnet.inspect(catalogue, spectra, Path(folder) / "page.html", explain=True)
        with sync_playwright() as playwright:
            program = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            tab = browser.new_page(viewport={"width": 1400, "height": 780})
            tab.goto(page.resolve().as_uri())
            tab.wait_for_selector("body[data-ready=yes]")
            for key in ("q", "t"):
                tab.keyboard.press(key)
            tab.wait_for_timeout(2000)
            tab.screenshot(path=str(Path(__file__).with_name("inspection.png")))
            browser.close()


if __name__ == "__main__":
    main()
