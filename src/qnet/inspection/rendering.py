"""The page as HTML: the files of the folder ``page``, with the data of the spectra."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet import __version__
from qnet.classification.occlusion import Explanation
from qnet.core.arrays import Columns, FloatArray
from qnet.core.columns import LINE_CARDS
from qnet.core.flags import QNFlag
from qnet.core.grid import WavelengthGrid
from qnet.core.spectra import Spectra
from qnet.inspection.fitted import Fits
from qnet.inspection.marks import MARKS, SHAPE_STEP, mean_quasar, printed_name, unit_text
from qnet.inspection.packing import (
    LEAST_LOG_P,
    MOST_CHANGE,
    as_halves,
    as_text,
    find_grid,
    pack,
    pack_change,
    pack_probability,
)
from qnet.inspection.queue import Queue
from qnet.io.catalogue import from_table
from qnet.lines import absorber_IGM
from qnet.postprocess.decoding import C_THRESHOLD

if TYPE_CHECKING:
    from astropy.table import Table

#: Scripts of the page, in their order, after plotly's.
SCRIPTS = ("data.js", "spectrum.js", "verdicts.js", "queue.js", "main.js")

#: Columns that the exported table has beside those of an inspection, where the catalogue has them.
_EXPORTED = ("TILEID", "EXPID")

#: Places in the page that are filled in.
_PLACE = re.compile(r"\{\{(\w+)\}\}")


@dataclasses.dataclass(frozen=True, eq=False)
class Item:
    """What the page shows of a spectrum."""

    spectra: Spectra  # the one
    row: int  # of the catalogue
    source: str  # its file and row, in words
    reasons: list[str]
    pz: FloatArray  # probabilities of redshifts; empty without
    candidates: list[tuple[float, float]]  # redshifts and their probabilities
    explanation: Explanation | None


def write_page(
    path: Path,
    table: Table,
    queue: Queue,
    items: Sequence[Item],
    batches: Sequence[Spectra],
    pz_edges: FloatArray | None,
    parts: FloatArray | None,
    name: str,
    fits: Fits | None,
) -> None:
    """Write the page of some spectra in their order."""
    from plotly.offline import get_plotlyjs

    grid = find_grid(batches)
    columns = dict(from_table(table).columns)
    shared = {"catalogue": name} | _describe(table, columns, queue, grid, items)
    if pz_edges is not None:
        step = float(pz_edges[1] - pz_edges[0])
        shared["pz"] = [float(pz_edges[0]), step, len(pz_edges) - 1, LEAST_LOG_P]
    if parts is not None:
        shared["parts"] = [round(float(x), 2) for x in parts]
        shared["change"] = MOST_CHANGE / 127
    shared["fits"] = fits is not None
    described = [_describe_item(item, columns, queue, shared, parts is not None) for item in items]
    centres = grid.wave * 10 ** (grid.step / 2)
    blocks: list[bytes] = []
    for item in items:
        (data,), (scale,) = pack(item.spectra, grid)
        described[len(blocks)]["scale"] = [_rounded(x) for x in scale]
        data += _tail(item, pz_edges, parts)
        if fits is not None:
            fit = fits.flux(int(columns["TARGETID"][item.row]), centres)
            described[len(blocks)]["fitted"] = fit is not None
            data += b"" if fit is None else as_halves(fit / scale[0])
        blocks.append(data)
    shared["items"] = described
    scripts = [get_plotlyjs(), *(_read(name) for name in SCRIPTS)]
    values = {
        "policy": _policy(scripts),
        "title": html.escape(f"{shared['catalogue']}: inspection"),
        "style": _read("page.css"),
        "shared": _as_json(shared),
        "spectra": "\n".join(_blocks(blocks)),
        "scripts": "\n".join(f"<script>{text}</script>" for text in scripts),
    }
    # One pass: what is filled in is not searched for places again.
    text = _PLACE.sub(lambda match: values[match[1]], _read("page.html"))
    path.write_text(text, encoding="utf-8")


def _read(name: str) -> str:
    """A file of the page."""
    return (files("qnet.inspection") / "page" / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """Content security policy: nothing is loaded, and no script runs but these."""
    digests = (base64.b64encode(hashlib.sha256(x.encode()).digest()).decode() for x in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _as_json(value: object) -> str:
    """JSON for a script element: no character of it ends that, or begins a comment."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _blocks(blocks: Sequence[bytes]) -> Iterator[str]:
    """The spectra: elements that a browser keeps as text until they are looked at."""
    for number, data in enumerate(blocks):
        yield f'<script type="text/plain" id="s{number}">{as_text(data)}</script>'


def _tail(item: Item, pz_edges: FloatArray | None, parts: FloatArray | None) -> bytes:
    """What follows the spectrum: p(z), and the changes of two logits, where the page has them."""
    data = b""
    if pz_edges is not None:
        npz = len(pz_edges) - 1
        data += pack_probability(item.pz if len(item.pz) == npz else np.zeros(npz))
    if parts is not None:
        nothing = np.zeros(len(parts) - 1)
        found = item.explanation
        for values in (nothing, nothing) if found is None else (found.qso, found.redshift):
            data += pack_change(values)
    return data


