"""What a model takes and gives."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

import qnet
from networks import write_legacy
from qnet.core.errors import InputError
from qnet.core.grid import QUASARNET_GRID
from qnet.lines import QUASARNET_LINES, QUASARNET_LINES_BAL, absorber_IGM
from qnet.model.architecture import Architecture
from qnet.model.layers import ConvLayer
from qnet.model.network import Network
from qnet.postprocess.decoding import process_preds


@pytest.fixture
def X(small_model):
    return np.random.default_rng(2).normal(size=(70, small_model.grid.npix))


def test_predictions_come_as_keras_gives_them(small_model, X):
    preds = small_model.predict(X[:, :, None])
    assert isinstance(preds, list)
    assert [(pred.shape, pred.dtype) for pred in preds] == [((70, 26), np.dtype("f4"))] * 7
    for other in (
        small_model(X),
        small_model.predict(X, batch_size=7),
        small_model.predict(X.astype(">f8")),
    ):
        np.testing.assert_allclose(other, preds, rtol=0, atol=2e-6)


def test_a_progress_bar_when_asked(small_model, X, capsys):
    preds = small_model.predict(X, 32, 1)
    assert "70 of 70 spectra" in capsys.readouterr().err
    np.testing.assert_allclose(preds, small_model.predict(X), rtol=0, atol=2e-6)
    small_model.predict(X)
    assert capsys.readouterr().err == ""


def test_no_spectra_give_no_rows(small_model, X):
    for verbose in (0, 1):
        preds = small_model.predict(X[:0], verbose=verbose)
        assert [pred.shape for pred in preds] == [(0, 26)] * 7
    assert len(small_model.decode(preds)) == 0


def test_a_nan_row_is_nan_and_touches_no_other(small_model, X):
    clean = small_model.decode(small_model.predict(X))
    X[5] = np.nan
    X[9, 17] = np.nan
    found = small_model.decode(small_model.predict(X))
    for name in ("c_line", "z_line", "zbest", "c_line_bal", "z_line_bal"):
        values, expected = getattr(found, name), getattr(clean, name)
        assert np.isnan(values[..., [5, 9]]).all(), name
        kept = np.delete(np.arange(70), [5, 9])
        np.testing.assert_array_equal(values[..., kept], expected[..., kept])
    assert not found.is_qso(0.0)[[5, 9]].any()
    assert not found.is_bal(0.0)[[5, 9]].any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("pixel", [0, 442])
def test_every_pixel_of_a_row_counts(small_model, X, value, pixel):
    """Also one that the strides leave out, at the end of the grid."""
    X[3, pixel] = value
    for dtype in (np.float32, np.float64):
        preds = np.array(small_model.predict(X, dtype=dtype))
        assert np.isnan(preds[:, 3]).all()
        assert np.isfinite(np.delete(preds, 3, axis=1)).all()


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((4, 12), {}, r"X has shape \(4, 12\), but model small@imported takes \(nspec, 443\)"),
        ((443,), {}, r"X has shape \(443,\)"),
        ((4, 443, 2), {}, r"X has shape \(4, 443, 2\)"),
        ((4, 443), {"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ((4, 443), {"dtype": "f2"}, "dtype must be float32 or float64, not 'f2'"),
        ((4, 443), {"dtype": "foo"}, "dtype must be float32 or float64, not 'foo'"),
        ((4, 443), {"dtype": None}, "dtype must be float32 or float64, not None"),
        ((4, 443), {"batch_size": 2.5}, r"batch_size must be a whole number, not 2\.5"),
        ((4, 443), {"batch_size": True}, "batch_size must be a whole number, not True"),
        ((4, 443), {"threads": True}, "threads must be a whole number, not True"),
        ((4, 443), {"verbose": "yes"}, "verbose must be a whole number, not 'yes'"),
    ],
)
def test_input_of_the_wrong_shape(small_model, shape, options, message):
    with pytest.raises(InputError, match=message):
        small_model.predict(np.zeros(shape), **options)


def test_the_input_is_clipped_where_the_model_has_limits(small_model, X, tmp_path):
    clip = (-1.5, 2.0)
    architecture = dataclasses.replace(small_model.architecture, clip=clip)
    model = qnet.Model(dataclasses.replace(small_model.weights, architecture=architecture))
    wild = np.array(X) * 10
    wild[0, 5], wild[1, 7] = np.inf, np.nan
    expected = small_model.predict(np.clip(wild[2:], *clip))
    found = model.predict(wild)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one[2:], other, rtol=1e-4, atol=1e-7)
        assert np.isnan(one[:2]).all()
    model.save(tmp_path / "clipped-1.safetensors")
    assert qnet.load_model(tmp_path / "clipped-1.safetensors").architecture.clip == clip
    with pytest.raises(InputError, match="clip must be a negative and a positive number"):
        dataclasses.replace(small_model.architecture, clip=(1.0, 2.0))


def test_input_that_is_no_numbers(small_model):
    with pytest.raises(InputError, match="X must hold numbers"):
        small_model.predict(np.full((2, 443), "a"))


def test_process_preds_as_the_tutorial_calls_it(small_model, X, caplog):
    preds = small_model.predict(X[:, :, None])
    lines, lines_bal = list(QUASARNET_LINES), list(QUASARNET_LINES_BAL)
    with caplog.at_level(logging.INFO, logger="qnet"):
        found = process_preds(preds, lines, lines_bal)
    assert "70 spectra, 13 boxes" in caplog.text
    assert "QuasarNET's, as no wave was given" in caplog.text
    decoded = small_model.decode(preds)
    names = ("c_line", "z_line", "zbest", "c_line_bal", "z_line_bal")
    for name, values in zip(names, found, strict=True):
        np.testing.assert_array_equal(values, getattr(decoded, name))
    same = process_preds(preds, lines, lines_bal, False, QUASARNET_GRID.wave, absorber_IGM)
    for values, expected in zip(same, found, strict=True):
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9)
    other = process_preds(
        preds, lines, lines_bal, verbose=False, rest={**absorber_IGM, "Halpha": 6564.61}
    )
    assert (other[1][5] < found[1][5]).all()
    np.testing.assert_array_equal(other[1][:5], found[1][:5])


@pytest.mark.parametrize(
    ("lines", "lines_bal", "message"),
    [
        (["LYA"], [], r"preds holds 7 outputs, but lines \['LYA'\] .* name 1 \+ 0"),
        (["Lyman"] * 6, ["CIV(1548)"], r"unknown line name.*Lyman.*the legal ones are \['AlII"),
        ("LYA", [], "lines must be a list of line names, not the string 'LYA'"),
        ([], ["LYA"] * 7, "lines is empty"),
    ],
)
def test_lines_that_do_not_match_the_predictions(small_model, X, lines, lines_bal, message):
    with pytest.raises(InputError, match=message):
        process_preds(small_model.predict(X), lines, lines_bal, verbose=False)


@pytest.mark.parametrize(
    ("preds", "message"),
    [
        ([np.zeros((3, 26)), np.zeros((3, 24))], "must have the same shape"),
        ([np.zeros((3, 25))] * 2, "must have the same shape"),
        ([np.zeros(26)] * 2, "must have the same shape"),
        ([np.zeros((3, 26), int)] * 2, "preds must hold floats"),
    ],
)
def test_predictions_of_the_wrong_shape(preds, message):
    with pytest.raises(InputError, match=message):
        process_preds(preds, ["LYA"], ["CIV(1548)"], verbose=False)


def test_predictions_become_a_row_aligned_table(small_model, X):
    found = small_model.decode(small_model.predict(X))
    table = found.to_table()
    assert table.colnames == ["ZBEST", "C_LINES", "Z_LINES", "C_LINES_BAL", "Z_LINES_BAL"]
    assert table["C_LINES"].shape == (70, 6)
    assert table["C_LINES_BAL"].shape == (70, 1)
    assert table.meta == {"LINES": list(QUASARNET_LINES), "LINES_BAL": ["CIV(1548)"]}
    np.testing.assert_array_equal(table["Z_LINES"][13], found.z_line[:, 13])


def test_quasarnets_rule_counts_lines(small_model, X):
    found = small_model.decode(small_model.predict(X))
    for threshold in (0.3, 0.5, 0.7):
        for min_lines in (1, 2, 6):
            expected = [(found.c_line[:, row] > threshold).sum() >= min_lines for row in range(70)]
            np.testing.assert_array_equal(found.is_qso(threshold, min_lines), expected)


def test_the_published_network_has_the_published_size():
    """521 882 parameters, of which 1000 are the moving statistics of the batch norms."""
    architecture = Architecture(
        grid=QUASARNET_GRID,
        lines=QUASARNET_LINES,
        lines_bal=QUASARNET_LINES_BAL,
        rest={name: absorber_IGM[name] for name in QUASARNET_LINES},
        nboxes=13,
        convs=(ConvLayer(100, 10, 2, "valid"),) * 4,
        units=100,
    )
    assert architecture.nparameters == 521_882
    assert Architecture.from_dict(architecture.to_dict()) == architecture
    with pytest.raises(InputError, match="443 input pixels are too few for convolution 6 of 8"):
        Architecture(**{**vars(architecture), "convs": (ConvLayer(100, 10, 2, "valid"),) * 8})


def test_weights_that_are_missing(small_model):
    weights = dict(small_model.weights.arrays)
    del weights["fc_box_3.bias"]
    with pytest.raises(InputError, match=r"the weights lack the array fc_box_3.bias"):
        Network(small_model.architecture, weights)


def test_loading_for_a_second_time_is_the_same(tmp_path, X):
    path = write_legacy(tmp_path / "model.h5")
    first, second = qnet.load_model(path), qnet.load_model(str(path))
    assert first.sha256 == second.sha256
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert "LYA, CIV(1548)" in repr(first)


def sure_model(model, logits):
    """The model with given logits {line: {box: logit}} for every spectrum, -30 elsewhere."""
    arrays = dict(model.weights.arrays)
    for number, line in enumerate(model.lines):
        kernel, bias = f"fc_box_{number}.kernel", f"fc_box_{number}.bias"
        arrays[kernel] = np.zeros_like(arrays[kernel])
        arrays[bias] = np.full_like(arrays[bias], -30.0)
        for box, logit in logits.get(line, {}).items():
            arrays[bias][box] = logit
    return qnet.Model(dataclasses.replace(model.weights, arrays=arrays))


@pytest.mark.parametrize(("first", "second"), [(20.0, 25.0), (25.0, 20.0), (17.5, 200.0)])
def test_of_saturated_confidences_the_largest_logit_is_chosen(small_model, first, second):
    """Between lines, and between boxes of a line; of preds alone the first, as in QuasarNET."""
    logits = {"LYA": {2: 17.2, 5: first}, "MgII(2796)": {3: 18.0, 7: second, 9: 18.5}}
    model = sure_model(small_model, logits)
    spectra = qnet.simulate(3, seed=1, mix={"quasar": 1}).collect().spectra
    table = qnet.classify(spectra, model=model)
    lya, mgii = model.lines.index("LYA"), model.lines.index("MgII(2796)")
    assert (table["C_LINES"][:, [lya, mgii]] == 1).all()
    best = lya if first > second else mgii
    np.testing.assert_allclose(table["ZBEST"], table["Z_LINES"][:, best], rtol=1e-6)
    data = model.preprocess(spectra)
    output = model.forward(data.X)
    found = model.decode(output.preds, output.logits)
    boxes = {lya: 5, mgii: 7}
    for number, box in boxes.items():
        offset = output.preds[number][:, model.nboxes + box]
        wave = model.grid.from_box(np.full(3, box), offset, model.nboxes)
        expected = wave / model.rest[model.lines[number]] - 1
        np.testing.assert_allclose(found.z_line[number], expected, rtol=1e-12)
    np.testing.assert_array_equal(found.best_line(), best)
    np.testing.assert_array_equal(found.select([1]).best_line(), best)
    plain = model.decode(output.preds)
    np.testing.assert_array_equal(plain.zbest, plain.z_line[lya])
    assert plain.logit_line is None


def test_logits_decide_nothing_else(small_model, X):
    X[3, 5] = np.nan
    output = small_model.forward(X)
    with_logits, plain = (
        small_model.decode(output.preds, output.logits),
        small_model.decode(output.preds),
    )
    np.testing.assert_array_equal(with_logits.c_line, plain.c_line)
    boxes = np.stack(output.preds)[:, :, : small_model.nboxes]
    single = ((boxes == boxes.max(axis=2, keepdims=True)).sum(axis=2) <= 1).all(axis=0)
    single &= (plain.c_line == plain.c_line.max(axis=0)).sum(axis=0) <= 1
    assert 50 < single.sum() < len(X)
    for name in ("z_line", "zbest", "z_line_bal"):
        ours, theirs = (getattr(found, name)[..., single] for found in (with_logits, plain))
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(InputError, match=r"logits must be of shape \(7, 70, 13\), not \(7, 70\)"):
        small_model.decode(output.preds, output.logits[:, :, 0])
