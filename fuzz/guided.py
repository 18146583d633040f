"""Bytes to one reader, made by libFuzzer and guided by the lines of qnet that they reach.

    PYTHONPATH=tests python fuzz/guided.py TARGET -max_total_time=600 -rss_limit_mb=2500

TARGET is one of fuzz/targets.py, with the suffix of its files where there are several, as
truth.csv; further arguments are libFuzzer's. It needs the extra fuzz. The process ends with the
first finding, which libFuzzer writes to a file crash-*.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["qnet.io", "qnet.model", "qnet.evaluation"]):
    from targets import TARGETS, judge

    import damage


def main() -> None:
    """Fuzz until a finding, or for as long as libFuzzer is told."""
    _, name, *arguments = sys.argv
    target, dot, suffix = name.partition(".")
    read, pattern = TARGETS[target]
    folder = Path(tempfile.mkdtemp())
    corpus = folder / "corpus"
    for part in (folder / "seeds", corpus):
        part.mkdir()
    seeds = [path for path in damage.seed_files(folder / "seeds") if path.match(pattern)]
    suffix = dot + suffix or seeds[0].suffix
    for path in seeds:
        if path.suffix == suffix:
            (corpus / path.name).write_bytes(path.read_bytes())
    file = folder / f"{seeds[0].name.partition('.')[0]}{suffix}"

    def one(data: bytes) -> None:
        file.write_bytes(data)
        if (outcome := judge(read, file)) not in ("read", "error"):
            raise RuntimeError(outcome)

    atheris.Setup([name, str(corpus), "-timeout=60", *arguments], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
