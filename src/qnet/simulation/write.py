"""Writing of simulated spectra and their truth, in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qnet.core.arguments import check_arguments
from qnet.core.arrays import Columns
from qnet.core.errors import InputError
from qnet.core.files import PathLike, as_path, check_output, real_path
from qnet.core.grid import QUASARNET_GRID, WavelengthGrid
from qnet.core.progress import Progress
from qnet.io.prepared import PreparedWriter, check_prepared_name
from qnet.io.superset import TRUTH_EXTNAME
from qnet.io.tables import Card, check_format, write_table
from qnet.preprocess.rebinning import rebin_cameras
from qnet.simulation.instrument.instrument import SURVEYS
from qnet.simulation.mock_files import CoaddWriter, SpecFolder, check_folder
from qnet.simulation.survey import UNITS, Simulation, join

#: Surveys by the formats that their files have.
_SURVEYS = {
    "prepared": tuple(SURVEYS),
    "coadd": tuple(survey for survey, name in SURVEYS.items() if name != "SDSS"),
    "spec": ("sdss", "boss"),
}


def write_simulation(
    simulation: Simulation,
    path: PathLike,
    truth_path: PathLike,
    *,
    format: str = "prepared",
    grid: WavelengthGrid = QUASARNET_GRID,
    overwrite: bool = False,
    progress: bool = False,
) -> Columns:
    """Write the spectra and the truth of a simulation.

    Parameters
    ----------
    simulation : Simulation
        From `qnet.simulate`. Computed in batches: pixels are never all in memory.
    path : str or path
        File to write, .fits; for 'spec' a folder.
    truth_path : str or path
        Table to write: .fits (HDU 1, EXTNAME TRUTH), .csv, .ecsv or .parquet. `qnet.io.read_truth`
        reads .fits and .csv.
    format : {'prepared', 'coadd', 'spec'}
        Prepared data on a grid; a file of DESI's coadds (all surveys but 'boss' and 'sdss'; the
        spectra of 'pfs', 'weave', '4most' and 'lamost' are its camera BRZ); SDSS spec files
        (surveys 'boss' and 'sdss').
    grid : WavelengthGrid
        Of prepared data; QuasarNET's log grid if not given.
    overwrite : bool
        Whether existing outputs may be replaced.
    progress : bool
        Whether to show a progress bar, where standard error is a terminal.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The truth.

    Raises
    ------
    InputError
        The format is unknown or not one of the survey's, a name has the wrong suffix, or both
        outputs are the same.
    OutputExistsError, FileError
        An output exists already, or cannot be written.

    Examples
    --------
    >>> import qnet
    >>> from qnet.simulation import write_simulation
    >>> simulation = qnet.simulate(20, seed=1, survey="desi")
    >>> truth = write_simulation(simulation, "coadd.fits", "truth.csv", format="coadd")
    >>> len(truth["TARGETID"]), len(qnet.read_spectra("coadd.fits"))
    (20, 20)
    """
    check_arguments(write_simulation, locals())
    spectra_path, table_path = as_path(path, "path"), as_path(truth_path, "truth_path")
    check_outputs(simulation.survey, spectra_path, table_path, format=format, overwrite=overwrite)
    if format != "prepared" and grid != QUASARNET_GRID:
        raise InputError(f"grid is for the format prepared, not {format}, which has the survey's")
    cards = [Card(*card) for card in simulation.provenance()]
    truth: list[Columns] = []
    file: PreparedWriter | CoaddWriter | SpecFolder
    if format == "prepared":
        file = PreparedWriter(spectra_path, grid, overwrite=overwrite, cards=cards)
    elif format == "coadd":
        file = CoaddWriter(spectra_path, len(simulation), overwrite=overwrite, cards=cards)
    else:
        file = SpecFolder(spectra_path, simulation.survey, overwrite=overwrite, cards=cards)
    with file:
        for batch in _with_progress(simulation, progress):
            if isinstance(file, PreparedWriter):
                flux, ivar = rebin_cameras(batch.spectra.cameras, grid)
                file.write(flux, ivar, dict(batch.spectra.ids))
            else:
                file.write(batch)
            truth.append(batch.truth)
        whole = join(truth)
        # Before the spectra get their name: they never exist without their truth.
        write_table(
            table_path,
            whole,
            extname=TRUTH_EXTNAME,
            cards=cards,
            units={name: unit for name, unit in UNITS.items() if name in whole},
            overwrite=overwrite,
        )
    return whole


def check_outputs(
    survey: str, path: Path, truth_path: Path, *, format: str, overwrite: bool
) -> None:
    """Check, before anything is computed, that both outputs can be written."""
    if format not in _SURVEYS:
        raise InputError(f"format must be one of {', '.join(_SURVEYS)}, not {format!r}")
    if survey not in _SURVEYS[format]:
        raise InputError(
            f"the format {format} is of the survey {' or '.join(_SURVEYS[format])}, not of {survey}"
        )
    if real_path(path) == real_path(truth_path):
        raise InputError(f"{path}: is the name of both outputs: give the truth another one")
    check_format(truth_path, "a truth table")
    check_output(truth_path, overwrite)
    if format == "spec":
        check_folder(path, overwrite)
        if real_path(path) in map(real_path, truth_path.parents):
            raise InputError(f"{truth_path}: lies in the folder of the spectra: put it elsewhere")
        return
    check_prepared_name(path)
    check_output(path, overwrite)


def _with_progress(simulation: Simulation, progress: bool) -> Any:
    """The batches, counted in spectra by a progress bar."""
    with Progress(None if progress else False, spectra=len(simulation)) as bar:
        for batch in simulation:
            yield batch
            bar.add(len(batch))
