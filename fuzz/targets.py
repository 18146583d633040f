"""The readers of files, and what they may do with a damaged one: give a result, or say why not."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import qnet

#: Characters of the longest message.
LONGEST = 1600


def _scan(path: Path) -> Any:
    from qnet.io.chi2_scan import read_excess

    return read_excess(path, np.arange(2), np.full(2, 2.0), np.full(2, 0.1))


def _result(path: Path) -> Any:
    from qnet.evaluation.catalogues import read_result

    return read_result(path)


def _redshifts(path: Path) -> Any:
    from qnet.redrock.redshifts import read_redshifts

    return read_redshifts(path)


def _spectra(path: Path) -> Any:
    from qnet.io.reader import read_blocks

    return list(read_blocks([path], nrows=2))


#: Readers, and the names of the files that each of them gets.
TARGETS: Mapping[str, tuple[Callable[[Path], Any], str]] = {
    "spectra": (qnet.read_spectra, "[cps]*.fits*"),
    "blocks of spectra": (_spectra, "[cps]*.fits*"),
    "tables of spectra": (qnet.read_spectra, "spectra.*"),
    "Multimodal Universe": (_spectra, "rows.*"),
    "prepared data": (qnet.io.read_data, "prepared.fits"),
    "truth": (qnet.io.read_truth, "truth*"),
    "spAll": (qnet.io.read_spall, "spAll.fits"),
    "catalogue": (qnet.read_catalogue, "catalogue.*"),
    "result": (_result, "catalogue*"),
    "redshifts": (_redshifts, "redrock.fits"),
    "distributions": (qnet.io.read_pz, "pz.*"),
    "scan": (_scan, "scan.h5"),
    "weights": (qnet.load_model, "network.*"),
}


def judge(read: Callable[[Path], Any], path: Path) -> str:
    """'read', 'error', or what is wrong with how a reader took a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read(path)
        except qnet.QnetError as error:
            text = str(error)
            if not text.isprintable() or len(text) >= LONGEST:
                return f"the message is no line: {text[:200]!r}"
            if "this machine's memory" in text:  # as `library_faults` has it
                return f"memory: {text}"
            return "error"
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            return f"{type(error).__name__}: {error}"
    return "read"
