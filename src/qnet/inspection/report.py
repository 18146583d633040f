"""`qnet.inspect`: a catalogue and its spectra to a page for visual inspection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qnet.classification.columns import compute_columns
from qnet.classification.criterion import Criterion, choose_criterion
from qnet.classification.occlusion import Explanation, explain_row, find_parts
from qnet.classification.population import PRESETS, TRAINING
from qnet.core.arguments import check_arguments
from qnet.core.arrays import Columns, FloatArray
from qnet.core.checks import check_whole
from qnet.core.errors import InputError, QnetError, warn
from qnet.core.files import PathLike, atomic_write, check_output, is_path
from qnet.core.pz import PARTS, RedshiftDistributions, component_cdf, fraction_below
from qnet.core.spectra import Spectra
from qnet.evaluation.result import Result
from qnet.inspection.fitted import read_fits
from qnet.inspection.matching import Found, find_spectra
from qnet.inspection.queue import Queue, as_result, as_table, make_queue
from qnet.inspection.rendering import Item, write_page
from qnet.io.catalogue import from_table
from qnet.io.options import ReadOptions
from qnet.io.spall import SpAllLike
from qnet.model.loading import as_model, load_model
from qnet.model.model import Model

if TYPE_CHECKING:
    from astropy.table import Table

#: Spectra on a page, at most, unless more are asked for; and most that may be asked for.
MOST, LIMIT = 500, 5000

#: Step of the page's p(z) in ln(1 + z): 900 km/s.
_PZ_STEP = 0.003

#: Candidates of less probability are not named.
_LEAST_WEIGHT = 0.01


def inspect(
    catalogue: Table | PathLike,
    spectra: Spectra | PathLike | Sequence[PathLike],
    path: PathLike,
    *,
    model: Model | PathLike | None = None,
    other: PathLike | Result | None = None,
    templates: PathLike | None = None,
    most: int = MOST,
    explain: bool = False,
    coadd: Literal["none", "target"] = "none",
    spall: SpAllLike | None = None,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    wave_unit: str | None = None,
    flux_unit: str | None = None,
    air: bool | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a page for visual inspection of spectra: one HTML file that works offline.

    Parameters
    ----------
    catalogue : astropy.table.Table or path
        As `qnet.classify` returns it, or its file.
    spectra : Spectra, path or sequence of paths
        The spectra of the catalogue, or the files that it was made of. Rows are found by TARGETID;
        of several rows with one TARGETID, by file and row too.
    path : str or path
        The page, .html. The file is written under a temporary name in the same folder, flushed and
        renamed.
    model : Model, str or path, optional
        The model of the catalogue, for redshift distributions and `explain`. The one that the
        catalogue names when None.
    other : path or Result, optional
        Another catalogue of the same objects: rows that disagree come first (`sort_queue`).
    templates : path, optional
        Folder of redrock's templates: the page shows redrock's best fits, of quasars beyond
        Lyman alpha. Then `other` must be a file of redrock with its coefficients.
    most : int
        Spectra on the page: the first of the queue.
    explain : bool
        Whether the page shows which pixels decided (`qnet.classification.explain`), which takes
        about a second for three spectra.
    coadd : {'none', 'target'}
        As the catalogue was made: 'target' joins the exposures of each TARGETID.
    spall : path, mapping or tuple, optional
        As in `qnet.classify`.
    format, columns, wave_unit, flux_unit, air : optional
        For files that are tables of spectra of no known layout: as `qnet.classify` takes them.
    overwrite : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Path

    Raises
    ------
    MissingFileError, FileError
        A file is not there or damaged.
    OutputExistsError
        The page is there already.
    InputError
        Plotly is not installed, the name does not end in .html, or no row of the catalogue has a
        spectrum.

    Warns
    -----
    QnetWarning
        Rows have no spectrum, or the model of the catalogue is not known by its name.

    See Also
    --------
    sort_queue : the order of the rows.
    qnet.io.read_truth : reads the table that the page exports.

    Notes
    -----
    The table that the page exports has the columns of the files of prospect, DESI's tool of visual
    inspection (Lan et al. 2023, ApJ 943, 68; Alexander et al. 2023, AJ 165, 124).

    Examples
    --------
    >>> import qnet
    >>> spectra = qnet.simulate(3, seed=1, mix={"quasar": 1}).collect().spectra
    >>> qnet.inspect(qnet.classify(spectra), spectra, "page.html").name
    'page.html'
    """
    check_arguments(inspect, locals())
    check_page_name(path)
    check_whole("most", most, least=1, most=LIMIT)
    require_plotly()
    check_output(path, overwrite)
    reading = ReadOptions(
        format=format, columns=columns or {}, wave_unit=wave_unit, flux_unit=flux_unit, air=air
    )
    fits = read_fits(other, templates)
    table = as_table(catalogue)
    values = dict(from_table(table).columns)
    queue = make_queue(values, as_result(other))
    found = find_spectra(
        values, table.meta, queue.order, spectra, most, coadd=coadd, spall=spall, options=reading
    )
    chosen = _choose_model(model, table.meta)
    if explain and chosen is None:
        raise InputError("explain needs the model of the catalogue: give model")
    items = [item for part in found for item in _items(part, queue, chosen, table.meta, explain)]
    rank = np.argsort(queue.order)
    items.sort(key=lambda item: rank[item.row])
    parts = find_parts(chosen) if explain and chosen is not None else None
    edges = None if chosen is None or _bins(chosen) is None else pz_edges(chosen)
    name = Path(catalogue).name if is_path(catalogue) else "catalogue"
    with atomic_write(path, overwrite=overwrite) as partial:
        write_page(
            partial, table, queue, items, [p.spectra for p in found], edges, parts, name, fits
        )
    return Path(path)