def _describe(
    table: Table, columns: Columns, queue: Queue, grid: WavelengthGrid, items: Sequence[Item]
) -> dict[str, Any]:
    """What all spectra have in common."""
    meta = table.meta
    start, shape = mean_quasar()
    scalar = [name for name in table.colnames if columns[name].ndim == 1]
    ids = [int(columns["TARGETID"][item.row]) for item in items]
    digest = hashlib.sha256(json.dumps([meta.get("MODELSHA", ""), ids]).encode()).hexdigest()
    units = {item.spectra.flux_unit for item in items}
    return {
        "version": __version__,
        "key": f"qnet-inspection-{digest[:24]}",
        "model": str(meta.get("MODEL", "")),
        "criterion": str(meta.get("STRATEGY", "")),
        "threshold": _number(meta.get("CTHRESH"), C_THRESHOLD),
        "other": "" if queue.other is None else queue.other.name,
        "grid": {"start": grid.start, "step": grid.step, "npix": grid.npix},
        "unit": unit_text(units.pop()) if len(units) == 1 else "",
        "columns": [
            [name, str(table[name].unit or ""), table[name].info.description or ""]
            for name in scalar
        ],
        "exported": [name for name in _EXPORTED if name in scalar],
        "marks": [[mark.name, mark.rest, mark.kind] for mark in MARKS],
        "shape": {"start": start, "step": SHAPE_STEP, "flux": [float(f"{x:.4g}") for x in shape]},
        "lines": _lines(columns, meta, "lines"),
        "bals": _lines(columns, meta, "lines_bal"),
        "flags": [[flag.bit, str(flag.name), flag.meaning] for flag in QNFlag],
    }


def _number(value: Any, default: float) -> float:
    """A number of the header."""
    good = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if good else default


def _lines(columns: Columns, meta: Mapping[str, Any], shape: str) -> list[list[Any]]:
    """Printed name and rest wavelength of each line that the header of the catalogue names."""
    values = columns.get("C_LINES" if shape == "lines" else "C_LINES_BAL")
    found = []
    for number in range(0 if values is None or values.ndim != 2 else values.shape[1]):
        name = str(meta.get(f"{LINE_CARDS[shape]}{number}", ""))
        rest = meta.get(f"{'REST' if shape == 'lines' else 'BREST'}{number}")
        found.append([printed_name(name), _number(rest, absorber_IGM.get(name, 0.0))])
    return found


def _describe_item(
    item: Item, columns: Columns, queue: Queue, shared: Mapping[str, Any], explained: bool
) -> dict[str, Any]:
    """What the page shows of a spectrum beside its pixels."""
    row = item.row
    value = {name: columns[name][row] for name in columns if columns[name].ndim == 1}
    match = queue.matches[row]
    described: dict[str, Any] = {
        "id": str(int(value["TARGETID"])),
        "row": row,
        "source": item.source,
        "reasons": item.reasons,
        "cells": [_cell(value[name]) for name, *_ in shared["columns"]],
        "qso": bool(value["IS_QSO"]),
        "bal": bool(value.get("IS_BAL", False)),
        "flag": int(value.get("QN_FLAG", 0)),
        "wrong": _rounded(queue.p_wrong[row]),
        "lines": _pairs(columns, "LINES", row, len(shared["lines"])),
        "bals": _pairs(columns, "LINES_BAL", row, len(shared["bals"])),
        "candidates": [[_rounded(z), _rounded(p)] for z, p in item.candidates],
    }
    for key, name in _NUMBERS.items():
        described[key] = _rounded(value.get(name, math.nan))
    if queue.other is not None and match >= 0:
        described["other"] = [bool(queue.other.is_qso[match]), _rounded(queue.other.zbest[match])]
    if explained:
        described["explained"] = item.explanation is not None
    return described


#: Numbers of a row that the page works with, by their names there.
_NUMBERS = {"z": "ZBEST", "zerr": "ZERR", "p": "P_QSO", "pz": "P_Z", "z2": "Z2", "p2": "P2"}
_NUMBERS |= {"snr": "SNR", "pbal": "P_BAL"}


def _rounded(value: Any) -> float | None:
    """A number with seven digits; None where it is not finite, which JSON cannot hold."""
    number = float(value)
    return float(f"{number:.7g}") if math.isfinite(number) else None


def _cell(value: Any) -> str:
    """A value of a table as text."""
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}" if math.isfinite(value) else ""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def _pairs(columns: Columns, name: str, row: int, count: int) -> list[list[float | None]]:
    """Confidence and redshift of each line."""
    c, z = (columns.get(f"{kind}_{name}") for kind in "CZ")
    if c is None or z is None:
        return []
    return [[_rounded(c[row, n]), _rounded(z[row, n])] for n in range(count)]
