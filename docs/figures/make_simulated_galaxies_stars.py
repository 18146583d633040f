"""Draw the figure of simulated galaxies and stars, one of each kind, noiseless.

python docs/figures/make_simulated_galaxies_stars.py OUT.png
"""

import argparse

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter1d

from qnet.plotting.figure import flux_label
from qnet.simulation.frame import FRAME
from qnet.simulation.stars_galaxies import galaxies, stars

#: Columns of panels.
COLUMNS = 4


def main() -> None:
    """Read the arguments, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", help="PNG file to write")
    arguments = parser.parse_args()
    plt.style.use("qnet.plotting.house")
    rng = np.random.default_rng(7)
    panels = []
    for module, magnitude in ((galaxies, 19.5), (stars, 19.0)):
        objects = module.make(rng, np.full(1200, magnitude))
        kinds = objects.truth["TRUESUBTYPE"]
        for kind in module.KINDS:
            row = int(np.flatnonzero(kinds == kind)[0])
            label = kind + (f", z = {objects.truth['TRUEZ'][row]:.2f}" * (module is galaxies))
            panels.append((label, objects.flux[row], "C0" if module is galaxies else "C1"))
    rows = -(-len(panels) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(10, 1.35 * rows), sharex=True)
    for axis, (label, flux, colour) in zip(axes.ravel(), panels, strict=False):
        # About the resolution of BOSS; the tallest lines are cut.
        smooth = gaussian_filter1d(flux, 1.2)
        axis.plot(FRAME.wave, smooth, lw=0.5, color=colour)
        axis.set_ylim(0, min(smooth.max() * 1.08, 4 * np.median(smooth) + np.quantile(smooth, 0.9)))
        axis.set_title(label, size="small", pad=2)
        axis.tick_params(labelsize="small")
    for axis in axes.ravel()[len(panels) :]:
        axis.set_axis_off()
    figure.supxlabel(r"wavelength, vacuum [$\mathrm{\AA}$]")
    figure.supylabel(flux_label("1e-17 erg / (s cm2 Angstrom)"))
    figure.savefig(arguments.output, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main()
