"""Wrong arguments of every public function: a QnetError or a result; nothing else leaves."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import os
import random
from pathlib import Path
from types import SimpleNamespace

import matplotlib.figure
import numpy as np
import pandas
import pytest
from astropy import units
from astropy.nddata import InverseVariance
from astropy.table import Table
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import qnet
from catalogues import mock_survey
from networks import with_density
from oddities import ODD
from qnet.core.grid import QUASARNET_GRID
from qnet.model import ConvLayer

pytestmark = pytest.mark.filterwarnings("ignore::qnet.QnetWarning")

DOCS = Path(__file__).parents[2] / "docs"

#: More examples by hand: QNET_EXAMPLES=5000.
EXAMPLES = int(os.environ.get("QNET_EXAMPLES", "25"))

#: Public callables that are not tried, with the reason.
LEFT_OUT = {
    "register": "what it takes stays registered; `Reader` is tried",
    **dict.fromkeys(("QuasarNET", "custom_loss", "train", "train_refiner", "calibrate"), "slow"),
    **dict.fromkeys(("QNFlag", "Reason"), "an enumeration of Python's"),
}

rng = np.random.default_rng(0)
WAVE = np.linspace(3650.0, 9800.0, 200)
FLUX, IVAR = rng.normal(5.0, 1.0, (3, 200)), np.ones((3, 200))
ON_GRID = rng.normal(5.0, 1.0, (3, 443))
Y = np.eye(5)[[2, 3, 0]]

#: Arguments that are the caller's own code: what it raises is the caller's.
CALLERS = {("qnet.evaluation.bootstrap", "statistic")}

#: Callables that take more than 0.2 s, of which fewer examples are tried.
SLOW = (
    "write_simulation",
    "save_figure",
    "plot_",
    "Errors",
    "classify",
    "evaluate",
    "compare",
    "survey.run",
    "run_",
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory, small_model, two_stage_model):
    """Function and legal arguments by public name; methods by the name of their class."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("arguments"))
        patch.setenv("MPLBACKEND", "agg")
        yield _cases(small_model, two_stage_model)


def test_every_public_callable_is_tried(cases):
    spec = importlib.util.spec_from_file_location("names", DOCS / "_ext" / "public_names.py")
    names = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(names)
    public = {}
    for path in names.paths():
        value = None if path.rpartition(".")[2] in LEFT_OUT else names.resolve(path)
        is_error = inspect.isclass(value) and issubclass(value, Exception)
        if callable(value) and not is_error and all(value is not x for x in public.values()):
            public[path] = value
    assert set(public) <= set(cases)


def test_legal_arguments_are_taken(cases):
    for path in cases:
        if path not in ("qnet.compat.load_desi_exposure", "Templates.read"):  # of no such folder
            function, arguments = cases[path]
            function(**arguments)


@settings(max_examples=EXAMPLES, phases=[Phase.generate])
@given(st.sampled_from(sorted(ODD)), st.integers(0, 2**32))
def test_a_wrong_argument_is_an_error_of_qnet(cases, odd, seed):
    """Each example tries one odd value for one argument of every callable that is fast."""
    chance = random.Random(seed)
    for path, (function, arguments) in cases.items():
        if not arguments or (any(part in path for part in SLOW) and chance.random() > 0.1):
            continue
        name = chance.choice(sorted(arguments))
        if (path, name) in CALLERS:
            continue
        try:
            function(**arguments | {name: ODD[odd]()})
        except qnet.QnetError as error:
            message = str(error)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            pytest.fail(f"{path}({name}={odd}): {type(error).__name__}: {error}")
        else:
            continue
        assert "\n" not in message
        assert len(message) <= 1500


