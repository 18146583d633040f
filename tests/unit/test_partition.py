"""One partition of a DataFrame, as Dask, LSDB and nested-pandas hand it on."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import qnet
from makers import make_spectra
from qnet.classification import classify_partition

pd = pytest.importorskip("pandas", reason="pandas is needed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is needed")

NROWS, WAVE = 7, np.arange(3700.0, 9500.0, 6.0)


@pytest.fixture(scope="module")
def cells():
    flux, ivar = make_spectra(WAVE, np.linspace(0.5, 3.2, NROWS), seed=5)
    ivar[3] = 0
    return {"wave": [WAVE] * NROWS, "flux": list(flux), "ivar": list(ivar)}


@pytest.fixture(scope="module")
def frame(cells):
    """A row for each spectrum, with lists, an index and other columns."""
    ids = {"TARGETID": np.arange(NROWS) + 100, "name": list("abcdefg")}
    return pd.DataFrame(ids | cells, index=np.arange(NROWS) * 10)


@pytest.fixture(scope="module")
def arrow(frame):
    """The same with the list columns of a Parquet file."""
    lists = pd.ArrowDtype(pa.list_(pa.float64()))
    return frame.astype(dict.fromkeys(("wave", "flux", "ivar"), lists))


@pytest.fixture(scope="module")
def expected(cells, two_stage_model):
    flux, ivar = np.stack(cells["flux"]), np.stack(cells["ivar"])
    ids = np.arange(NROWS) + 100
    return qnet.classify(WAVE, flux, ivar, targetid=ids, model=two_stage_model)


def check(found, expected):
    """Whether a frame has the rows of a catalogue."""
    for name in ("TARGETID", "IS_QSO", "P_QSO", "ZBEST", "QN_FLAG"):
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    for number, line in enumerate(("LYA", "CIV(1548)")):
        np.testing.assert_array_equal(found[f"C_{line}"], expected["C_LINES"][:, number])
    assert found["QN_FLAG"].iloc[3] & qnet.QNFlag.NODATA
    assert np.isnan(found["ZBEST"].iloc[3])


def test_a_frame_of_pandas_keeps_its_index_and_types(frame, arrow, expected, two_stage_model):
    work = functools.partial(classify_partition, model=two_stage_model)
    for given in (frame, arrow):
        found = work(given)
        assert found.index.tolist() == frame.index.tolist()
        check(found, expected)
        empty = work(given.iloc[:0])
        assert len(empty) == 0
        assert empty.dtypes.equals(found.dtypes)
    assert "INPUT_ROW" not in found
    assert "name" not in found
    assert work(frame.drop(columns="TARGETID")).columns[0] == "IS_QSO"


def test_errors_and_masks_are_taken_and_strategies_followed(frame, cells, two_stage_model):
    errors = [np.where(ivar > 0, ivar, np.nan) ** -0.5 for ivar in cells["ivar"]]
    mask = [(np.arange(len(WAVE)) < 50).astype(int)] * NROWS
    given = frame.drop(columns="ivar").assign(error=errors, mask=mask)
    found = classify_partition(given, model=two_stage_model, strategy="quasarnet")
    ivar = np.stack(cells["ivar"])
    ivar[:, :50] = 0
    flux = np.stack(cells["flux"])
    direct = qnet.classify(WAVE, flux, ivar, model=two_stage_model, strategy="quasarnet")
    np.testing.assert_array_equal(found["IS_QSO"], direct["IS_QSO"])
    np.testing.assert_allclose(found["C_LYA"], direct["C_LINES"][:, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": [1, 2]}, r"frame must be a DataFrame, not list"),
        (
            {"frame": pd.DataFrame({"wave": WAVE, "flux": WAVE, "ivar": WAVE})},
            rf"frame must have a spectrum in each row, not a pixel: its {len(WAVE)} rows are 1 sp",
        ),
        ({"workers": 2}, r"unknown option\(s\) \['workers'\]: the legal ones are \['air', "),
        ({"strategy": "desi-dr1"}, r"strategy desi-dr1@1 needs C_LINES, SPECTYPE"),
    ],
)
def test_what_a_partition_cannot_be_is_refused(options, message, frame, two_stage_model):
    with pytest.raises(qnet.InputError, match=message):
        classify_partition(**{"frame": frame, "model": two_stage_model} | options)


def test_rows_without_lists_become_flagged_rows(frame, two_stage_model):
    broken = frame.copy()
    broken.at[0, "flux"] = None
    broken.at[10, "ivar"] = broken.at[10, "ivar"][:-1]
    with pytest.warns(qnet.QnetWarning, match=r"rows 0, 1: the lists .* of different lengths"):
        found = classify_partition(broken, model=two_stage_model)
    assert len(found) == NROWS
    assert np.isnan(found["ZBEST"].iloc[:2]).all()
    assert (found["QN_FLAG"].iloc[:2] & int(qnet.QNFlag.NODATA)).all()


def test_nested_pandas_hands_on_nested_columns(frame, cells, expected, two_stage_model):
    nested = pytest.importorskip("nested_pandas", reason="nested-pandas is needed")
    flat = {name: np.concatenate(values) for name, values in cells.items()}
    pixels = pd.DataFrame(flat, index=np.repeat(frame.index, len(WAVE)))
    base = nested.NestedFrame(frame[["TARGETID", "name"]])
    given = base.join_nested(pixels, "spectrum")
    found = classify_partition(given, model=two_stage_model)
    assert isinstance(found, nested.NestedFrame)
    assert found.index.tolist() == frame.index.tolist()
    check(found, expected)
    empty = classify_partition(given.iloc[:0], model=two_stage_model)
    assert empty.dtypes.equals(found.dtypes)


def test_dask_maps_it_over_partitions(arrow, expected, two_stage_model):
    dask = pytest.importorskip("dask.dataframe", reason="Dask is needed")
    work = functools.partial(classify_partition, model=two_stage_model)
    given = dask.from_pandas(arrow, npartitions=3)
    mapped = given.map_partitions(work, meta=work(given._meta))
    found = mapped.compute(scheduler="threads", num_workers=2)
    assert mapped.npartitions == 3
    assert found.index.tolist() == arrow.index.tolist()
    check(found, expected)
    assert mapped.dtypes.equals(found.dtypes)