def check_page_name(path: PathLike) -> None:
    """Raise InputError unless a file's name is that of a page."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: the name of a page must end in .html")


def require_plotly() -> None:
    """Raise InputError where plotly is not installed."""
    try:
        import plotly  # noqa: F401
    except ImportError as error:
        raise InputError(
            "the page needs plotly, which is not installed: install qnet-quasar[inspect]"
        ) from error


def _choose_model(model: Model | PathLike | None, header: dict[str, Any]) -> Model | None:
    """The model that is given, or that of the catalogue where it is known by its name."""
    if model is not None:
        return as_model(model)
    name = header.get("MODEL")
    if name is None:
        return None
    try:
        found = load_model(str(name))
    except QnetError:
        found = None
    if found is None or found.sha256 != header.get("MODELSHA", found.sha256):
        warn(
            f"the model {name} of the catalogue is not known by its name: the page has no redshift "
            "distributions (give model)"
        )
        return None
    return found


def _items(
    part: Found, queue: Queue, model: Model | None, header: dict[str, Any], explain: bool
) -> list[Item]:
    """What the page shows of each spectrum of a batch."""
    spectra, items = part.spectra, []
    criterion = None if model is None else _criterion(model, header)
    pz = np.zeros((len(spectra), 0))
    candidates: list[list[tuple[float, float]]] = [[] for _ in range(len(spectra))]
    if model is not None and criterion is not None and _bins(model) is not None:
        pz, candidates = _distributions(spectra, model, criterion)
    for n, row in enumerate(part.rows.tolist()):
        found = None
        if explain and model is not None and criterion is not None:
            found = _explain(spectra.select([n]), model, criterion)
        source = f"{', '.join(Path(name).name for name in spectra.source)} row {spectra.row[n]}"
        items.append(
            Item(spectra.select([n]), row, source, queue.reasons(row), pz[n], candidates[n], found)
        )
    return items


def _criterion(model: Model, header: dict[str, Any]) -> Criterion:
    """The criterion of a model, with the population of the catalogue where it has a name."""
    prior = header.get("PRIOR")
    known = prior in (*PRESETS, TRAINING)
    return choose_criterion(model, prior=prior if known and model.calibration else None)


def _bins(model: Model) -> Any:
    """Redshift bins of a model that gives redshift distributions; None of another."""
    complete = model.refiner is not None and model.calibration is not None
    return model.architecture.redshifts if complete else None


def pz_edges(model: Model) -> FloatArray:
    """Ends of the page's pixels of p(z), in ln(1 + z)."""
    bins = _bins(model)
    low, high = np.log1p(bins.z_min), np.log1p(bins.z_max)
    return np.asarray(np.linspace(low, high, int((high - low) / _PZ_STEP) + 2))


def _distributions(
    spectra: Spectra, model: Model, criterion: Criterion
) -> tuple[FloatArray, list[list[tuple[float, float]]]]:
    """p(z) of each spectrum in the page's pixels, and its candidates with their probabilities."""
    columns = compute_columns(spectra, model, criterion, pz=True)
    parts: Columns = {name: columns.pop(name) for name in PARTS}
    found = RedshiftDistributions.take(parts, _bins(model))
    edges = pz_edges(model)
    mass = np.diff(fraction_below(found.bins, found.coarse, edges), axis=1)
    candidates = []
    for row in range(len(found)):
        there = np.flatnonzero(found.weight[row] > _LEAST_WEIGHT)
        for rank in np.flatnonzero(found.weight[row] > 0):
            z, zerr, weight = (x[row, rank] for x in (found.z, found.zerr, found.weight))
            mass[row] += weight * np.diff(component_cdf(edges, z, zerr))
        ranked = there[np.argsort(-found.weight[row, there])]
        candidates.append([(float(found.z[row, r]), float(found.weight[row, r])) for r in ranked])
    return mass, candidates


def _explain(one: Spectra, model: Model, criterion: Criterion) -> Explanation | None:
    """Which pixels decided; None of a spectrum that cannot be classified."""
    try:
        return explain_row(one, model, criterion)
    except InputError:
        return None