def _cases(small, full):
    camera = qnet.Camera("c", WAVE, FLUX, IVAR)
    spectra = qnet.Spectra([camera], {"TARGETID": np.arange(3)})
    grid = qnet.WavelengthGrid.log(3600.0, 9900.0, 4e-3)
    fine = qnet.WavelengthGrid.log(3600.0, 10400.0, 1e-3)
    X = qnet.preprocess.preprocess([camera], small.grid).X
    preds = small.predict(X)
    truth, result = mock_survey(20)
    evaluation = qnet.evaluate(result, truth, nboot=5)
    simulation = qnet.simulate(3, seed=1, survey="desi")
    window = qnet.preprocess.Window(fine)
    bins = qnet.core.bins.RedshiftBins(z_min=0.0, z_max=4.0, nbins=20)
    posterior = rng.random((3, bins.noutputs))
    made = qnet.Predictions(**vars(small.decode(preds)))
    qnet.simulation.write_simulation(simulation, "coadd.fits", "truth.fits", format="coadd")
    qnet.simulation.write_simulation(simulation, "data.fits", "truth.csv")
    qnet.survey.run("data.fits", "survey", workers=1)
    table = qnet.classify(spectra, model=small)
    qnet.write_catalogue(table, "catalogue.fits")
    numbers = {name: [0, 1] for name in ("TARGETID", "INPUT_INDEX", "INPUT_ROW")}
    grid_cards = {"PZSTART": 0.5, "PZSTEP": 0.01, "PZCLASS": "QSO, STAR"}
    pz = Table({**numbers, "LN_PZ": rng.normal(size=(2, 50))}, meta=grid_cards)
    qnet.io.write_pz(pz, "pz.fits")
    tutorial = qnet.strategies.STRATEGIES["tutorial"]
    redrock = {"TARGETID": table["TARGETID"].data, "Z": table["ZBEST"].data}
    qnet.io.write_table("redrock.fits", redrock, extname="REDSHIFTS")
    ids = [*table["TARGETID"], *qnet.io.read_truth("truth.fits")]
    known = {"TARGETID": np.array(ids), "SPECTYPE": np.full(len(ids), "GALAXY")}
    known |= {name: np.zeros(len(ids)) for name in ("Z", "ZERR", "ZWARN", "DELTACHI2")}
    qnet.io.write_table("rr.fits", known, extname="REDSHIFTS")
    superset = {"THING_ID": [7, 8], "Z_VI": [2.1, 0.0], "CLASS_PERSON": [3, 1]}
    Table(superset | {"Z_CONF_PERSON": [3, 3]}).write("superset.fits")
    ids = {"PLATE": [1], "MJD": [2], "FIBERID": [3], "THING_ID": [4]}
    Table(ids).write("spall.fits")
    Table({"EPOCH": [1, 2], "LOSS": [9.0, 4.0]}).write("history.fits")
    small.save("small.safetensors")
    axes = matplotlib.figure.Figure().subplots
    star = SimpleNamespace(
        spectral_axis=WAVE * units.AA,
        flux=FLUX * units.Unit("erg / (s cm2 Angstrom)"),
        uncertainty=InverseVariance(IVAR),
    )
    spectral = Table({"wave": WAVE, "flux": FLUX[0], "ivar": IVAR[0]})
    records = qnet.io.read_truth("truth.fits")
    metric, scan = evaluation.metrics[0], evaluation.scans[0]
    refiner, output = full.refiner, small.forward(X)
    reader = dataclasses.asdict(qnet.io.readers.READERS[0])
    columns = {"TARGETID": np.arange(3), "Z": np.ones(3)}
    population = qnet.Population([0.1, 1.0, 4.0], [15.0, 22.0], [[3.0], [4.0]], name="mine")
    population.write("population.csv")
    on = {"wave": small.wave, "rest": dict(small.rest)}
    lines = {"lines": list(small.lines), "lines_bal": list(small.lines_bal)}
    return {
        "qnet.Camera": (qnet.Camera, keys(camera)),
        "qnet.Spectra": (qnet.Spectra, keys(spectra)),
        "qnet.Model": (qnet.Model, {"weights": small.weights}),
        "qnet.Predictions": (qnet.Predictions, keys(made)),
        "qnet.Population": (qnet.Population, keys(population)),
        "qnet.Population.named": (qnet.Population.named, {"name": "fibres"}),
        "qnet.Population.read": (qnet.Population.read, {"path": "population.csv"}),
        "qnet.Population.from_table": (
            qnet.Population.from_table,
            {"table": Table.read("population.csv"), "name": "mine"},
        ),
        "qnet.Population.write": (
            population.write,
            {"path": "population.fits", "overwrite": True},
        ),
        "qnet.WavelengthGrid": (qnet.WavelengthGrid, keys(grid)),
        "qnet.flag_names": (qnet.flag_names, {"value": 9}),
        "qnet.classify": (
            qnet.classify,
            {"source": spectra, "flux": None, "ivar": None, "model": small, "p_threshold": None}
            | {"strategy": None}
            | {"c_threshold": 0.5, "min_lines": 1, "prior_qso": None, "targets": "all"}
            | {"prior": None}
            | {"targetids": [1], "rows": [0, 1], "coadd": "none", "air": False, "edges": None}
            | {"spall": None, "workers": 1, "threads": 1, "progress": False},
        ),
        "qnet.classify (arrays)": (
            qnet.classify,
            {"source": WAVE, "flux": FLUX, "ivar": IVAR, "model": small, "air": False}
            | {"edges": False, "targetid": [1, 2, 3], "ra": [1.0, 2.0, 3.0], "dec": [0.0] * 3},
        ),
        "qnet.classify (errors)": (
            qnet.classify,
            {"source": WAVE, "flux": FLUX, "error": np.ones_like(FLUX), "model": small},
        ),
        "qnet.classify (list)": (
            qnet.classify,
            {"source": [spectra, spectra], "model": small, "edges": None, "air": False},
        ),
        "qnet.classify (prior)": (
            qnet.classify,
            {"source": spectra, "model": with_density(full), "prior": population, "prior_qso": 0.3},
        ),
        "qnet.classify (files)": (
            qnet.classify,
            {"source": ["coadd.fits"], "model": small, "spall": None, "workers": 1}
            | {"rows": [0], "targetids": None, "errors": "raise"},
        ),
        "qnet.evaluate": (
            qnet.evaluate,
            {"catalogue": result, "truth": truth, "c_threshold": 0.5, "min_lines": 1}
            | {"strategy": None, "evidence": None}
            | {"p_threshold": None, "need_zwarn": False, "dv_max": 6000.0, "z_lim": 2.1}
            | {"level": 0.9, "nboot": 5, "seed": 1},
        ),
        "qnet.load_model": (
            qnet.load_model,
            {"path": "small.safetensors", "lines": None, "lines_bal": None, "grid": None},
        ),
        "qnet.plot_spectrum": (
            qnet.plot_spectrum,
            {"spectra": spectra, "model": small, "row": 0, "p_threshold": None, "prior_qso": None}
            | {"c_threshold": 0.5, "min_lines": 1, "prior": None, "ax": axes()},
        ),
        "qnet.classification.explain": (
            qnet.classification.explain,
            {"spectra": spectra, "model": small, "row": 0, "width": 6e4, "prior": None},
        ),
        "qnet.plotting.plot_explanation": (
            qnet.plotting.plot_explanation,
            {"spectra": spectra, "model": small, "row": 0, "width": 6e4, "prior": None}
            | {"ax": axes()},
        ),
        "qnet.inspection.sort_queue": (
            qnet.inspection.sort_queue,
            {"catalogue": table, "other": result},
        ),
        "qnet.inspect": (
            qnet.inspect if importlib.util.find_spec("plotly") else dict,
            {"catalogue": table, "spectra": spectra, "path": "page.html", "model": small}
            | {"other": result, "templates": None, "most": 2, "explain": False, "coadd": "none"}
            | {"spall": None, "overwrite": True, "format": None, "columns": None, "air": None}
            | {"wave_unit": None, "flux_unit": None},
        ),
        "qnet.prepare": (
            qnet.prepare,
            {"paths": ["coadd.fits"], "output": "out.fits", "grid": grid, "targets": "all"}
            | {"truth": records, "targetids": list(records), "coadd": "none", "spall": None}
            | {"overwrite": True, "progress": False},
        ),
        "qnet.process_preds": (qnet.process_preds, {"preds": preds, "verbose": True} | lines | on),
        "qnet.read_catalogue": (qnet.read_catalogue, {"path": "catalogue.fits"}),
        "qnet.read_spectra": (
            qnet.read_spectra,
            {"path": "coadd.fits", "rows": [0], "fibers": None, "spall": None, "use_mask": True},
        ),
        "qnet.simulate": (
            qnet.simulate,
            {"n": 2, "seed": 1, "survey": "boss", "mix": {"sky": 1.0}, "templates": None}
            | {"template_fraction": 0.6, "noise_seed": 1, "errors": qnet.simulation.Errors()},
        ),
        "qnet.write_catalogue": (
            qnet.write_catalogue,
            {"catalogue": table, "path": "out.csv", "overwrite": True},
        ),
        "qnet.objective.box_offset": (
            qnet.objective.box_offset,
            {"z": [2.0, 1.0], "line": "LYA", "nboxes": 13} | on,
        ),
        "qnet.objective.objective": (
            qnet.objective.objective,
            {"z": [2.0, 2.5, 0.0], "Y": Y, "bal": [0, 1, -1], "nboxes": 13} | lines | on,
        ),
        "qnet.io.BuiltTruth": (
            qnet.io.BuiltTruth,
            {"columns": {"THING_ID": [1]}, "removed": {}, "joined": 0},
        ),
        "qnet.io.Card": (qnet.io.Card, {"key": "SEED", "value": 7, "comment": ""}),
        "qnet.io.PreparedWriter": (
            _write_prepared,
            {"path": "prepared.fits", "grid": QUASARNET_GRID, "overwrite": True}
            | {"cards": [qnet.io.Card("SEED", 7)], "flux": ON_GRID, "ivar": np.ones((3, 443))}
            | {"ids": {"TARGETID": np.arange(3)}},
        ),
        "qnet.io.Reader": (qnet.io.Reader, reader),
        "qnet.io.TruthRecord": (qnet.io.TruthRecord, records[min(records)]._asdict()),
        "qnet.io.build_truth": (qnet.io.build_truth, {"superset": ["superset.fits"], "drq": None}),
        "qnet.io.from_arrays": (
            qnet.io.from_arrays,
            {"wave": WAVE, "flux": FLUX, "ivar": IVAR, "targetid": [1, 2, 3], "air": False}
            | {"edges": False, "ra": [1.0, 2.0, 3.0], "dec": [0.0] * 3},
        ),
        "qnet.io.from_specutils": (
            qnet.io.from_specutils,
            {"value": star, "air": False, "edges": None},
        ),
        "qnet.io.from_table": (
            qnet.io.from_table,
            {"table": spectral, "air": False, "edges": None},
        ),
        "qnet.io.pz_grid": (qnet.io.pz_grid, {"distributions": pz}),
        "qnet.io.read_pz": (qnet.io.read_pz, {"path": "pz.fits", "rows": [1]}),
        "qnet.io.write_pz": (
            qnet.io.write_pz,
            {"distributions": pz, "path": "again.fits", "overwrite": True},
        ),
        "qnet.io.read_data": (
            qnet.io.read_data,
            {"files": "data.fits", "truth": records, "z_lim": 2.1, "return_pmf": False}
            | {"nspec": 3},
        ),
        "qnet.io.read_spall": (qnet.io.read_spall, {"path": "spall.fits"}),
        "qnet.io.read_truth": (qnet.io.read_truth, {"files": ["truth.fits"]}),
        "qnet.io.export": (
            qnet.io.export,
            {"catalogue": table, "path": "export.xml", "to": "votable", "overwrite": True},
        ),
        "qnet.redrock.write_priors": (
            qnet.redrock.write_priors,
            {"path": "priors.fits", "targetid": [1], "z": [2.0], "width": [0.1], "overwrite": True},
        ),
        "qnet.redrock.merge": (
            qnet.redrock.merge,
            {"catalogue": table, "redshifts": "rr.fits", "chi2_scan": None, "strategy": "tutorial"},
        ),
        "qnet.redrock.run_afterburner": (
            qnet.redrock.run_afterburner,
            {"coadd": "coadd.fits", "redrock": "rr.fits", "model": small, "targetids": None}
            | {"strategy": "tutorial", "targets": "all", "templates": None, "rrdesi": None}
            | {"priors": None, "threads": 1},
        ),
        "qnet.io.write_table": (
            qnet.io.write_table,
            {"path": "table.fits", "columns": columns, "extname": "T", "overwrite": True}
            | {"cards": [qnet.io.Card("SEED", 7)], "units": {"Z": "km/s"}},
        ),
        "qnet.io.write_truth": (
            qnet.io.write_truth,
            {"truth": qnet.io.build_truth("superset.fits"), "path": "t.fits", "overwrite": True},
        ),
        "qnet.model.Architecture": (qnet.model.Architecture, keys(small.architecture)),
        "qnet.model.Calibration": (qnet.model.Calibration, keys(full.calibration)),
        "qnet.model.ConvLayer": (ConvLayer, keys(ConvLayer(8, 9, 2, "valid"))),
        "qnet.model.NetworkOutput": (qnet.model.NetworkOutput, keys(output)),
        "qnet.model.RefineArchitecture": (qnet.model.RefineArchitecture, keys(refiner.arch)),
        "qnet.model.Refiner": (
            qnet.model.Refiner,
            {"arch": refiner.arch, "weights": full.weights.arrays, "dtype": "f4"},
        ),
        "qnet.model.WeightsFile": (_write_weights, keys(full.weights)),
        "qnet.model.read_weights": (qnet.model.read_weights, {"path": "small.safetensors"}),
        "qnet.model.rescale": (qnet.model.rescale, {"p": [0.1, 0.5], "prior": 0.1, "mix": 0.5}),
        "qnet.model.shipped_models": (qnet.model.shipped_models, {}),
        "qnet.model.write_weights": (
            qnet.model.write_weights,
            {"path": "w.safetensors", "weights": small.weights, "overwrite": True},
        ),
        "qnet.preprocess.Preprocessed": (
            qnet.preprocess.Preprocessed,
            keys(small.preprocess(spectra)),
        ),
        "qnet.preprocess.Window": (qnet.preprocess.Window, keys(window)),
        "qnet.preprocess.normalise": (qnet.preprocess.normalise, {"flux": FLUX, "ivar": IVAR}),
        "qnet.preprocess.preprocess": (
            qnet.preprocess.preprocess,
            {"cameras": [camera], "grid": grid, "require_overlap": True},
        ),
        "qnet.preprocess.rebin": (
            qnet.preprocess.rebin,
            {"wave": WAVE, "flux": FLUX, "ivar": IVAR, "grid": grid},
        ),
        "qnet.preprocess.rebin_cameras": (
            qnet.preprocess.rebin_cameras,
            {"cameras": [camera], "grid": grid},
        ),
        "qnet.preprocess.rest_frame": (
            qnet.preprocess.rest_frame,
            {"flux": ON_GRID[:, : fine.npix], "ivar": np.ones((3, 443)), "z": [1.0, 2.0, 3.0]}
            | {"window": qnet.preprocess.Window(QUASARNET_GRID)},
        ),
        "qnet.postprocess.decode": (
            qnet.postprocess.decode,
            {"preds": preds, "grid": small.grid, "rest": dict(small.rest)} | lines,
        ),
        "qnet.postprocess.find_candidates": (
            qnet.postprocess.find_candidates,
            {"posterior": posterior, "bins": bins, "count": 2},
        ),
        "qnet.lines.air_to_vacuum": (qnet.lines.air_to_vacuum, {"wave": WAVE}),
        "qnet.lines.rest_wavelengths": (
            qnet.lines.rest_wavelengths,
            {"lines": ["LYA"], "rest": {"LYA": 1215.67}},
        ),
        "qnet.core.bins.RedshiftBins": (qnet.core.bins.RedshiftBins, keys(bins)),
        "qnet.core.flags.describe": (qnet.core.flags.describe, {"flag": 8}),
        "qnet.core.errors.Failure": (
            qnet.core.errors.Failure,
            {"paths": ("x",), "error": qnet.FileError("x")},
        ),
        "qnet.evaluation.Comparison": (
            qnet.evaluation.Comparison,
            {"evaluations": (evaluation,), "common": None},
        ),
        "qnet.evaluation.Confusion": (qnet.evaluation.Confusion, keys(evaluation.classes)),
        "qnet.evaluation.Evaluation": (qnet.evaluation.Evaluation, keys(evaluation)),
        "qnet.evaluation.Metric": (qnet.evaluation.Metric, keys(metric)),
        "qnet.evaluation.Options": (qnet.evaluation.Options, keys(evaluation.options)),
        "qnet.evaluation.Reliability": (qnet.evaluation.Reliability, keys(evaluation.calibration)),
        "qnet.evaluation.Result": (qnet.evaluation.Result, keys(result)),
        "qnet.evaluation.Scan": (qnet.evaluation.Scan, keys(scan)),
        "qnet.evaluation.bootstrap": (
            lambda statistic, sample, other, **options: qnet.evaluation.bootstrap(
                statistic, sample, other, **options
            ),
            {"statistic": lambda a, b: np.mean(a * b), "sample": ON_GRID[0], "other": ON_GRID[1]}
            | {"level": 0.9, "nboot": 5, "seed": 0},
        ),
        "qnet.evaluation.compare": (
            qnet.evaluation.compare,
            {"catalogues": [result, result], "truth": truth, "need_zwarn": False, "nboot": 5},
        ),
        "qnet.evaluation.is_right": (
            qnet.evaluation.is_right,
            {"zbest": ON_GRID[0], "z": ON_GRID[1], "dv_max": 6000.0},
        ),
        "qnet.evaluation.calibration_error": (
            qnet.evaluation.calibration_error,
            {"probability": [0.9, 0.2], "label": [1, 0]},
        ),
        "qnet.evaluation.crps": (qnet.evaluation.crps, {"distributions": pz, "z": [0.9, 1.1]}),
        "qnet.evaluation.pit": (qnet.evaluation.pit, {"distributions": pz, "z": [0.9, 1.1]}),
        "qnet.evaluation.purity_completeness": (
            qnet.evaluation.purity_completeness,
            {"c_line": [[0.9, 0.4, 0.6]], "zbest": [1.0, 2.5, 2.0], "Y": Y, "z": [1.0, 2.5, 0.0]}
            | {"thresholds": [0.1, 0.5], "min_lines": 1, "dv_max": 6000.0, "level": 0.9}
            | {"label": "c"},
        ),
        "qnet.evaluation.read_result": (
            qnet.evaluation.read_result,
            {"path": "catalogue.fits", "name": "mine", "need_zwarn": False},
        ),
        "qnet.evaluation.velocity": (qnet.evaluation.velocity, {"zbest": [1.0], "z": [1.1]}),
        "qnet.evaluation.wilson": (
            qnet.evaluation.wilson,
            {"k": [1, 2], "n": [3, 4], "level": 0.9},
        ),
        "qnet.simulation.Batch": (qnet.simulation.Batch, keys(simulation.collect())),
        "qnet.simulation.Errors": (
            lambda **errors: _simulated(errors=qnet.simulation.Errors(**errors)),
            keys(qnet.simulation.Errors()),
        ),
        "qnet.simulation.Simulation": (qnet.simulation.Simulation, keys(simulation)),
        "qnet.simulation.Templates": (qnet.simulation.Templates, {"sets": (), "sha256": ""}),
        "qnet.simulation.make_instrument": (qnet.simulation.make_instrument, {"survey": "boss"}),
        "qnet.simulation.write_simulation": (
            qnet.simulation.write_simulation,
            {"simulation": simulation, "path": "s.fits", "truth_path": "s.csv", "grid": grid}
            | {"format": "prepared", "overwrite": True, "progress": False},
        ),
        "qnet.classification.classify_partition": (
            qnet.classification.classify_partition,
            {
                "frame": pandas.DataFrame(
                    {"wave": [WAVE] * 3, "flux": list(FLUX), "ivar": list(IVAR)}
                )
            }
            | {"model": small, "strategy": None, "threads": 1},
        ),
        "qnet.survey.Merged": (qnet.survey.Merged, {"rows": 2, "quasars": 1}),
        "qnet.survey.Status": (qnet.survey.Status, {"outdir": Path("survey"), "inputs": 1}),
        "qnet.survey.merge": (
            qnet.survey.merge,
            {"outdir": "survey", "catalogue": "merged.fits", "to": None, "sort": "TARGETID"}
            | {"duplicates": "best", "healpix_order": None, "overwrite": True},
        ),
        "qnet.survey.run": (
            qnet.survey.run,
            {"inputs": "data.fits", "outdir": "survey", "workers": 1, "shard": None, "to": None}
            | {"model": None, "pz": False, "threads": 1, "overwrite": True, "errors": "raise"},
        ),
        "qnet.survey.status": (qnet.survey.status, {"outdir": "survey"}),
        "qnet.strategies.Decision": (qnet.strategies.Decision, keys(tutorial(table))),
        "qnet.strategies.Strategy": (qnet.strategies.Strategy, keys(tutorial)),
        "qnet.strategies.Strategy.__call__": (tutorial, {"table": table}),
        "qnet.strategies.as_strategy": (qnet.strategies.as_strategy, {"strategy": "tutorial"}),
        "qnet.strategies.join_evidence": (
            qnet.strategies.join_evidence,
            {"table": table, "files": ["redrock.fits"]},
        ),
        "qnet.training.Augmentation": (
            qnet.training.Augmentation,
            keys(qnet.training.Augmentation()),
        ),
        "qnet.training.NetworkOptions": (
            qnet.training.NetworkOptions,
            keys(qnet.training.NetworkOptions()),
        ),
        "qnet.training.inherit_settings": (
            qnet.training.inherit_settings,
            {"model": small, "stage": "lines"},
        ),
        "qnet.training.Prepared": (
            qnet.training.Prepared,
            {"path": None, "nread": 0, "nspec": 0, "removed": {}, "failures": []},
        ),
        "qnet.training.Settings": (qnet.training.Settings, keys(qnet.training.Settings())),
        "qnet.plotting.new_axes": (
            qnet.plotting.new_axes,
            {"width": 6.0, "height": 4.0, "shown": False},
        ),
        "qnet.plotting.plot_calibration": (
            qnet.plotting.plot_calibration,
            {"evaluations": evaluation, "ax": axes()},
        ),
        "qnet.plotting.plot_confusion": (
            qnet.plotting.plot_confusion,
            {"table": evaluation.classes, "title": "", "ax": axes()},
        ),
        "qnet.plotting.plot_dv": (
            qnet.plotting.plot_dv,
            {"evaluations": [evaluation], "limit": 3000.0, "ax": axes()},
        ),
        "qnet.plotting.plot_history": (
            qnet.plotting.plot_history,
            {"path": "history.fits", "ax": axes()},
        ),
        "qnet.plotting.plot_purity_completeness": (
            qnet.plotting.plot_purity_completeness,
            {"evaluations": evaluation, "ax": axes()},
        ),
        "qnet.plotting.plot_z": (qnet.plotting.plot_z, {"evaluation": evaluation, "ax": axes()}),
        "qnet.plotting.save_figure": (
            qnet.plotting.save_figure,
            {"axes": axes(), "path": "figure.png", "dpi": 20.0, "overwrite": True},
        ),
        "qnet.compat.load_desi_coadd": (
            qnet.compat.load_desi_coadd,
            {"filename": "coadd.fits", "rows": np.array([True, False, True])}
            | {"out_grid": QUASARNET_GRID.wave},
        ),
        "qnet.compat.load_desi_exposure": (
            qnet.compat.load_desi_exposure,
            {"dir_name": "00071246", "spec_number": 0, "fibers": np.ones(500, bool)}
            | {"out_grid": QUASARNET_GRID.wave},
        ),
        "qnet.compat.load_model": (qnet.compat.load_model, {"filename": "small.safetensors"}),
        "qnet.compat.process_preds": (
            qnet.compat.process_preds,
            {"preds": preds, "verbose": True} | lines | on,
        ),
        # Methods.
        "Camera.select": (camera.select, {"rows": [0]}),
        "Spectra.select": (spectra.select, {"rows": [0]}),
        "Predictions.select": (made.select, {"rows": [0]}),
        "Predictions.is_qso": (made.is_qso, {"c_threshold": 0.5, "min_lines": 1}),
        "Predictions.is_bal": (made.is_bal, {"c_threshold": 0.5}),
        "Result.select": (result.select, {"rows": [0]}),
        "Model.predict": (
            small.predict,
            {"X": X, "batch_size": 2, "verbose": 0, "threads": 1, "dtype": "f4"},
        ),
        "Model.forward": (small.forward, {"X": X}),
        "Model.preprocess": (small.preprocess, {"spectra": spectra}),
        "Model.decode": (small.decode, {"preds": preds}),
        "Model.save": (small.save, {"path": "m.safetensors", "overwrite": True}),
        "Refiner.predict": (
            refiner.predict,
            {"X": np.zeros((2, refiner.arch.window.npooled, 2)), "chunk_size": 2},
        ),
        "Refiner.refine": (
            refiner.refine,
            {"flux": np.ones((1, refiner.arch.window.grid.npix)), "z": [1.0]}
            | {"ivar": np.ones((1, refiner.arch.window.grid.npix))},
        ),
        "WavelengthGrid.log": (
            qnet.WavelengthGrid.log,
            {"wave_min": 3600.0, "wave_max": 9e3, "step": 1e-2},
        ),
        "WavelengthGrid.linear": (
            qnet.WavelengthGrid.linear,
            {"wave_min": 3600.0, "wave_max": 9e3, "step": 10.0},
        ),
        "WavelengthGrid.from_wave": (qnet.WavelengthGrid.from_wave, {"wave": WAVE}),
        "WavelengthGrid.from_dict": (qnet.WavelengthGrid.from_dict, {"values": grid.to_dict()}),
        "WavelengthGrid.bins": (grid.bins, {"wave": WAVE}),
        "WavelengthGrid.pixel_at": (grid.pixel_at, {"wave": WAVE}),
        "WavelengthGrid.wave_at": (grid.wave_at, {"pixel": [1.0]}),
        "WavelengthGrid.to_box": (grid.to_box, {"wave": WAVE, "nboxes": 13}),
        "WavelengthGrid.from_box": (grid.from_box, {"box": [1], "offset": [0.5], "nboxes": 13}),
        "RedshiftBins.bin_of": (bins.bin_of, {"z": [1.0]}),
        "RedshiftBins.z_at": (bins.z_at, {"position": [1.0]}),
        "RedshiftBins.from_dict": (
            qnet.core.bins.RedshiftBins.from_dict,
            {"values": bins.to_dict()},
        ),
        "Architecture.from_dict": (
            qnet.model.Architecture.from_dict,
            {"values": small.architecture.to_dict()},
        ),
        "Calibration.from_dict": (
            qnet.model.Calibration.from_dict,
            {"values": full.calibration.to_dict()},
        ),
        "RefineArchitecture.from_dict": (
            qnet.model.RefineArchitecture.from_dict,
            {"values": refiner.arch.to_dict()},
        ),
        "ConvLayer.output_length": (ConvLayer(8, 9, 2, "valid").output_length, {"npix": 443}),
        "Evaluation.metric": (evaluation.metric, {"name": "purity", "where": ""}),
        "Templates.read": (qnet.simulation.Templates.read, {"folder": "no-folder"}),
    }


def keys(record):
    """Fields of a dataclass."""
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _write_prepared(path, grid, overwrite, cards, flux, ivar, ids):
    with qnet.io.PreparedWriter(path, grid, overwrite=overwrite, cards=cards) as writer:
        writer.write(flux, ivar, ids)
    return writer.nspec


def _write_weights(**fields):
    return qnet.Model(qnet.model.WeightsFile(**fields)).save("f.safetensors", overwrite=True)


def _simulated(**options):
    return qnet.simulate(1, seed=1, mix={"sky": 1.0}, **options).collect()
