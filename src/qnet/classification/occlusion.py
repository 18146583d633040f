"""Which pixels carry a classification: windows of a spectrum are hidden, one after the other."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from qnet.classification.columns import compute_columns
from qnet.classification.criterion import Criterion, choose_criterion
from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, BoolArray, Columns, FloatArray, good_pixels
from qnet.core.checks import check_finite
from qnet.core.errors import InputError
from qnet.core.files import PathLike
from qnet.core.pz import P_Z_VELOCITY, PARTS, fraction_below
from qnet.core.spectra import Camera, Spectra
from qnet.lines import SPEED_OF_LIGHT, velocity_between
from qnet.model.loading import as_model
from qnet.model.model import Model
from qnet.postprocess.features import logit

if TYPE_CHECKING:
    from astropy.table import Table

    from qnet.classification.population import Population

#: Width of a window [km/s]: that of a broad line. Windows begin every half of it.
WIDTH = 6000.0

#: Fewest and most windows on a spectrum.
_FEWEST, _MOST = 4, 2000

#: Pixels on either side of a window whose median is the continuum there, in widths of a window.
_SIDE = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """What hiding each part of a spectrum changes."""

    #: Ends of the parts [Angstrom], shape (nparts + 1,).
    edges: FloatArray
    #: Logit of P_QSO less that with the part hidden, (nparts,): above 0 where the part speaks for
    #: a quasar. Without P_QSO the logit of the most confident line.
    qso: FloatArray
    #: The same for the probability that the redshift is within 3000 km/s of `z`.
    redshift: FloatArray
    #: ZBEST of the whole spectrum.
    z: float


def explain(
    spectra: Spectra,
    model: Model | PathLike | None = None,
    row: int = 0,
    *,
    width: float = WIDTH,
    prior: str | PathLike | Table | Population | None = None,
) -> Explanation:
    """Find the pixels that decide on a spectrum, by occlusion (Zeiler & Fergus 2014, section 3.1).

    Windows of the spectrum are hidden one after the other, each shifted by half a width. The flux
    in a window is replaced by a straight line between the medians of its two sides. All copies are
    classified together, through both stages. A part of half a width gets the mean of the two
    windows that cover it.

    Parameters
    ----------
    spectra : Spectra
    model : Model, str or path, optional
        The default model when None.
    row : int
        Row of the spectrum.
    width : float
        Width of a window [km/s].
    prior : optional
        As in `qnet.classify`.

    Returns
    -------
    Explanation
        Its `edges` [Angstrom] are of shape (nparts + 1,). `qso` and `redshift` (nparts,) are the
        changes of the logits of P_QSO and of the chosen redshift `z`. They are positive where the
        part supports the result. NaN where a logit is not known; 0 where a part has no data.

    Raises
    ------
    InputError
        There is no such row, its spectrum cannot be classified, or the width gives under 4 or over
        2000 windows.

    See Also
    --------
    qnet.plotting.plot_explanation : the figure.

    Notes
    -----
    The spectrum is normalised again after a part is hidden. If two lines each suffice for the
    result, hiding one of them changes little.

    Examples
    --------
    >>> import qnet
    >>> from qnet.classification import explain
    >>> spectra = qnet.simulate(1, seed=3, mix={"quasar": 1}).collect().spectra
    >>> found = explain(spectra)
    >>> len(found.edges) - len(found.qso)
    1
    """
    check_arguments(explain, locals())
    check_finite("width", width, above=0)
    chosen = as_model(model)
    if not 0 <= row < len(spectra):
        raise InputError(f"row must be in 0 .. {len(spectra) - 1}, not {row!r}")
    criterion = choose_criterion(chosen, prior=prior)
    return explain_row(spectra.select([row]), chosen, criterion, width=width)


def explain_row(
    one: Spectra, model: Model, criterion: Criterion, *, width: float = WIDTH
) -> Explanation:
    """`explain` of the one spectrum of a batch."""
    edges = find_parts(model, width)
    nparts = len(edges) - 1
    hidden = np.zeros((nparts, nparts), dtype=bool)
    # Window n hides the parts n - 1 and n; the first and the last part have one window more.
    np.fill_diagonal(hidden, True)
    hidden[np.arange(1, nparts), np.arange(nparts - 1)] = True
    hidden = np.vstack([np.zeros((1, nparts), dtype=bool), hidden])
    hidden = np.vstack([hidden, np.arange(nparts) == nparts - 1])
    qso, redshift, z = score(hide_parts(one, edges, hidden), model, criterion)
    if not np.isfinite(z):
        raise InputError(f"{one.where()}row {one.row[0]} has no data that can be classified")
    # Part n is in the windows n and n + 1.
    supports = [
        0.5 * (change[:-1] + change[1:])
        for change in (values[0] - values[1:] for values in (qso, redshift))
    ]
    return Explanation(edges, supports[0], supports[1], z)


def find_parts(model: Model, width: float = WIDTH) -> FloatArray:
    """Ends [Angstrom] of the parts of the model's grid, half of a window each."""
    wave = model.wave
    span = float(np.log(wave[-1] / wave[0]))
    nparts = round(span / (0.5 * width / SPEED_OF_LIGHT))
    if not _FEWEST <= nparts <= _MOST:
        raise InputError(
            f"width is {width:g} km/s, which gives {nparts} windows on the model's grid: "
            f"{_FEWEST} to {_MOST} were expected"
        )
    return np.asarray(wave[0] * np.exp(np.linspace(0.0, span, nparts + 1)))


