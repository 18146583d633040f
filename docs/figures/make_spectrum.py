"""Draw docs/figures/spectrum.png: one spectrum and the lines that a network finds in it.

python docs/figures/make_spectrum.py SPECTRUM WEIGHTS OUT.png
"""

import argparse

import matplotlib

matplotlib.use("Agg")

import qnet
from qnet.plotting import plot_spectrum


def main() -> None:
    """Read the arguments, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spectrum", help="FITS file; its first spectrum is drawn")
    parser.add_argument("weights", help="weights file")
    parser.add_argument("output", help="PNG file to write")
    arguments = parser.parse_args()
    axes = plot_spectrum(qnet.read_spectra(arguments.spectrum), qnet.load_model(arguments.weights))
    axes.figure.savefig(arguments.output, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
