"""Execute the tutorial notebooks and store their outputs in them.

    python docs/tutorials/execute.py [NOTEBOOK ...]

The documentation shows the stored outputs: building it needs neither TensorFlow nor minutes. A
notebook must be executed again when its code changes, which a test checks. Needs the extras
`tutorials` and `docs`, and Pillow, which matplotlib brings.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

#: Key of the notebook's metadata that holds the digest of the code whose outputs are stored.
EXECUTED = "executed"

#: Colours of a stored figure: enough for lines and shades, a third of the bytes.
COLOURS = 128


def notebooks() -> list[Path]:
    """The notebooks, in the order in which they are to be read."""
    return sorted(FOLDER.glob("*.ipynb"))


def code_cells(notebook: dict[str, Any]) -> list[str]:
    """The code of each code cell."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return ["".join(cell["source"]) for cell in cells]


def digest(notebook: dict[str, Any]) -> str:
    """SHA-256 of the code of a notebook."""
    return hashlib.sha256("\n\n".join(code_cells(notebook)).encode()).hexdigest()


def execute(path: Path) -> None:
    """Execute a notebook in an empty folder, and replace it by one with the outputs."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=None, record_timing=False, resources=where).execute()
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            shrink(output)
        if "outputs" in cell:
            # Messages of TensorFlow about this machine.
            cell["outputs"] = [o for o in cell["outputs"] if o.get("name") != "stderr"]
    notebook["metadata"] = {
        "kernelspec": notebook["metadata"]["kernelspec"],
        "language_info": {"name": "python"},
    }
    made = json.loads(nbformat.writes(notebook))
    made["metadata"][EXECUTED] = digest(made)
    path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")


def shrink(output: dict[str, Any]) -> None:
    """Store a figure in few colours."""
    from PIL import Image

    data = output.get("data", {})
    if "image/png" in data:
        image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
        buffer = io.BytesIO()
        image.quantize(COLOURS).save(buffer, "png", optimize=True)
        data["image/png"] = base64.b64encode(buffer.getvalue()).decode()


def main() -> None:
    """Execute the notebooks named, or all."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The stored outputs are those of the whole computations.
    if os.environ.pop("QNET_TUTORIAL_SIZE", None) is not None:
        print("QNET_TUTORIAL_SIZE is ignored: it is for reading the notebooks")
    for path in [Path(name) for name in sys.argv[1:]] or notebooks():
        start = time.perf_counter()
        execute(path)
        seconds = time.perf_counter() - start
        print(f"{path.name}: {seconds:.0f} s, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
