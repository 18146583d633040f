"""qnet's own weights file."""

from __future__ import annotations

import dataclasses
import json
import os
import struct

import numpy as np
import pytest

import qnet
from networks import law_of, small_calibration, verifying_model
from qnet.core.errors import InputError, OutputExistsError, WeightsError
from qnet.model.laws import Evidence, Table
from qnet.model.weights import WeightsFile, read_weights, write_weights
from qnet.training import NetworkOptions, Settings


@pytest.fixture
def saved(tmp_path, small_model):
    return small_model.save(tmp_path / "model.safetensors")


def test_a_model_survives_writing_and_reading(tmp_path, legacy_weights):
    legacy = qnet.load_model(legacy_weights)
    model = qnet.load_model(legacy.save(tmp_path / "model.safetensors"))
    assert model.architecture == legacy.architecture
    assert model.name == legacy.name == "small@imported"
    assert model.weights.provenance == legacy.weights.provenance
    assert model.sha256 != legacy.sha256
    X = np.random.default_rng(0).normal(size=(5, model.grid.npix))
    np.testing.assert_array_equal(model.predict(X), legacy.predict(X))
    for name, array in legacy.weights.arrays.items():
        np.testing.assert_array_equal(model.weights.arrays[name], array)


def test_everything_that_describes_a_model_is_kept(tmp_path, small_model):
    described = dataclasses.replace(
        small_model.weights,
        name="deep",
        version="2.1",
        licence="BSD-3-Clause",
        notices=("of someone",),
        provenance={"seed": 7, "curve": [1.0, 0.5]},
    )
    write_weights(tmp_path / "deep.safetensors", described)
    found = read_weights(tmp_path / "deep.safetensors")
    for field in dataclasses.fields(WeightsFile):
        if field.name not in ("arrays", "sha256"):
            assert getattr(found, field.name) == getattr(described, field.name), field.name


def test_an_existing_file_is_kept_unless_asked(saved, small_model):
    before = saved.read_bytes()
    with pytest.raises(OutputExistsError, match=r"model.safetensors: exists already"):
        small_model.save(saved)
    assert saved.read_bytes() == before
    small_model.save(saved, overwrite=True)
    assert os.listdir(saved.parent) == [saved.name]


def test_another_suffix_is_refused(tmp_path, small_model):
    with pytest.raises(InputError, match=r"model.h5: a weights file must end in .safetensors"):
        small_model.save(tmp_path / "model.h5")


