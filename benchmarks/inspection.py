"""Weight of an inspection page of 500 spectra, and the time until a browser shows the first.

    python benchmarks/inspection.py [--nspec 500] [--repeats 3]

Each time a fresh Chromium opens the page, and an empty page with plotly's script alone beside it.
Standard output gets the seconds of processor time of the page's main thread, those of the wall
clock, and the ratio to plotly alone. Needs the extras `inspect` and `test`, and Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright
from plotly.offline import get_plotlyjs

import qnet


def open_page(path: Path, selector: str) -> tuple[float, float]:
    """Seconds of the main thread and of the wall clock until an element is there."""
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        start = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_selector(selector)
        wall = time.perf_counter() - start
        metrics = session.send("Performance.getMetrics")["metrics"]
        browser.close()
    return next(x["value"] for x in metrics if x["name"] == "ThreadTime"), wall


def main() -> None:
    """Make the page, open it, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nspec", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        spectra = qnet.simulate(arguments.nspec, seed=1, survey="desi").collect().spectra
        page = qnet.inspect(qnet.classify(spectra), spectra, folder / "page.html", most=5000)
        bare = folder / "bare.html"
        bare.write_text(f"<body><p>plotly</p><script>{get_plotlyjs()}</script></body>")
        print(f"{arguments.nspec} spectra: {page.stat().st_size / 1e6:.1f} MB")
        times: dict[str, list[tuple[float, float]]] = {"page": [], "plotly alone": []}
        for _ in range(arguments.repeats):
            times["page"].append(open_page(page, "body[data-ready=yes]"))
            times["plotly alone"].append(open_page(bare, "p"))
        medians = {
            name: [statistics.median(column) for column in zip(*values, strict=True)]
            for name, values in times.items()
        }
        for name, (cpu, wall) in medians.items():
            print(f"{name}: {cpu:.2f} s of processor time, {wall:.2f} s")
        print(f"ratio: {medians['page'][0] / medians['plotly alone'][0]:.1f}")


if __name__ == "__main__":
    main()
