"""One catalogue of many, in bounded memory: two passes over the files.

The first finds what is in them, and keeps of each row only what its place depends on. The second
moves the rows: in the order of the input straight to the output; in another order by way of a
scratch file, in which each row is written to its place.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, BoolArray, Columns
from qnet.core.checks import check_whole
from qnet.core.errors import InputError, first_few, shown, warn
from qnet.core.exports import OWN
from qnet.core.files import PathLike, as_path, as_paths
from qnet.core.progress import Progress
from qnet.io.catalogue import Catalogue, concatenate
from qnet.io.hats import HATS, INDEX, MOST_ORDER, check_hats, write_hats
from qnet.io.streams import BLOCK, Stream, check_stream, write_stream
from qnet.survey.folder import Folder, read_settings
from qnet.survey.journal import Entry, read_entries
from qnet.survey.plan import Merged, Plan
from qnet.survey.scratch import Scratch

#: Order of the partitions where none is given: 768 pixels of 7.3 degrees on the sky.
HATS_ORDER = 3

#: Ways to treat rows of one TARGETID.
DUPLICATES = ("keep", "best")


def merge(
    outdir: PathLike,
    catalogue: PathLike,
    *,
    to: str | None = None,
    sort: str | None = None,
    duplicates: Literal["keep", "best"] = "keep",
    healpix_order: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Merged:
    """Merge all catalogues of a survey into one, block by block.

    Parameters
    ----------
    outdir : str or path
        The folder of the survey, as `run` filled it. It may still be running.
    catalogue : str or path
        The file to write, outside of `outdir`: .fits, .fits.gz, .csv, .ecsv, .parquet; for a
        catalogue in partitions, a folder. It gets its name when it is complete.
    to : str, optional
        Another format: one of `qnet.io.export`, or 'hats'.
    sort : str, optional
        Column by which the rows are sorted, NaN last. They are in the order of the input when None.
    duplicates : str
        Of several rows of one TARGETID, 'keep' keeps all, and 'best' the one of the largest SNR. A
        row that can never be a quasar (such as `NODATA` or `BAD_FIBER` in QN_FLAG) is only kept if
        there is no other. Rows without TARGETID (0 or less) are all kept.
    healpix_order : int, optional
        Order of the partitions of 'hats', 0 to 12; it implies that format. 3 when None.
    overwrite : bool
        Whether an existing catalogue may be replaced.
    progress : bool
        Whether to show a progress bar on a terminal.

    Returns
    -------
    Merged
        Numbers of rows, of quasars, and of what was left out.

    Raises
    ------
    InputError
        An option is not valid, there is no catalogue, or the catalogues have different models or
        criteria.
    OutputExistsError, FileError
        A catalogue cannot be read, or the output not be written.

    Warns
    -----
    QnetWarning
        Inputs of the survey have no catalogue yet, or failed; rows have no position, for 'hats'.

    See Also
    --------
    run : the survey.

    Notes
    -----
    Memory is that of the largest of the catalogues and of some blocks of 65536 rows; sorting and
    duplicates take some 30 bytes a row more, and a scratch file of the size of the rows beside the
    output. 'picca' is made of all quasars in memory, and 'votable' of all rows.

    'hats' is a folder of Parquet files, one for each HEALPix pixel (nested), with the pixel of each
    row at order 29, as LSDB reads it (HATS, IVOA Note). Rows without position are left out.

    Catalogues that `run` wrote in another program's format (its option `to`) are not merged.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> from qnet.survey import merge, run
    >>> grid = qnet.WavelengthGrid.log(3600, 10000, 1e-3)
    >>> with qnet.io.PreparedWriter("a.fits", grid) as writer:
    ...     flux = np.sin(np.ogrid[1:3][:, None] + grid.wave)
    ...     writer.write(flux, np.ones((2, 443)), {"TARGETID": [8, 7]})
    >>> status = run("a.fits", "out", workers=1)
    >>> merged = merge("out", "all.fits", sort="TARGETID")
    >>> merged.rows, qnet.read_catalogue("all.fits")["TARGETID"].tolist()
    (2, [7, 8])
    """
    check_arguments(merge, locals())
    folder = Folder(outdir)
    target = as_path(catalogue, "catalogue")
    if folder.path.resolve() in target.absolute().resolve().parents:
        raise InputError(f"{target}: is in the folder of the survey: give a file elsewhere")
    form = read_settings(folder).get("to")
    if form and form not in OWN:
        raise InputError(
            f"{folder.path}: its catalogues have the format {form} of another program and cannot be"
            f" merged: run the survey without it, and merge to {form}"
        )
    done: list[Entry] = []
    missing: list[Entry] = []
    for entry in read_entries(folder):
        (done if entry.state == "done" else missing).append(entry)
    if not done:
        raise InputError(f"{folder.path}: no input of the survey is done")
    result = merge_catalogues(
        [folder.path / entry.output for entry in done],
        target,
        to=to,
        sort=sort,
        duplicates=duplicates,
        healpix_order=healpix_order,
        overwrite=overwrite,
        progress=progress,
    )
    if missing:
        names = [entry.paths[0] for entry in missing]
        warn(
            f"{first_few(names)}: {len(missing)} of {len(missing) + len(done)} inputs failed or are"
            " not done, and have no rows in the catalogue"
        )
    return dataclasses.replace(result, missing=len(missing))


def merge_catalogues(
    paths: Iterable[PathLike],
    output: PathLike,
    *,
    to: str | None = None,
    sort: str | None = None,
    duplicates: Literal["keep", "best"] = "keep",
    healpix_order: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Merged:
    """One catalogue of the rows of many; the arguments are those of `merge`."""
    if duplicates not in DUPLICATES:
        raise InputError(f"duplicates must be 'keep' or 'best', not {shown(duplicates)}")
    folder = to == HATS or healpix_order is not None
    if folder and to not in (None, HATS):
        raise InputError(f"healpix_order is that of a folder of partitions: to must be {HATS!r}")
    if folder and sort is not None:
        raise InputError("sort: the rows of a folder of partitions are in the order of the pixels")
    order = HATS_ORDER if healpix_order is None else healpix_order
    check_whole("healpix_order", order, least=0, most=MOST_ORDER)
    target = as_path(output, "output")
    if folder:
        check_hats(target, overwrite)
    else:
        check_stream(to, target)
    files = [Path(path) for path in as_paths(paths, "paths")]
    if not files:
        raise InputError("there are no catalogues to merge")
    plan = Plan(sort=INDEX if folder else sort, best=duplicates == "best")
    for path in _watched(plan, files, progress, "reading"):
        plan.add(path)
    keep = plan.choose()
    with _ordered(plan, keep, target.absolute().parent, progress) as stream:
        if folder:
            count = write_hats(stream, target, order, overwrite=overwrite)
        else:
            count = 0
            write_stream(stream, target, to=to, overwrite=overwrite)
    return dataclasses.replace(plan.result(keep), partitions=count)


def _watched(plan: Plan, files: Sequence[Path], progress: bool, what: str) -> Iterator[Path]:
    """Files of a plan, or those that it gets, with a progress bar."""
    with Progress(None if progress else False, files=len(files), what=what) as bar:
        for number, path in enumerate(files):
            yield path
            bar.add_file(plan.rows[number])


@contextlib.contextmanager
def _ordered(plan: Plan, keep: BoolArray, folder: Path, progress: bool) -> Iterator[Stream]:
    """The rows of a plan in their order; where that is another, by way of a scratch file."""
    empty = plan.empty()
    parts = functools.partial(_parts, plan, empty, progress)
    places = plan.places(keep)
    if places is None:
        yield Stream(empty, lambda: _kept(parts(), keep), plan.inputs)
        return
    with contextlib.closing(Scratch(empty.columns, int(keep.sum()), folder)) as scratch:
        first = 0
        for columns in parts():
            stop = first + len(next(iter(columns.values())))
            scratch.put(columns, places[first:stop])
            first = stop
        yield Stream(empty, scratch.blocks, plan.inputs)


def _parts(plan: Plan, empty: Catalogue, progress: bool) -> Iterator[Columns]:
    """The rows file by file, in pieces of a block at most."""
    for number, _ in enumerate(_watched(plan, plan.files, progress, "merging")):
        columns = plan.read(number, empty)
        for start in range(0, plan.rows[number], BLOCK):
            yield {name: x[start : start + BLOCK] for name, x in columns.items()}


def _kept(parts: Iterable[Columns], keep: BoolArray) -> Iterator[dict[str, AnyArray]]:
    """Blocks of the rows that are kept."""
    held: list[Columns] = []
    count, first = 0, 0
    for columns in parts:
        stop = first + len(next(iter(columns.values())))
        chosen = keep[first:stop]
        first = stop
        held.append({name: x[chosen] for name, x in columns.items()})
        count += int(chosen.sum())
        if count >= BLOCK:
            yield concatenate(held)
            held, count = [], 0
    if count:
        yield concatenate(held)
