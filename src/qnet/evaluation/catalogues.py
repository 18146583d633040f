"""Catalogues of qnet and of other classifiers, as one kind of object that can be evaluated."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.core.arguments import check_arguments
from qnet.core.arrays import Columns, FloatArray, IntArray
from qnet.core.columns import BY_NAME
from qnet.core.errors import FileError, shown
from qnet.core.files import PathLike, as_path
from qnet.core.flags import NEVER_QSO, QNFlag
from qnet.core.positions import POSITIONS, position_names
from qnet.evaluation.result import Result
from qnet.io.catalogue import catalogue_hdu, read_catalogue
from qnet.io.columns import (
    bool_column,
    filled,
    float_column,
    id_numbers,
    integer_column,
    text_column,
)
from qnet.io.fits.file import FitsFile
from qnet.io.tables import check_table, find_format, upper_names
from qnet.io.truth import positions
from qnet.io.truth_layouts import SPECTRUM, spectrum_numbers
from qnet.lines import QUASARNET_LINES, absorber_IGM
from qnet.postprocess.decoding import C_THRESHOLD, MIN_LINES
from qnet.strategies.evidence import COLUMN_NAMES, Evidence

if TYPE_CHECKING:
    from astropy.table import Table

#: PROB above which a candidate of SQUEzE is called a quasar here.
PROB_THRESHOLD = 0.5

#: Lines of DESI's afterburner, in the order of QUASARNET_LINES, as its columns C_* name them.
_DESI_LINES = ("LYA", "CIV", "CIII", "MGII", "HBETA", "HALPHA")


def read_result(path: PathLike, *, name: str | None = None, need_zwarn: bool = False) -> Result:
    """Read a catalogue of qnet, QuasarNET, DESI's afterburner, redrock or SQUEzE.

    Parameters
    ----------
    path : str or path
        qnet: .fits, .fits.gz, .csv, .ecsv or .parquet, as `qnet classify` or astropy writes it. The
        others are FITS, recognised by their HDUs: REDSHIFTS or ZBEST (redrock), CANDIDATES
        (SQUEzE), QN_RR or QN+RR (DESI's afterburner), or HDU 1 with ZBEST, IS_QSO, C_LINES
        (QuasarNET's qnAll).
    name : str, optional
        Name of the catalogue; the file's when None.
    need_zwarn : bool
        Whether a quasar of redrock needs ZWARN == 0 beside SPECTYPE == 'QSO'.

    Returns
    -------
    Result
        Left out, and counted: rows of qnet with the flag NOT_TARGET (sky, or not selected), and
        rows of SQUEzE marked DUPLICATED (further candidates of a spectrum).

    Raises
    ------
    MissingFileError, FileError
        The file is missing, damaged, of unknown layout, or lacks a column.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from qnet.evaluation import read_result
    >>> rows = {"TARGETID": [7, 8], "ZBEST": [2.1, 0.3], "IS_QSO": [True, False]}
    >>> Table(rows).write("mine.csv")
    >>> result = read_result("mine.csv")
    >>> result.kind, result.is_qso
    ('qnet', array([ True, False]))
    """
    check_arguments(read_result, locals())
    path = as_path(path, "path")
    label = path.name if name is None else name
    if find_format(path) in ("fits", None):
        with FitsFile(path) as fits:
            if catalogue_hdu(fits) is None:
                return _read_other(fits, label, need_zwarn)
    return result_of_table(read_catalogue(path), name=label, path=path)


def result_of_table(table: Table, *, name: str = "catalogue", path: Path | None = None) -> Result:
    """The catalogue in a table that `qnet.classify` or `qnet.read_catalogue` returned."""
    check_table("catalogue", table, "a path, a Result or ")
    upper_names([column for column in table.colnames if column.upper() in BY_NAME], path or name)
    columns = {
        column.upper(): filled(table[column], column)
        for column in table.colnames
        if hasattr(table[column], "dtype")  # not coordinates, times and the like
    }
    # Whatever else is in a file's header is none of qnet's, and may be of any size.
    plain = {
        key: value for key, value in table.meta.items() if isinstance(value, (str, int, float))
    }
    return _from_columns(columns, plain, name, path or Path(name))


def _from_columns(columns: Columns, meta: Mapping[str, Any], name: str, path: Path) -> Result:
    """Result of the columns and header of qnet's catalogue."""
    if missing := [key for key in ("TARGETID", "ZBEST", "IS_QSO") if key not in columns]:
        raise FileError(f"{path}: lacks the column(s) {', '.join(missing)} of a qnet catalogue")
    bits = np.zeros(len(columns["ZBEST"]), dtype=np.int64)
    if "QN_FLAG" in columns:
        bits = integer_column(columns["QN_FLAG"], "QN_FLAG", path)
    score = _optional_column(columns, "P_QSO", path)
    if score is not None and np.isnan(score).all():
        score = None
    c_lines = _lines_column(columns, "C_LINES", path)
    z_lines = _lines_column(columns, "Z_LINES", path)
    nlines = [values.shape[1] for values in (c_lines, z_lines) if values is not None]
    if len(set(nlines)) > 1:
        raise FileError(f"{path}: C_LINES is of {nlines[0]} lines, but Z_LINES of {nlines[1]}")
    lines, rest = _line_names(meta, max(nlines, default=0), path)
    asked, position = (bits & QNFlag.NOT_TARGET) == 0, positions(columns)
    result = Result(
        name=name,
        kind="qnet",
        targetid=id_numbers(columns["TARGETID"], "TARGETID", path),
        zbest=float_column(columns["ZBEST"], "ZBEST", path),
        is_qso=bool_column(columns["IS_QSO"], "IS_QSO", path),
        criterion=f"IS_QSO ({meta.get('STRATEGY', 'the criterion is not stated')})",
        never_qso=(bits & NEVER_QSO) != 0,
        score=score,
        score_name="" if score is None else "P_QSO",
        lines=lines,
        rest=rest,
        c_lines=c_lines,
        z_lines=z_lines,
        c_lines_bal=_lines_column(columns, "C_LINES_BAL", path),
        is_bal=bool_column(columns["IS_BAL"], "IS_BAL", path) if "IS_BAL" in columns else None,
        snr=_optional_column(columns, "SNR", path),
        c_threshold=_card_number(meta, "CTHRESH", C_THRESHOLD, path),
        min_lines=_min_lines(meta, max(nlines, default=None), path),
        left_out={"NOT_TARGET": int((~asked).sum())},
        ra=position.get("RA"),
        dec=position.get("DEC"),
        zerr=_optional_column(columns, "ZERR", path),
        p_z=_optional_column(columns, "P_Z", path),
        evidence=Evidence({name: columns[name] for name in COLUMN_NAMES & set(columns)}, meta),
        spectrum=_spectrum(columns, path),
    )
    return result.select(asked)


def _read_other(fits: FitsFile, name: str, need_zwarn: bool) -> Result:
    """A FITS catalogue of another classifier."""
    for hdu in ("REDSHIFTS", "ZBEST"):
        if fits.is_table(hdu):
            return _read_redrock(fits, hdu, name, need_zwarn)
    if fits.is_table("CANDIDATES"):
        return _read_squeze(fits, name)
    for hdu in ("QN_RR", "QN+RR"):
        if fits.is_table(hdu):
            return _read_desi(fits, hdu, name)
    if {"ZBEST", "IS_QSO", "C_LINES", "Z_LINES"} <= set(fits.columns(1)):
        return _read_quasarnet(fits, name)
    raise FileError(
        f"{fits.path}: is no catalogue that qnet knows; it holds {fits.describe()}, but the table "
        "QNET (qnet), REDSHIFTS or ZBEST (redrock), CANDIDATES (SQUEzE), QN_RR or QN+RR (DESI's "
        "afterburner), or HDU 1 with ZBEST, IS_QSO, C_LINES and Z_LINES (QuasarNET) was expected"
    )


def _foreign(
    kind: str, criterion: str, name: str, fits: FitsFile, hdu: str | int, **columns: Any
) -> Result:
    """Catalogue of another classifier, from its columns under qnet's names, and its positions."""
    if position := position_names(fits.columns(hdu)):
        columns |= zip(POSITIONS[0], fits.table(hdu, list(position)).values(), strict=True)
    result = _from_columns(columns, {}, name, fits.path)
    known = [column for column in fits.columns(hdu) if column in COLUMN_NAMES]
    evidence = Evidence(fits.table(hdu, known)).add(_fibermap(fits, columns["TARGETID"]))
    return dataclasses.replace(
        result, kind=kind, criterion=criterion, left_out={}, evidence=evidence
    )


def _fibermap(fits: FitsFile, targetid: IntArray) -> Columns:
    """What the FIBERMAP beside a catalogue, row for row, holds for strategies."""
    names = [name for name in fits.columns("FIBERMAP") if name in COLUMN_NAMES]
    if not names or "TARGETID" not in fits.columns("FIBERMAP"):
        return {}
    columns = fits.table("FIBERMAP", ["TARGETID", *names])
    same = np.array_equal(columns.pop("TARGETID"), targetid)
    return columns if same else {}


def _read_redrock(fits: FitsFile, hdu: str, name: str, need_zwarn: bool) -> Result:
    """redrock: a quasar by SPECTYPE."""
    optional = [name for name in ("ZERR",) if name in fits.columns(hdu)]
    optional += ["ZWARN"] if need_zwarn else []
    columns = fits.table(hdu, ["TARGETID", "Z", "SPECTYPE", *optional])
    is_qso = text_column(columns["SPECTYPE"], "SPECTYPE", fits.path) == "QSO"
    criterion = "SPECTYPE == 'QSO'"
    if need_zwarn:
        is_qso &= integer_column(columns["ZWARN"], "ZWARN", fits.path) == 0
        criterion += " and ZWARN == 0"
    z = float_column(columns["Z"], "Z", fits.path)
    own = {"TARGETID": columns["TARGETID"], "ZBEST": z, "IS_QSO": is_qso}
    own |= {"ZERR": columns["ZERR"]} if "ZERR" in columns else {}
    return _foreign("redrock", criterion, name, fits, hdu, **own)


def _read_squeze(fits: FitsFile, name: str) -> Result:
    """SQUEzE: the best candidate of each spectrum, a quasar by PROB."""
    wanted = ["SPECID", "Z_TRY", "PROB"]
    has_duplicated = "DUPLICATED" in fits.columns("CANDIDATES")
    columns = fits.table("CANDIDATES", wanted + (["DUPLICATED"] if has_duplicated else []))
    ids = id_numbers(columns["SPECID"], "SPECID", fits.path)
    z, score = (float_column(columns[key], key, fits.path) for key in ("Z_TRY", "PROB"))
    is_qso, criterion = score > PROB_THRESHOLD, f"PROB > {PROB_THRESHOLD:g}"
    best = {"TARGETID": ids, "ZBEST": z, "IS_QSO": is_qso}
    result = _foreign("squeze", criterion, name, fits, "CANDIDATES", **best)
    again = np.zeros(len(score), dtype=bool)
    if has_duplicated:
        again = bool_column(columns["DUPLICATED"], "DUPLICATED", fits.path)
    left_out = {"DUPLICATED": int(again.sum())}
    result = dataclasses.replace(result, score=score, score_name="PROB", left_out=left_out)
    return result.select(~again)


def _read_quasarnet(fits: FitsFile, name: str) -> Result:
    """QuasarNET's qnAll file. Its header misstates the lines and is not used."""
    have = fits.columns(1)
    id_name = next((key for key in ("TARGETID", "THING_ID") if key in have), "TARGETID")
    names = ["ZBEST", "IS_QSO", "C_LINES", "Z_LINES"]
    names += ["C_LINES_BAL"] if "C_LINES_BAL" in have else []
    names += SPECTRUM if set(SPECTRUM) <= set(have) else ()
    columns = fits.table(1, [id_name, *names])
    columns["TARGETID"] = id_numbers(columns.pop(id_name), id_name, fits.path)
    criterion = "IS_QSO (the file does not state the threshold)"
    return _foreign("quasarnet", criterion, name, fits, 1, **columns)


def _read_desi(fits: FitsFile, hdu: str, name: str) -> Result:
    """DESI's afterburner: QuasarNET's lines, and redrock's redshift where it was run again."""
    lines = [f"{kind}_{line}" for kind in "CZ" for line in _DESI_LINES]
    columns = fits.table(hdu, ["TARGETID", "IS_QSO_QN_NEW_RR", "Z_QN", "Z_NEW", *lines])
    z_new, z_qn = (float_column(columns[key], key, fits.path) for key in ("Z_NEW", "Z_QN"))
    table = np.stack([float_column(columns[key], key, fits.path) for key in lines], axis=1)
    return _foreign(
        "desi",
        "IS_QSO_QN_NEW_RR, redshift Z_NEW, else Z_QN",
        name,
        fits,
        hdu,
        TARGETID=columns["TARGETID"],
        ZBEST=np.where(np.isfinite(z_new), z_new, z_qn),
        IS_QSO=bool_column(columns["IS_QSO_QN_NEW_RR"], "IS_QSO_QN_NEW_RR", fits.path),
        C_LINES=table[:, : len(_DESI_LINES)],
        Z_LINES=table[:, len(_DESI_LINES) :],
    )


def _card_number(meta: Mapping[str, Any], key: str, default: float, path: Path) -> float:
    """A number of a catalogue's header."""
    try:
        number = float(meta.get(key, default))
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise FileError(f"{path}: card {key} holds {shown(meta[key])}, not a number")
    return number


def _min_lines(meta: Mapping[str, Any], most: int | None, path: Path) -> int:
    """Number of lines that a quasar has, of a catalogue's header."""
    number = _card_number(meta, "MINLINES", MIN_LINES, path)
    if number < 1 or number != int(number) or (most is not None and number > most):
        limit = "" if most is None else f" of {most}"
        raise FileError(
            f"{path}: card MINLINES holds {shown(meta.get('MINLINES', MIN_LINES))}, but a number "
            f"of lines{limit} was expected"
        )
    return int(number)


def _line_names(
    meta: Mapping[str, Any], nlines: int, path: Path
) -> tuple[tuple[str, ...], Mapping[str, float]]:
    """Names and rest wavelengths by the header; without, QuasarNET's where the number fits."""
    named = next(number for number in itertools.count() if f"LINE{number}" not in meta)
    if named and nlines and named != nlines:
        raise FileError(
            f"{path}: the cards LINE0 ... name {named} lines, but C_LINES and Z_LINES are of "
            f"{nlines}"
        )
    if named == nlines:
        names = tuple(str(meta[f"LINE{number}"]) for number in range(nlines))
        wavelengths = {
            line: _card_number(meta, f"REST{number}", absorber_IGM.get(line, 0.0), path)
            for number, line in enumerate(names)
            if f"REST{number}" in meta or line in absorber_IGM
        }
        return names, wavelengths
    if nlines == len(QUASARNET_LINES):
        return QUASARNET_LINES, {line: absorber_IGM[line] for line in QUASARNET_LINES}
    return tuple(f"line {number}" for number in range(nlines)), {}


def _spectrum(columns: Columns, path: Path) -> IntArray | None:
    """Numbers of the spectra by plate, MJD and fibre; None where the columns are not there."""
    if not set(SPECTRUM) <= set(columns):
        return None
    return spectrum_numbers(*(id_numbers(columns[name], name, path) for name in SPECTRUM))


def _optional_column(columns: Columns, name: str, path: Path) -> FloatArray | None:
    """A column as float64; None where there is none."""
    return float_column(columns[name], name, path) if name in columns else None


def _lines_column(columns: Columns, name: str, path: Path) -> FloatArray | None:
    """A column of several lines as (nspec, nlines); None where there is none, or of no line."""
    if name not in columns:
        return None
    values = columns[name]
    table = values[:, None] if values.ndim == 1 else values
    if table.ndim != 2 or table.dtype.kind not in "fiu":
        raise FileError(
            f"{path}: column {name} holds {values.dtype} of shape {values.shape[1:]} per row, but "
            "a number per line was expected"
        )
    return table.astype(np.float64) if table.shape[1] else None
