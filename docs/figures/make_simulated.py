"""Draw simulated spectra beside real ones, and measure the noise of both.

python docs/figures/make_simulated.py kinds OUT.png
python docs/figures/make_simulated.py compare OUT.png --data DATA
python docs/figures/make_simulated.py tables OUT.md --data DATA

`kinds` draws simulated spectra of every kind for BOSS and DESI. `compare` needs the folders
boss_dr12 and desi_everest of the sample data: it draws real spectra (left) beside simulated ones of
the same S/N (right), and the reported noise of both. `tables` measures noise and S/N of the spectra
in boss_dr12 and of simulated ones.
"""

import argparse
import itertools
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import median_filter

import qnet
from qnet.core.luminosity import R_BAND
from qnet.plotting.figure import flux_label
from qnet.simulation import simulate

#: What is drawn: title, kind, subtype ('' is any but BAL), redshifts, S/N per log pixel.
WANTED = (
    ("quasar", "QSO", "", (0.3, 0.8), (6, 15)),
    ("quasar", "QSO", "", (1.0, 1.9), (6, 15)),
    ("quasar", "QSO", "", (2.2, 3.0), (4, 10)),
    ("BAL quasar", "QSO", "BAL", (1.8, 3.0), (6, 20)),
    ("quasar", "QSO", "", (4.0, 5.5), (3, 10)),
    ("galaxy", "GALAXY", "", (0.1, 0.9), (4, 12)),
    ("star", "STAR", "", (-1, 1), (5, 20)),
    ("sky fibre", "SKY", "", (-1, 1), (-1, 1)),
)


