"""Calibration of a model on spectra of known class and redshift."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qnet import __version__
from qnet.core.arguments import check_arguments
from qnet.core.arrays import as_integers
from qnet.core.checks import check_whole
from qnet.core.errors import warn
from qnet.core.files import PathLike, as_paths, sha256
from qnet.io.truth import read_sky, read_truth, read_truth_columns
from qnet.model.loading import as_model
from qnet.model.model import Model
from qnet.training.data import Paths
from qnet.training.laws import fit_laws
from qnet.training.sample import cut, run_stages, split_noise, whole

#: What is behind the name of a model whose calibration is not that of its training.
_MARK = "-calibrated"

#: Quasars that are observed twice, for ZERR_NOISE, at most.
REPEATS = 20_000

#: Largest number of candidates of a spectrum that the second stage scores; the least probability of
#: all but the first.
CANDIDATES, CANDIDATE_FLOOR = 3, 0.02


def calibrate(
    model: Model | PathLike,
    data: Paths,
    truth: Paths,
    *,
    truth_columns: Mapping[str, str] | None = None,
    targetids: Iterable[int] | None = None,
    name: str | None = None,
    version: str | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Model:
    """Calibrate a model on spectra of known class and redshift.

    Every spectrum is used twice: whole, and with parts missing that are drawn at random, so that
    probabilities and errors hold for any coverage. Fits are regularised. With a small sample the
    result is near the model's own calibration, if there is one. Parts that the sample cannot give,
    such as P_BAL without BAL quasars, do not change.

    Parameters
    ----------
    model : Model, str or path
        The model, its name or its file, as `qnet.load_model` takes it.
    data : path or sequence of paths
        Files of any layout that `qnet.read_spectra` knows. Those of the survey give the right
        errors; prepared data give those for prepared data.
    truth : path or sequence of paths
        Truth tables, as `qnet.io.read_truth` reads them. Spectra that are not in them, or whose
        class or redshift is not sure, are left out.
    truth_columns : mapping of str to str, optional
        Names of the columns 'id', 'z' and 'class' of truth tables, as `columns` of
        `qnet.io.read_truth`.
    targetids : iterable of int, optional
        Use only these TARGETIDs; they should not be those that the model was trained on.
    name, version : str, optional
        Name and version of the result. When None, the model's, with ``-calibrated`` behind the name
        of a model that had a calibration.
    seed : int
        Of the parts that are missing, and of the noise for ZERR_NOISE.
    progress : bool, optional
        Whether to show a progress bar; None: on a terminal only.

    Returns
    -------
    Model
        The same networks with a calibration: P_QSO for the classes of the sample, P_Z, errors, and
        thresholds of flags.

    Raises
    ------
    InputError
        No spectrum can be used; or the sample has quasars alone, or none, and the model has no
        P_QSO.
    MissingFileError, FileError
        A file is missing, damaged or of no known layout.

    Warns
    -----
    QnetWarning
        The sample is too small for a part of the calibration, which then stays the model's own.

    Examples
    --------
    A sample so small warns of all that stays as it is in the model:

    >>> import warnings
    >>> import qnet
    >>> from qnet.simulation import write_simulation
    >>> _ = write_simulation(qnet.simulate(200, seed=1), "own.fits", "truth.fits")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     model = qnet.training.calibrate(
    ...         "qnet", "own.fits", "truth.fits", name="own", version="1", progress=False
    ...     )
    >>> model.name, round(model.calibration.quasar_fraction, 2)
    ('own@1', 0.52)
    """
    check_arguments(calibrate, locals())
    check_whole("seed", seed, least=0)
    parent = as_model(model)
    paths, tables = as_paths(data, "data"), as_paths(truth, "truth")
    wanted = None if targetids is None else frozenset(as_integers("targetids", targetids))
    own = parent.calibration
    count = CANDIDATES if own is None else own.candidates
    floor = CANDIDATE_FLOOR if own is None else own.candidate_floor
    options: dict[str, Any] = {"count": count, "floor": floor, "targetids": wanted, "seed": seed}
    options |= {"sky": read_sky(tables), "progress": progress}
    records = read_truth(tables, columns=truth_columns)
    sample = run_stages(parent, paths, records, [whole, cut], **options)
    repeats = None
    if parent.refiner is not None and sample.quasar.any():
        changes = split_noise(seed)
        repeats = run_stages(parent, paths, records, changes, quasars=REPEATS, **options)
    ids, columns = read_truth_columns(tables, truth_columns)
    rmag = dict(zip(ids.tolist(), columns.get("RMAG", ids * np.nan).tolist(), strict=True))
    calibration, arrays, kept = fit_laws(sample, repeats, rmag, own, count=count, floor=floor)
    if kept:
        own_or_none = "none" if own is None else f"that of {parent.name}"
        warn(f"too few spectra to calibrate {', '.join(kept)}: {own_or_none} is used")
    weights = parent.weights
    new = weights.name if own is None else f"{weights.name.removesuffix(_MARK)}{_MARK}"
    made = {
        "version": __version__,
        "spectra": int((sample.change == 0).sum()),
        "quasars": int((sample.quasar & (sample.change == 0)).sum()),
        "seed": seed,
        "sources": {path.name: sha256(path) for path in map(Path, (*paths, *tables))},
    }
    return Model(
        dataclasses.replace(
            weights,
            name=new if name is None else name,
            version=weights.version if version is None else version,
            arrays={**weights.arrays, **arrays},
            calibration=calibration,
            provenance={**weights.provenance, "calibration": made},
            sha256="",
        )
    )
