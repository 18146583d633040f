"""Small random networks as Keras writes them, and the forward pass in plain loops."""

from __future__ import annotations

import base64
import json
import struct

import h5py
import numpy as np

RESCALE_CODE = b"\xe3code" + struct.pack("<d", -0.1) + b"g" + struct.pack("<d", 1.2) + b"tail"


def _layer(kind, name, inputs, **config):
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": [[[source, 0, 0, {}] for source in inputs]] if inputs else [],
    }


def keras_config(
    *,
    nlayers=4,
    filters=8,
    units=8,
    nboxes=13,
    nheads=7,
    npix=443,
    width=10,
    stride=2,
    padding="valid",
    first_norm=0,
    rescale=True,
    lambda_code=RESCALE_CODE,
    lambda_name="lambda_{}",
    offset_activation="sigmoid",
    dropout=True,
    epsilon=1e-3,
):
    """The model_config of a QuasarNET network, as Keras 2 writes it."""

    def norm_name(index):
        number = index + first_norm
        return "batch_normalization" + (f"_{number}" if number else "")

    layers = [_layer("InputLayer", "input_1", [], batch_input_shape=[None, npix, 1])]
    last = "input_1"
    for index in range(nlayers):
        conv, norm, relu = f"conv_{index + 1}", norm_name(index), f"activation_{index}"
        layers += [
            _layer(
                "Conv1D",
                conv,
                [last],
                filters=filters,
                kernel_size=[width],
                strides=[stride],
                padding=padding,
                data_format="channels_last",
                dilation_rate=[1],
                groups=1,
                activation="linear",
                use_bias=True,
            ),
            _layer("BatchNormalization", norm, [conv], axis=[2], epsilon=epsilon),
            _layer("Activation", relu, [norm], activation="relu"),
        ]
        last = relu
        if dropout:
            layers.append(_layer("Dropout", f"dropout_{index}", [last], rate=0.2))
            last = f"dropout_{index}"
    norm = norm_name(nlayers)
    layers += [
        _layer("Flatten", "flatten", [last], data_format="channels_last"),
        _layer("Dense", "fc_common", ["flatten"], units=units, activation="linear"),
        _layer("BatchNormalization", norm, ["fc_common"], axis=[1], epsilon=epsilon),
        _layer("Activation", "fc_activation", [norm], activation="relu"),
    ]
    # Keras sorts layers by depth, not by head.
    for head in range(nheads):
        layers.append(
            _layer(
                "Dense",
                f"fc_offset_{head}",
                ["fc_activation"],
                units=nboxes,
                activation=offset_activation,
            )
        )
    for head in range(nheads):
        layers.append(
            _layer("Dense", f"fc_box_{head}", ["fc_activation"], units=nboxes, activation="sigmoid")
        )
        offset = f"fc_offset_{head}"
        if rescale:
            name = lambda_name.format(head) if head or "{}" in lambda_name else lambda_name
            code = base64.encodebytes(lambda_code).decode()
            layers.append(
                _layer(
                    "Lambda",
                    name,
                    [offset],
                    function=[code, None, None],
                    function_type="lambda",
                    module="quasarnet.models",
                )
            )
            offset = name
        layers.append(_layer("Concatenate", f"conc_box_{head}", [f"fc_box_{head}", offset]))
    return {
        "class_name": "Functional",
        "config": {
            "name": "QuasarNET",
            "layers": layers,
            "input_layers": [["input_1", 0, 0]],
            "output_layers": [[f"conc_box_{head}", 0, 0] for head in range(nheads)],
        },
    }


