"""The model card of a weights file, in the form that model hubs show: YAML, then Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from qnet.core.errors import printable
from qnet.model.description import describe_calibration, describe_networks, describe_training

if TYPE_CHECKING:
    from qnet.model.weights import WeightsFile

#: Licences by their SPDX names, as the hubs write them (their documentation, "licenses").
_LICENCES = {name.lower(): name.lower() for name in ("MIT", "BSD-2-Clause", "BSD-3-Clause")}
_LICENCES |= {
    name.lower(): name.lower() for name in ("Apache-2.0", "GPL-3.0", "CC-BY-4.0", "CC0-1.0")
}

#: By which a model is found on a hub.
_TAGS = ("astronomy", "spectroscopy", "quasars", "redshift", "safetensors")


def make_card(weights: WeightsFile) -> str:
    """The card of a model: of its header alone, so that each weights file has one."""
    return "\n".join([*_metadata(weights), "", *_text(weights)]) + "\n"


def _metadata(weights: WeightsFile) -> Iterator[str]:
    """YAML, whose texts are those of JSON, in the fields of the hubs' cards."""
    licence = weights.licence.strip()
    yield "---"
    if licence.lower() in _LICENCES:
        yield f"license: {_LICENCES[licence.lower()]}"
    elif licence:
        yield "license: other"
        yield f"license_name: {json.dumps(licence)}"
    yield "library_name: qnet"
    yield "tags:"
    yield from (f"- {tag}" for tag in _TAGS)
    yield "---"


def _text(weights: WeightsFile) -> Iterator[str]:
    """Markdown: what the model is and is for, its networks, calibration, training and licence."""
    name = f"{weights.name}@{weights.version}"
    first, calibration = weights.architecture, weights.calibration
    low, high = first.grid.wave[0], first.grid.wave[-1]
    yield f"# {_plain(name)}"
    yield ""
    yield "Finds quasars and their redshifts in survey spectra, by the method of Busca & Balland"
    yield "(2018, arXiv:1808.09955)."
    yield f"Input: spectra of {low:.0f} to {high:.0f} Angstrom in vacuum, rebinned and normalised."
    yield ""
    yield "## Use"
    yield ""
    yield "```python"
    yield "import qnet"
    yield ""
    yield f'table = qnet.classify("coadd.fits", model={_quoted(name)})'
    yield "```"
    yield ""
    yield "The name, or the path of the weights file, is the model. Loading it runs no code of it."
    yield ""
    yield "## Limits"
    yield ""
    if calibration is None:
        yield "- No calibration: confidences are no probabilities, and no row is flagged as odd."
    else:
        least, most = calibration.z_range
        yield f"- Trained on redshifts {least:g} to {most:g}; others are flagged `ZRANGE`."
        mix = ", ".join(f"{key} {value:g}" for key, value in calibration.mix.items())
        yield f"- Probabilities are calibrated on a sample of {_plain(mix)}."
        if calibration.outlier_threshold is not None:
            yield "- Spectra unlike those of the training are flagged `OUTLIER`."
    yield ""
    yield from _table("Networks", describe_networks(weights), but=("sha256", "licence"))
    if calibration is not None:
        yield from _table("Calibration", describe_calibration(calibration))
    yield from _table("Training", _training(weights.provenance))
    yield "## Licence"
    yield ""
    yield _plain(weights.licence or "Not stated.")
    for notice in weights.notices:
        yield from ("", " ".join(_plain(line) for line in notice.split("\n")))


def _training(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rows of the training, with the data by name and the loss of the last epoch."""
    sources = provenance.get("sources")
    if isinstance(sources, dict):
        for kind, files in sources.items():
            if isinstance(files, list):
                names = [str(file.get("name", "")) for file in files if isinstance(file, dict)]
                yield str(kind), ", ".join(names)
    history = provenance.get("history")
    if isinstance(history, list) and history and isinstance(history[-1], dict):
        losses = {key: history[-1].get(key) for key in ("epoch", "loss", "val_loss")}
        yield "last epoch", ", ".join(f"{k} {v:g}" for k, v in losses.items() if _is_number(v))
    rest = {key: value for key, value in provenance.items() if key not in ("sources", "history")}
    yield from describe_training(rest)


def _is_number(value: object) -> bool:
    """Whether a value is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _table(title: str, rows: Iterable[tuple[str, str]], but: Iterable[str] = ()) -> Iterator[str]:
    """A section with a table of two columns; nothing where it has no row."""
    kept = [(key, value) for key, value in rows if key not in but and value]
    if not kept:
        return
    yield from (f"## {title}", "", "| | |", "|---|---|")
    yield from (f"| {_plain(key)} | {_plain(value)} |" for key, value in kept)
    yield ""


def _quoted(text: str) -> str:
    """A text in quotes, as JSON, that ends no block of code."""
    return json.dumps(text).replace("`", r"\u0060")


def _plain(text: str) -> str:
    """A text of a header without markup, in one line."""
    return re.sub(r"([\\`*_<>|\[\]#])", r"\\\1", printable(text))