def rewrite(path, change):
    """Change the JSON in a safetensors file's header."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    ours = json.loads(header["__metadata__"]["qnet"])
    change(header, ours)
    if "__metadata__" in header:
        header["__metadata__"]["qnet"] = json.dumps(ours)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def _architecture(**values):
    return lambda header, ours: ours["stages"]["lines"].update(values)


CHANGES = [
    (lambda header, ours: header.pop("__metadata__"), "without qnet's header"),
    (lambda header, ours: ours.update(format="other"), "its header is not that of qnet-weights"),
    (lambda header, ours: ours.update(format_version=99), "format version is 99, but this version"),
    (
        lambda header, ours: ours.update(stages={}),
        r"has the stages \[\], but 'lines', and perhaps 'refine', were",
    ),
    (lambda header, ours: ours.update(notices=5), "damaged|notices must be a list"),
    (lambda header, ours: ours.update(notices="abc"), "its notices must be a list"),
    (lambda header, ours: ours.update(provenance=[1]), "its provenance a mapping"),
    (lambda header, ours: ours.update(name="a\x1b[2Jb"), "where plain text was expected"),
    (lambda header, ours: ours["stages"].update(refine={}), "the second stage's architecture la"),
    (
        lambda header, ours: ours["stages"]["lines"]["convs"][0].update(stride=2.0),
        "positive filters|stride must be a whole number",
    ),
    (_architecture(epsilon=0.0), "epsilon must be positive"),
    (_architecture(lines=["LYA"]), "holds arrays that its architecture does not have"),
    (_architecture(lines=["Lya"] * 6), "unknown line name"),
    (_architecture(units=9), r"fc_common.kernel has shape \(\d+, 8\), but \(\d+, 9\) was expected"),
    (_architecture(units=10**9), "parameters, above"),
    (_architecture(convs=[{"filters": 1}]), "not a network's architecture"),
    (_architecture(grid={"spacing": "log"}), "not a wavelength grid"),
    (_architecture(offset_scale=float("nan")), "offset scale and shift must be finite"),
    (_architecture(rest={"LYA": 1215.67}), "unknown line name"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_headers_that_do_not_fit_are_refused(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(WeightsError, match=message) as caught:
        qnet.load_model(saved)
    assert str(caught.value).startswith(f"{saved}: ")


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_file_cut_short(saved, share):
    data = saved.read_bytes()
    saved.write_bytes(data[: max(int(share * len(data)), 4)])
    with pytest.raises(WeightsError, match="is damaged, cut short or no weights file"):
        qnet.load_model(saved)


def test_a_self_describing_file_cannot_be_overridden(saved):
    with pytest.raises(InputError, match="holds its own lines and grid"):
        qnet.load_model(saved, lines=["LYA"])


@pytest.fixture
def saved_two(tmp_path, two_stage_model):
    return two_stage_model.save(tmp_path / "two.safetensors")


def header_of(path):
    found = []
    rewrite(path, lambda header, ours: found.append(json.loads(json.dumps(ours))))
    return found[0]


def test_all_stages_survive_writing_and_reading(saved_two, two_stage_model):
    model = qnet.load_model(saved_two)
    for name in ("architecture", "refine", "calibration", "stages"):
        assert getattr(model.weights, name) == getattr(two_stage_model.weights, name), name
    assert set(model.weights.arrays) == set(two_stage_model.weights.arrays)
    X = np.random.default_rng(0).normal(size=(5, model.grid.npix))
    for values, expected in zip(
        model.forward(X).preds, two_stage_model.forward(X).preds, strict=True
    ):
        np.testing.assert_array_equal(values, expected)
    x = np.random.default_rng(0).normal(size=(5, model.refiner.arch.window.npooled, 2))
    for values, expected in zip(
        model.refiner.predict(x), two_stage_model.refiner.predict(x), strict=True
    ):
        np.testing.assert_array_equal(values, expected)


def test_either_part_may_be_missing(saved, saved_two, two_stage_model):
    assert header_of(saved)["format_version"] == header_of(saved_two)["format_version"] == 4
    assert set(header_of(saved)["stages"]) == {"lines"}
    for change in ({"refine": None}, {"calibration": None}):
        weights = dataclasses.replace(two_stage_model.weights, **change)
        write_weights(saved_two, weights, overwrite=True)
        found = read_weights(saved_two)
        assert (found.refine, found.calibration) == (weights.refine, weights.calibration)


#: What the calibrations of older format versions lack.
LATER = {
    2: ("p_verified", "candidates", "candidate_floor", "share_exponent"),
    3: ("p_z", "p_z2", "zerr_noise", "evidence"),
}


@pytest.mark.parametrize("version", LATER)
def test_older_format_versions_lack_what_came_later(saved_two, two_stage_model, version):
    """As qnet@4 has it; version 2 has no redshift head nor scores of candidates."""

    def age(header, ours):
        ours["format_version"] = version
        if version == 2:
            del ours["stages"]["lines"]["redshifts"]
            for name in ("verify", "bal"):
                del ours["stages"]["refine"][name]
        for name in (name for since, names in LATER.items() if since >= version for name in names):
            del ours["calibration"][name]

    rewrite(saved_two, age)
    found = read_weights(saved_two)
    for name in ("architecture", "refine", "calibration"):
        assert getattr(found, name) == getattr(two_stage_model.weights, name), name


def _refine(**values):
    return lambda header, ours: ours["stages"]["refine"].update(values)


def _names(law, name):
    def change(header, ours):
        given = ours["calibration"][law]
        given["names"] = [name, *given["names"][1:]]

    return change


def _calibration(**values):
    return lambda header, ours: ours["calibration"].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda header, ours: ours.update(format_version=1),
            "is 1, but this version",
        ),
        (lambda header, ours: ours.update(format_version=True), "its format version is True"),
        (lambda header, ours: ours["stages"].update(third={}), "but 'lines', and perhaps"),
        (lambda header, ours: ours["stages"].pop("refine"), "arrays that its architecture does no"),
        (lambda header, ours: ours["stages"].pop("lines"), r"has the stages \['refine'\]"),
        (lambda header, ours: ours.update(stages=["lines"]), r"has the stages \['lines'\], but"),
        (lambda header, ours: ours.update(calibration=[1]), "not a calibration"),
        (lambda header, ours: ours.update(calibration={}), "the calibration lacks"),
        (_refine(units=7), r"array refine_fc.kernel has shape \(\d+, 6\), but \(\d+, 7\) was"),
        (_refine(units=10**9), "parameters, above"),
        (_refine(pool=0), "pool must be a positive integer"),
        (_refine(grid={"spacing": "log", "start": 3.5, "step": 1e-9, "npix": 9}), "the window of"),
        (_refine(grid={"spacing": "linear", "start": 3600, "step": 1, "npix": 9}), "a log grid"),
        (_refine(other=1), "not a second stage's architecture"),
        (_calibration(mix={"QSO": 2.0}), "must give QSO a fraction"),
        (_calibration(outlier_threshold=None), "does not have: outlier_mean, outlier_scale"),
        (_calibration(joints=[[1]]), "joints must be made of two numbers"),
        (_calibration(zerr_lines={"Lya": None}), "not a calibration"),
        (
            lambda header, ours: ours["calibration"]["zerr_lines"].update(
                Lya=ours["calibration"]["zerr"]
            ),
            "errors of lines it has not: Lya",
        ),
        (
            lambda header, ours: ours["calibration"]["p_qso"]["names"].__setitem__(0, "colour"),
            r"unknown feature\(s\) \['colour'\]",
        ),
        (
            lambda header, ours: ours["calibration"]["p_qso"]["coefficients"].pop(),
            "need 5 coefficients, not 4",
        ),
    ],
)
def test_headers_of_two_stages_that_do_not_fit(saved_two, change, message):
    rewrite(saved_two, change)
    with pytest.raises(WeightsError, match=message) as caught:
        qnet.load_model(saved_two)
    assert str(caught.value).startswith(f"{saved_two}: ")


def test_nothing_is_written_that_does_not_fit(tmp_path, two_stage_model):
    weights = two_stage_model.weights
    for name in ("refine_out.bias", "outlier_scale"):
        arrays = {key: array for key, array in weights.arrays.items() if key != name}
        with pytest.raises(InputError, match=f"the weights lack the array {name}"):
            write_weights(tmp_path / "a.safetensors", dataclasses.replace(weights, arrays=arrays))
    arrays = {**weights.arrays, "refine_fc.bias": np.full(6, np.nan, np.float32)}
    with pytest.raises(InputError, match=r"array refine_fc.bias must hold finite floats"):
        write_weights(tmp_path / "a.safetensors", dataclasses.replace(weights, arrays=arrays))
    assert os.listdir(tmp_path) == []


def test_shapes_are_looked_at_before_arrays_are_read(saved_two, monkeypatch):
    """A file of the wrong shapes has none of its arrays read."""
    import safetensors

    rewrite(saved_two, _refine(units=7))
    read = []
    opened = safetensors.safe_open

    class Watched:
        def __init__(self, *args, **kwargs):
            self.stream = opened(*args, **kwargs)

        def __enter__(self):
            self.stream.__enter__()
            return self

        def __exit__(self, *args):
            return self.stream.__exit__(*args)

        def __getattr__(self, name):
            return getattr(self.stream, name)

        def get_tensor(self, name):
            read.append(name)
            return self.stream.get_tensor(name)

    monkeypatch.setattr(safetensors, "safe_open", Watched)
    with pytest.raises(WeightsError, match="was expected"):
        qnet.load_model(saved_two)
    assert read == []


@pytest.fixture
def saved_three(tmp_path, small_model):
    return verifying_model(small_model).save(tmp_path / "three.safetensors")


def test_redshift_head_and_verdict_survive_writing_and_reading(saved_three, small_model):
    assert header_of(saved_three)["format_version"] == 4
    model, made = qnet.load_model(saved_three), verifying_model(small_model)
    for name in ("architecture", "refine", "calibration", "stages"):
        assert getattr(model.weights, name) == getattr(made.weights, name), name
    X = np.random.default_rng(0).normal(size=(5, model.grid.npix))
    np.testing.assert_array_equal(model.forward(X).posterior, made.forward(X).posterior)


def test_a_stage_that_looks_for_absorption_survives_too(tmp_path, small_model):
    law = law_of("score_bal")
    of_redshifts = {
        "p_z": law_of("score"),
        "p_z2": law_of("log_odds2"),
        "zerr_noise": Table((0, 1), (0, 7), ((0.5,),)),
        "evidence": Evidence(1.1, 0.3, 1),
    }
    made = verifying_model(small_model, bal=True, calibration={"p_bal": law, **of_redshifts})
    model = qnet.load_model(made.save(tmp_path / "bal.safetensors"))
    for name in ("architecture", "refine", "calibration", "stages"):
        assert getattr(model.weights, name) == getattr(made.weights, name), name
    X = np.random.default_rng(0).normal(size=(5, model.refiner.arch.window.npooled, 2))
    ours, theirs = (each.refiner.predict(X).bal for each in (model, made))
    np.testing.assert_array_equal(ours, theirs)


def _unverified(header, ours):
    ours["stages"]["refine"]["verify"] = False


def _headless(header, ours):
    ours["stages"]["lines"]["redshifts"] = None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_unverified, r"array refine_out.kernel has shape \(6, 3\), but \(6, 2\)"),
        (_headless, "arrays that its architecture does not have: fc_redshift"),
        (_refine(verify=1), "scores must be true or false, not 1"),
        (_refine(passes=10**12), "passes must be at most 20, not"),
        (_refine(pool=10**9), "the window of the second stage has 0 pixels"),
        (
            lambda header, ours: ours["stages"]["lines"]["convs"][0].update(stride=10**9),
            "convolution 1 steps over 1000000000 pixels, but the input has",
        ),
        (
            lambda header, ours: ours["calibration"]["p_verified"].update(names=["score"] * 30_000),
            "there are 30000 features, above 100",
        ),
        (
            lambda header, ours: ours["stages"]["lines"].update(lines=["L\x1b[31m"] * 6),
            "names of lines must be plain text",
        ),
        (_calibration(mix={"QSO": 0.5, "\x1b]0;": 0.5}), "names of classes must be plain text"),
        (_names("p_bal", "score_bal"), r"feature\(s\) \['score_bal'\] need a stage that the"),
        (_names("p_verified", "score_bal"), r"feature\(s\) \['score_bal'\] need a stage that"),
        (_refine(bal=1), "bal must be true or false, not 1"),
        (_refine(verify=False, bal=True), "looks for broad absorption must score"),
        (_refine(bal=True), r"array refine_out.kernel has shape \(6, 3\), but \(6, 4\)"),
        (_calibration(candidates=0), "candidates must be an integer in 1 .. 100"),
        (_calibration(candidates=10**9), "candidates must be an integer in 1 .. 100"),
        (_calibration(candidate_floor=2.0), "candidate_floor must be in 0 .. 1"),
        (_calibration(share_exponent=None), "fraction_exponent must be a number"),
        (
            lambda header, ours: ours["calibration"].update(
                p_qso=ours["calibration"]["p_verified"]
            ),
            r"feature\(s\) \['score', 'score2'\] need a stage that the model lacks, or a later",
        ),
        (
            lambda header, ours: ours["stages"]["lines"]["redshifts"].update(nbins=10**9),
            "nbins must be an integer",
        ),
    ],
)
def test_headers_of_a_verdict_that_do_not_fit(saved_three, change, message):
    rewrite(saved_three, change)
    with pytest.raises(WeightsError, match=message):
        qnet.load_model(saved_three)


def test_a_verdict_needs_what_makes_it(tmp_path, small_model, two_stage_model):
    calibration = dataclasses.replace(
        verifying_model(small_model).weights.calibration, p_qso=small_calibration().p_qso
    )
    weights = dataclasses.replace(two_stage_model.weights, calibration=calibration)
    with pytest.raises(InputError, match="p_verified, but no stage scores candidates"):
        write_weights(tmp_path / "a.safetensors", weights)


def test_what_could_not_be_read_again_is_not_written(tmp_path, small_model):
    for name in ("\udcff", "\x1b[2J"):
        weights = dataclasses.replace(small_model.weights, name=name)
        with pytest.raises(InputError, match="where plain text was expected"):
            write_weights(tmp_path / "a.safetensors", weights)
    assert not list(tmp_path.iterdir())


def numpy_scalars(value):
    """The numbers and texts of a value as NumPy's, those in dataclasses and collections too."""
    if dataclasses.is_dataclass(value):
        fields = {
            field.name: numpy_scalars(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **fields)
    if isinstance(value, (tuple, list)):
        return type(value)(map(numpy_scalars, value))
    if isinstance(value, dict):
        return {key: numpy_scalars(item) for key, item in value.items()}
    return np.array(value)[()] if isinstance(value, (bool, int, float, str)) else value


def test_a_model_made_of_numpys_numbers_is_saved_as_that_of_pythons(tmp_path, two_stage_model):
    plain = two_stage_model.weights
    ours = dataclasses.replace(plain, provenance={"epoch": 3, "history": [{"loss": 0.5}]})
    theirs = numpy_scalars(ours)
    assert theirs.architecture == ours.architecture
    paths = [tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"]
    for path, weights in zip(paths, (ours, theirs), strict=True):
        write_weights(path, weights)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    settings = Settings(network=NetworkOptions(filters=(4, 8, 8, 8)), patience=3)
    assert json.dumps(numpy_scalars(settings).to_dict()) == json.dumps(settings.to_dict())
    with pytest.raises(InputError, match=r"provenance must hold numbers, text, .* type ndarray"):
        dataclasses.replace(plain, provenance={"loss": np.ones(2)})