def main() -> None:
    """Read the arguments, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("kinds", "compare", "tables"))
    parser.add_argument("output", help="file to write")
    parser.add_argument("--data", type=Path, help="folder of the sample data")
    parser.add_argument("--templates", help="folder of templates")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.what == "tables":
        Path(arguments.output).write_text(noise_table(arguments.data) + snr_table(arguments.data))
        return
    plt.style.use("qnet.plotting.house")
    if arguments.what == "kinds":
        figure = draw_kinds(arguments.seed, arguments.templates)
    else:
        figure = draw_comparison(arguments.data, arguments.seed)
    figure.supylabel(flux_label("1e-17 erg / (s cm2 Angstrom)"))
    figure.savefig(arguments.output, dpi=100, metadata={"Software": None})


def draw_kinds(seed: int, templates: str | None) -> plt.Figure:
    """Rows of kinds, a column for BOSS and one for DESI."""
    figure, axes = plt.subplots(len(WANTED), 2, figsize=(10, 1.6 * len(WANTED)), sharex="col")
    for column, survey in enumerate(("boss", "desi")):
        batch = simulate(2048, seed=seed, survey=survey, templates=templates).collect()
        truth = batch.truth
        for panel, (title, spectype, subtype, z, snr) in zip(axes[:, column], WANTED, strict=True):
            fits = (truth["TRUESPECTYPE"] == spectype) & (truth["TRUEZ"] > z[0])
            fits &= (truth["TRUEZ"] < z[1]) & (truth["SNR"] > snr[0]) & (truth["SNR"] < snr[1])
            fits &= (truth["TRUESUBTYPE"] == "BAL") == (subtype == "BAL")
            row = np.flatnonzero(fits)[column]
            label = f"{title}, z = {truth['TRUEZ'][row]:.3f}, r = {truth['RMAG'][row]:.1f}"
            if spectype in ("GALAXY", "STAR"):
                label += f" ({truth['TRUESUBTYPE'][row]})"
            draw(panel, batch.spectra, row, label if spectype != "SKY" else title)
            for camera, signal in zip(batch.spectra.cameras, batch.signals, strict=True):
                panel.plot(camera.wave, signal[row], color="C1", lw=0.6)
        axes[0, column].set_title(
            f"simulated {survey.upper()}: {axes[0, column].get_title()}", size="small", pad=2
        )
        axes[-1, column].set_xlabel(r"wavelength [$\mathrm{\AA}$]")
    return figure


def draw(panel: plt.Axes, spectra: qnet.Spectra, row: int, label: str) -> None:
    """One spectrum in the grey of its native pixels, averaged over 5, and its noise below."""
    values = []
    for camera in spectra.cameras:
        good = camera.ivar[row] > 0
        flux = np.where(good, camera.flux[row], np.nan)
        npix = len(flux) // 5 * 5
        wave = camera.wave if camera.wave.ndim == 1 else camera.wave[row]
        weight = np.where(good, camera.ivar[row], 0)[:npix].reshape(-1, 5)
        total = weight.sum(axis=1)
        mean = (np.nan_to_num(flux[:npix]).reshape(-1, 5) * weight).sum(axis=1)
        mean /= np.where(total > 0, total, np.nan)
        middle = wave[:npix].reshape(-1, 5).mean(axis=1)
        panel.plot(middle, mean, color="black", lw=0.5)
        with np.errstate(divide="ignore"):
            panel.plot(middle, 1 / np.sqrt(total), color="C0", lw=0.5)
        values.append(mean[(middle > 4000) & (middle < 9700)])
    low, high = np.nanpercentile(np.concatenate(values), (1, 99.5))
    panel.set_ylim(min(low, 0) - 0.1 * (high - low), high + 0.1 * (high - low))
    panel.set_title(label, size="small", pad=3)


def draw_comparison(data: Path, seed: int) -> plt.Figure:
    """Real spectra on the left, simulated ones of the same median S/N on the right."""
    files = sorted((data / "boss_dr12").glob("spec-*.fits"))
    picked = (22, 5, 19, 10, 2, 17)
    figure, axes = plt.subplots(8, 2, figsize=(10, 13), sharex="row")
    batch = simulate(1024, seed=seed, survey="boss").collect()
    for number, pick in enumerate(picked):
        real = qnet.read_spectra(files[pick])
        snr = _snr(real.cameras[0])[0]
        draw(axes[number, 0], real, 0, f"real BOSS {files[pick].stem}, S/N {snr:.1f}")
        kind = ("GALAXY", "STAR", "QSO", "QSO", "QSO", "GALAXY")[number]
        rows = np.flatnonzero(batch.truth["TRUESPECTYPE"] == kind)
        row = rows[np.argmin(np.abs(_snr(batch.spectra.cameras[0])[rows] - snr))]
        label = f"simulated {kind}, z = {batch.truth['TRUEZ'][row]:z.2f}"
        draw(axes[number, 1], batch.spectra, row, label)
    deep = qnet.read_spectra(next((data / "desi_everest").glob("coadd*.fits")))
    mock = simulate(256, seed=seed, survey="desi", mix={"sky": 1.0}).collect()
    faint = np.flatnonzero(np.abs(_snr(deep.cameras[1])) < 0.2)
    for number, row in zip((6, 7), faint[:2], strict=True):
        draw(axes[number, 0], deep, row, f"real DESI (Everest, deep), row {row}: no signal")
        draw(axes[number, 1], mock.spectra, number, "simulated DESI sky fibre")
    for panel in axes[-1]:
        panel.set_xlabel(r"wavelength [$\mathrm{\AA}$]")
    return figure


def noise_table(data: Path) -> str:
    """Scatter against ivar, and median sigma, of faint spectra of BOSS in ranges of wavelength."""
    wave, flux, ivar = _boss(data)
    batch = simulate(768, seed=5, mix={"quasar": 0.6, "galaxy": 0.2, "sky": 0.2}).collect()
    camera = batch.spectra.cameras[0]
    sets = []
    for place, fluxes, ivars in ((wave, flux, ivar), (camera.wave, camera.flux, camera.ivar)):
        snr = _snr(qnet.Camera("coadd", place, fluxes, ivars))
        faint = (snr > 0.8) & (snr < 3)
        sigma = 1 / np.sqrt(np.where(ivars > 0, ivars, np.nan)[faint])
        smooth = median_filter(fluxes[faint], (1, 41))
        # A median of 41 pixels adds 1.57 / 41 of their variance.
        sets.append((place, (fluxes[faint] - smooth) / sigma / np.sqrt(1 + 1.57 / 41), sigma))
    text = f"{len(sets[0][1])} real, {len(sets[1][1])} simulated; width, width, sigma, sigma\n\n"
    for low in range(3600, 10400, 400):
        cells = []
        for place, pull, sigma in sets:
            inside = (place >= low) & (place < low + 400)
            edges = np.nanpercentile(pull[:, inside], (15.865, 84.135))
            beyond = 1000 * np.nanmean(np.abs(pull[:, inside]) > 4)
            cells.append((np.diff(edges)[0] / 2, np.nanmedian(sigma[:, inside]), beyond))
        numbers = [f"{cell[k]:.2f}" for k in range(3) for cell in cells]
        text += f"| {low}-{low + 400} | {' | '.join(numbers)} |\n"
    return text


def snr_table(data: Path) -> str:
    """Median S/N per native pixel of BOSS in ranges of r magnitude."""
    wave, flux, ivar = _boss(data)
    inside = (wave > R_BAND[0]) & (wave < R_BAND[1])
    weight = wave[inside] ** 2 / (wave[inside] ** 2).sum()
    density = flux[:, inside] @ weight * 1e-17 * 6210**2 / 2.998e18
    rmag = -2.5 * np.log10(density) - 48.6
    batch = simulate(2048, seed=1).collect()
    truth = batch.truth
    like = np.isin(truth["TRUESPECTYPE"], ("QSO", "STAR")) & (truth["TRUEZ"] < 3.7)
    real, mock = _snr(qnet.Camera("coadd", wave, flux, ivar)), _snr(batch.spectra.cameras[0])
    text = "\nr; real: number, r, S/N; simulated\n\n"
    edges = (18.5, 20, 20.6, 21.3, 21.7, 22.3, 23.4)
    for low, high in itertools.pairwise(edges):
        one = (rmag > low) & (rmag < high)
        two = like & (truth["RMAG"] > low) & (truth["RMAG"] < high)
        cells = [one.sum(), np.median(rmag[one]), np.median(real[one])]
        cells += [two.sum()]
        if two.any():
            cells += [np.median(truth["RMAG"][two]), np.median(mock[two])]
        text += f"| {low}-{high} | " + " | ".join(f"{cell:.4g}" for cell in cells) + " |\n"
    return text


def _boss(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wavelengths, flux and ivar of the real spectra of BOSS, on one grid."""
    grid = 3.5525 + 1e-4 * np.arange(4650)
    files = sorted((data / "boss_dr12").glob("spec-*.fits"))
    flux, ivar = np.zeros((2, len(files), len(grid)))
    for row, path in enumerate(files):
        camera = qnet.read_spectra(path).cameras[0]
        place = np.rint((np.log10(camera.wave) - grid[0]) * 1e4).astype(int)
        flux[row, place], ivar[row, place] = camera.flux[0], camera.ivar[0]
    return 10**grid, flux, ivar


def _snr(camera: qnet.Camera) -> np.ndarray:
    """Median S/N per native pixel of each row."""
    values = np.where(camera.ivar > 0, camera.flux * np.sqrt(np.maximum(camera.ivar, 0)), np.nan)
    values[~np.isfinite(values).any(axis=1)] = 0
    return np.nanmedian(values, axis=1)


if __name__ == "__main__":
    main()
