"""QuasarNET's network and loss, trained on the spectra of the shipped model's first stage.

    python recipes/baseline.py FOLDER [--epochs N]

FOLDER is that of `recipes/default_model.py`. The network is the published one: 100 filters, its
loss, Adam at a constant rate; augmentation and precision are those of the shipped model. So its
network, loss, optimiser and number of epochs differ.
`measure.py --baseline FOLDER/baseline/best.safetensors` puts both side by side.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from default_model import LINES, files

from qnet.training import NetworkOptions, train

#: QuasarNET trains for 5 epochs in its tutorial, on 10 000 spectra; these are two million.
EPOCHS = 1


def main() -> None:
    """Train it, or go on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    settings = dataclasses.replace(
        LINES,
        epochs=options.epochs,
        learning_rate=1e-3,
        schedule="constant",
        weight_decay=0.0,
        loss="quasarnet",
        network=NetworkOptions(),
        name="quasarnet-baseline",
    )
    folder = options.folder / "baseline"
    resume = folder.exists()
    train(*files(options.folder, "train"), folder, settings, resume=resume, progress=True)


if __name__ == "__main__":
    main()