def random_arrays(config, seed=0):
    """Random float32 weights of every layer, by layer name and array name."""
    rng = np.random.default_rng(seed)
    layers = {layer["name"]: layer for layer in config["config"]["layers"]}
    length = layers["input_1"]["config"]["batch_input_shape"][1]
    channels, arrays = 1, {}
    for name, layer in layers.items():
        kind, options = layer["class_name"], layer["config"]
        if kind == "Conv1D":
            width, stride = options["kernel_size"][0], options["strides"][0]
            shape = (width, channels, options["filters"])
            same = options["padding"] == "same"
            length = -(-length // stride) if same else (length - width) // stride + 1
            channels = options["filters"]
        elif kind == "Dense":
            shape = (length * channels if name == "fc_common" else channels, options["units"])
            if name == "fc_common":
                channels = options["units"]
        elif kind == "BatchNormalization":
            arrays[name] = {
                "gamma": rng.uniform(0.5, 1.5, channels),
                "beta": rng.normal(0, 0.3, channels),
                "moving_mean": rng.normal(0, 0.3, channels),
                "moving_variance": rng.uniform(0.2, 2.0, channels),
            }
            continue
        else:
            continue
        scale = 1 / np.sqrt(np.prod(shape[:-1]))
        arrays[name] = {
            "kernel": rng.normal(0, 1.5 * scale, shape),
            "bias": rng.normal(0, 0.1, shape[-1]),
        }
    return {
        layer: {name: array.astype(np.float32) for name, array in found.items()}
        for layer, found in arrays.items()
    }


def write_keras(path, config, arrays, *, grid=None, suffix=":0"):
    """Write a .h5 file in the layout of Keras 2."""
    with h5py.File(path, "w") as stream:
        stream.attrs["model_config"] = json.dumps(config)
        stream.attrs["keras_version"] = "2.9.0"
        stream.attrs["backend"] = "tensorflow"
        group = stream.create_group("model_weights")
        for layer in config["config"]["layers"]:
            group.create_group(layer["name"])
        for layer, found in arrays.items():
            inner = group[layer].create_group(layer)
            for name, array in found.items():
                inner[name + suffix] = array
        if grid is not None:
            stream["model_grid"] = grid
    return path


def write_legacy(path, *, seed=0, grid=None, suffix=":0", **options):
    """Write a small random QuasarNET network as Keras 2 would; options as `keras_config`."""
    config = keras_config(**options)
    return write_keras(path, config, random_arrays(config, seed), grid=grid, suffix=suffix)


def naive_forward(config, arrays, X):
    """The network in float64, one spectrum, one output pixel and one layer at a time."""
    layers = config["config"]["layers"]
    inputs = {
        layer["name"]: [source[0] for source in layer["inbound_nodes"][0]]
        for layer in layers
        if layer["inbound_nodes"]
    }
    outputs = []
    for spectrum in np.asarray(X, dtype=np.float64):
        values = {}
        for layer in sorted(layers, key=lambda layer: _depth(layer["name"], inputs)):
            name = layer["name"]
            feeds = [values[source] for source in inputs.get(name, [])]
            values[name] = _apply(layer, arrays.get(name), feeds, spectrum)
        outputs.append([values[out[0]] for out in config["config"]["output_layers"]])
    return np.array(outputs).transpose(1, 0, 2)


def _depth(name, inputs):
    return 1 + max((_depth(source, inputs) for source in inputs.get(name, [])), default=0)


def _apply(layer, arrays, feeds, spectrum):
    kind, options = layer["class_name"], layer["config"]
    if kind == "InputLayer":
        return spectrum[:, None]
    if kind == "Conv1D":
        return _convolve(feeds[0], arrays, options)
    if kind == "BatchNormalization":
        # The deviation in float32, as TensorFlow and QuasarNP compute it.
        deviation = np.sqrt(arrays["moving_variance"] + np.float32(options["epsilon"]))
        scaled = (feeds[0] - arrays["moving_mean"]) / deviation
        return scaled * arrays["gamma"] + arrays["beta"]
    if kind == "Dense":
        value = feeds[0] @ arrays["kernel"].astype(np.float64) + arrays["bias"]
        return 1 / (1 + np.exp(-value)) if options["activation"] == "sigmoid" else value
    if kind == "Activation":
        return np.maximum(feeds[0], 0)
    if kind == "Flatten":
        return feeds[0].ravel()
    if kind == "Lambda":
        return -0.1 + 1.2 * feeds[0]
    if kind == "Concatenate":
        return np.concatenate(feeds)
    return feeds[0]


def _convolve(values, arrays, options):
    kernel = arrays["kernel"].astype(np.float64)
    width, stride = options["kernel_size"][0], options["strides"][0]
    npix = len(values)
    before = 0
    length = (npix - width) // stride + 1
    if options["padding"] == "same":
        length = -(-npix // stride)
        before = max((length - 1) * stride + width - npix, 0) // 2
    out = np.zeros((length, kernel.shape[2])) + arrays["bias"]
    for pixel in range(length):
        for tap in range(width):
            place = pixel * stride + tap - before
            if 0 <= place < npix:
                out[pixel] += values[place] @ kernel[tap]
    return out


def random_weights(shapes, seed=0, scale=1.5):
    """Random float32 arrays of these shapes, as trained ones might be; variances are positive."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes.items():
        if name.endswith(".kernel"):
            values = rng.normal(0, scale / np.sqrt(np.prod(shape[:-1])), shape)
        elif name.endswith((".moving_variance", ".gamma")):
            values = rng.uniform(0.5, 1.5, shape)
        else:
            values = rng.normal(0, 0.1, shape)
        arrays[name] = values.astype(np.float32)
    return arrays


def refine_architecture(**options):
    """A small second stage on the grid of the shipped one."""
    from qnet.core.grid import WavelengthGrid
    from qnet.model.architecture import RefineArchitecture
    from qnet.model.layers import ConvLayer
    from qnet.preprocess.restframe import Window

    names = ("grid", "rest_min", "rest_max", "pool", "clip")
    geometry = {"grid": WavelengthGrid.log(3600.0, 10400.0, 2.5e-4)}
    geometry |= {name: options.pop(name) for name in names if name in options}
    values = {
        "window": Window(**geometry),
        "convs": (ConvLayer(4, 8, 4, "valid"), ConvLayer(4, 8, 4, "valid")),
        "units": 6,
    }
    return RefineArchitecture(**{**values, **options})


def small_calibration(**options):
    """A calibration whose numbers are easy to check, of a network that is sure of everything."""
    from qnet.model.calibration import Calibration
    from qnet.model.laws import Logistic, Table

    def linear(names, centre, coefficients):
        n = len(names)
        return Logistic(names, centre, (1.0,) * n, (-99.0,) * n, (99.0,) * n, coefficients, 1)

    values = {
        "p_qso": linear(
            ("logit_c1", "logit_c2", "logit_c3", "log_snr"),
            (8.4, 7.5, 6.4, 1.1),
            (0.2, 0.5, 0.3, 0.1, 0.4),
        ),
        "p_bal": linear(
            ("logit_bal", "log_snr", "logit_bal_emission"), (5.7, 1.1, 5.5), (-0.1, 0.8, 0.0, 0.1)
        ),
        "mix": {"QSO": 0.4, "STAR": 0.25, "GALAXY": 0.25, "SKY": 0.1},
        "z_range": (0.05, 3.5),
        "p_threshold": 0.6,
        "zerr": Table((-1.0, 0.0, 1.0), (0.0, 1.0, 3.0), ((2.0, 1.5), (0.5, 0.8))),
        "zerr_lines": {"LYA": Table((-14.0, 14.0), (-2.0, 2.0), ((500.0,),))},
        "ambiguous": 0.9995,
        "outlier_threshold": 6.0,
        "joints": ((5760.0, 5800.0), (7520.0, 7620.0)),
        "skylines": ((5570.0, 5585.0),),
    }
    return Calibration(**{**values, **options})


def law_of(name):
    """A probability of one feature, that rises with it."""
    from qnet.model.laws import Logistic

    return Logistic((name,), (0.0,), (1.0,), (-99.0,), (99.0,), (0.1, 0.7), 1)


def full_model(model, *, refine=None, calibration=None, seed=3, out_scale=0.05):
    """A model with a second stage and a calibration, random, on the lines of another."""
    import dataclasses

    import qnet

    refine = refine_architecture() if refine is None else refine
    calibration = small_calibration() if calibration is None else calibration
    units = model.architecture.units
    arrays = {**model.weights.arrays, **random_weights(refine.shapes(), seed)}
    arrays["refine_out.kernel"] = out_scale * arrays["refine_out.kernel"]
    if calibration.outlier_threshold is not None:
        arrays["outlier_mean"] = np.ones(units, np.float32)
        arrays["outlier_scale"] = np.eye(units, dtype=np.float32)
    return qnet.Model(
        dataclasses.replace(
            model.weights,
            name="full",
            version="1.2",
            arrays=arrays,
            refine=refine,
            calibration=calibration,
        )
    )


def verifying_model(model, *, calibration=None, seed=4, **options):
    """A model with a redshift head and a second stage that verifies, random."""
    import dataclasses

    import qnet
    from qnet.core.bins import RedshiftBins
    from qnet.model.laws import Logistic

    bins = RedshiftBins(0.05, 6.8, 40)
    names = ("score", "score2", "logit_quasar", "log_snr")
    law = Logistic(
        names, (0.0,) * 4, (1.0,) * 4, (-99.0,) * 4, (99.0,) * 4, (0.3, 0.8, 0.1, 0.4, 0.2), 1
    )
    first = Logistic(("logit_quasar",), (6.4,), (1.0,), (-99.0,), (99.0,), (0.0, 1.0), 1)
    values = {"p_qso": first, "p_candidate": law, "candidates": 3, "candidate_floor": 0.02}
    values |= {"fraction_exponent": 0.5, "p_threshold": 0.5, "refine_floor": 0.5}
    values |= calibration or {}
    whole = full_model(
        model,
        refine=refine_architecture(scores=True, **options),
        calibration=small_calibration(**values),
    )
    architecture = dataclasses.replace(whole.architecture, redshifts=bins)
    head = {k: v for k, v in architecture.shapes().items() if k.startswith("fc_redshift")}
    arrays = {**whole.weights.arrays, **random_weights(head, seed, scale=0.6)}
    arrays["refine_out.kernel"] = 4 * arrays["refine_out.kernel"]
    return qnet.Model(dataclasses.replace(whole.weights, architecture=architecture, arrays=arrays))


def with_density(model, density=None):
    """A calibrated model that holds the density of its training sample: an equal one, if none."""
    import dataclasses

    import qnet
    from qnet.core.density import QuasarDensity

    if density is None:
        x = np.linspace(np.log10(1.05), np.log10(7.8), 31)
        density = QuasarDensity(10**x - 1, (15.0, 24.0), np.ones((30, 1)))
    calibration = dataclasses.replace(model.calibration, density=density)
    return qnet.Model(dataclasses.replace(model.weights, calibration=calibration))


def columns_of(spectra, model, **options):
    """The columns of a catalogue, by a criterion."""
    from qnet.classification.columns import compute_columns
    from qnet.classification.criterion import choose_criterion

    return compute_columns(spectra, model, choose_criterion(model, **options))