def hide_parts(one: Spectra, edges: FloatArray, hidden: BoolArray) -> Spectra:
    """Copies of a spectrum, each with other parts hidden (ncopies, nparts)."""
    ncopies = len(hidden)
    cameras = tuple(_hide(camera, edges, hidden) for camera in one.cameras)
    rows = np.zeros(ncopies, dtype=np.int64)
    return dataclasses.replace(
        one,
        cameras=cameras,
        ids={name: column[rows] for name, column in one.ids.items()},
        flag=one.flag[rows],
        row=one.row[rows],
    )


def _hide(camera: Camera, edges: FloatArray, hidden: BoolArray) -> Camera:
    """The copies of one camera."""
    wave = camera.wave if camera.wave.ndim == 1 else camera.wave[0]
    flux, ivar = camera.flux[0], camera.ivar[0]
    good = good_pixels(flux, ivar)
    part = np.searchsorted(edges, wave, side="right") - 1
    part = np.where((part >= 0) & (part < hidden.shape[1]), part, -1)
    copies = np.repeat(flux[None], len(hidden), axis=0)
    if good.any():
        for copy, parts in zip(copies, hidden, strict=True):
            covered = np.append(parts, False)[part]  # part -1: outside
            for start, stop in _runs(covered):
                copy[start:stop] = _straight(wave, flux, good & ~covered, start, stop)
    ivars = np.broadcast_to(ivar, copies.shape)
    return dataclasses.replace(camera, wave=wave, flux=copies, ivar=np.array(ivars))


def _runs(covered: BoolArray) -> list[tuple[int, int]]:
    """Beginnings and ends of the runs of True."""
    steps = np.flatnonzero(np.diff(np.concatenate(([0], covered.astype(np.int8), [0]))))
    return list(zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True))


def _straight(
    wave: FloatArray, flux: AnyArray, good: BoolArray, start: int, stop: int
) -> FloatArray | float:
    """A straight line between the medians of the two sides of a run of pixels."""
    reach = max(3, int(_SIDE * (stop - start)))
    sides = []
    for pixels in (np.arange(max(start - reach, 0), start), np.arange(stop, stop + reach)):
        pixels = pixels[pixels < len(wave)]
        pixels = pixels[good[pixels]]
        if len(pixels):
            sides.append((wave[pixels].mean(), float(np.median(flux[pixels]))))
    if not sides:
        return float(np.median(flux[good])) if good.any() else 0.0
    x, y = zip(*sides, strict=True)
    return np.asarray(np.interp(wave[start:stop], x, y))


def score(
    spectra: Spectra, model: Model, criterion: Criterion
) -> tuple[FloatArray, FloatArray, float]:
    """Logits of P_QSO and of the redshift of the first row, in all rows; that redshift."""
    bins, staged = model.architecture.redshifts, model.refiner is not None
    pz = bins is not None and staged and model.calibration is not None
    columns = compute_columns(spectra, model, criterion, pz=pz)
    z, c_lines = float(columns["ZBEST"][0]), columns["C_LINES"]
    p_qso = columns["P_QSO"] if model.calibration is not None else c_lines.max(axis=1)
    if pz:
        near = _near(columns, model, z)
    else:
        best = int(np.nanargmax(c_lines[0])) if np.isfinite(c_lines[0]).any() else 0
        near = c_lines[:, best]
    return logit(p_qso.astype(np.float64)), logit(near.astype(np.float64)), z


def _near(columns: Columns, model: Model, z: float) -> FloatArray:
    """Probability that the redshift is within `P_Z_VELOCITY` of z, if it is a quasar."""
    bins = model.architecture.redshifts
    if bins is None or not np.isfinite(z):
        return np.full(len(columns["ZBEST"]), np.nan)
    redshifts, _, weight, coarse, _ = (columns[name] for name in PARTS)
    apart = velocity_between(redshifts, z)
    within = np.where(np.abs(apart) < P_Z_VELOCITY, weight, 0.0).sum(axis=1)
    ends = np.log(1 + z) + np.log1p(np.array([-1, 1]) * P_Z_VELOCITY / SPEED_OF_LIGHT)
    return np.asarray(within + np.diff(fraction_below(bins, coarse, ends))[:, 0])
