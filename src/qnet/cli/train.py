"""The command ``qnet train``."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from qnet.cli import parser as shared
from qnet.cli.common import ENDED, OK, Terminated, complain, count, summarise
from qnet.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qnet.core.bins import RedshiftBins
    from qnet.evaluation import Evaluation
    from qnet.model.model import Model
    from qnet.training import NetworkOptions, Settings


#: The default of the learning rate with --init.
TENTH = "a tenth of that of MODEL"


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    from qnet.training.settings import Settings, Stage

    plain = Settings()
    parser = add_parser(
        description="Train a network on prepared data and truth. The folder OUT gets the weights "
        "(best.safetensors, last.safetensors), the history (FITS and CSV) and a checkpoint. The "
        "run ends with purity, completeness and redshift scatter on the validation spectra.",
        parents=[shared.output("folder of the run", "replace the run in OUT")],
        examples=(
            "qnet train --data data.fits --truth truth.fits -o run1",
            "qnet train --data fine.fits --truth truth.fits -o run2 --init qnet --epochs 4",
        ),
    )
    shared.add(parser, "--data", "FILE", "prepared data files", nargs="+", required=True)
    shared.add(parser, "--truth", "FILE", "truth tables", nargs="+", required=True)
    text = "model to start from: its name, or a weights file (default: random weights)"
    shared.add(parser, "--init", "MODEL", text)
    text = "lines: the first stage; refine: the second stage of --init"
    shared.add(parser, "--stage", get_args(Stage), text, "lines")
    text = "number of networks; several are trained on a bootstrap sample each"
    shared.add(parser, "--ensemble", "N", text, 1)
    for option, text in (
        ("--resume", "continue the run in OUT"),
        ("--distribute", "use all devices of JAX (KERAS_BACKEND=jax)"),
    ):
        parser.add_argument(option, action="store_true", help=text)
    _add_training(parser.add_argument_group("training"), plain)
    _add_network(parser.add_argument_group("network (not with --init)"), plain.network)
    group = parser.add_argument_group("description in the weights file")
    add = functools.partial(_add_inherited, group)
    add("--name", "NAME", "name of the model", plain.name, "that of MODEL and -tuned")
    add("--model-version", "V", "version of the model", plain.version, "1", dest="version")
    add("--licence", "LICENCE", "licence of the weights", "")
    parser.set_defaults(command=_train)


def _add_training(group: Any, plain: Settings) -> None:
    """The options of a run."""
    from qnet.training.settings import Loss, Precision, Schedule

    change, add = plain.augmentation, functools.partial(shared.add, group)
    inherited = functools.partial(_add_inherited, group)
    add("--epochs", "N", "passes over the data", plain.epochs)
    add("--batch-size", "N", "spectra per step", plain.batch_size)
    inherited("--learning-rate", "X", "learning rate of Adam", plain.learning_rate, TENTH)
    inherited("--schedule", get_args(Schedule), "schedule of the learning rate", plain.schedule)
    inherited("--weight-decay", "X", "weight decay, decoupled as in AdamW", plain.weight_decay)
    inherited("--loss", get_args(Loss), "loss function", plain.loss)
    inherited("--precision", get_args(Precision), "precision of the layers", plain.precision)
    add("--validation", "X", "fraction of the TARGETIDs for validation", plain.validation)
    add("--patience", "N", "stop after N epochs without a lower loss (default: never)", type=int)
    add("--seed", "N", "seed of weights, split, order and augmentation", plain.seed)
    add("--memory", "X", "memory for the spectra [GiB]", plain.memory)
    inherited("--noise", "X", "augmentation: noise added, in units of a pixel's own", change.noise)
    inherited("--tilt", "X", "augmentation: scatter of a smooth factor", change.tilt)
    text = "augmentation: fraction of the spectra of which a part is kept"
    inherited("--coverage", "X", text, change.coverage)
    inherited(
        "--fault", "X", "augmentation: fraction of the spectra with a fault of data", change.fault
    )


def _add_inherited(
    group: Any, option: str, values: Any, text: str, default: Any, with_init: str = "", **more: Any
) -> None:
    """Add an option that follows from the model of --init where it is not given."""
    own = "none" if default == "" else default
    text += f" (default: {own}; with --init {with_init or 'that of MODEL'})"
    shared.add(group, option, values, text, argparse.SUPPRESS, type=type(default), **more)


def _add_network(group: Any, network: NetworkOptions) -> None:
    """The options of the network."""
    add = functools.partial(shared.add, group)
    add("--lines", "LINE", "emission lines", network.lines, nargs="+")
    add("--lines-bal", "LINE", "lines of broad absorption", network.lines_bal, nargs="*")
    add("--boxes", "N", "boxes per line", network.boxes)
    add("--layers", "N", "number of convolutions", network.nlayers, dest="nlayers")
    text = "filters of each convolution: one number, or one for each"
    add("--filters", "N", text, (network.filters,), nargs="+", type=int)
    text = "width of each convolution [pixels]: one number, or one for each"
    add("--width", "N", text, (network.width,), nargs="+", type=int)
    add("--strides", "N", "step of each convolution [pixels]", network.strides)
    add("--padding", ("valid", "same"), "padding of each convolution", network.padding)
    add("--units", "N", "width of the dense layer", network.units)
    add("--dropout", "X", "fraction dropped after each convolution", network.dropout)
    add("--redshift-bins", "N", "bins of a redshift head beside the lines; 0 for none", 0)
    text = "redshifts of the first and the last bin (default: those of simulated quasars)"
    group.add_argument("--redshift-range", type=float, nargs=2, metavar=("LOW", "HIGH"), help=text)


def _redshift_bins(arguments: argparse.Namespace) -> RedshiftBins | None:
    """The redshift head that is asked for."""
    from qnet.core.bins import RedshiftBins

    if not arguments.redshift_bins:
        if arguments.redshift_range is not None:
            raise InputError("--redshift-range is for --redshift-bins, which is not given")
        return None
    from qnet.simulation.quasars.parametric import Z_RANGE

    low, high = arguments.redshift_range or Z_RANGE
    return RedshiftBins(low, high, arguments.redshift_bins)


def _settings(arguments: argparse.Namespace) -> Settings:
    """The settings that the options ask for; those not given follow from the model of --init."""
    from qnet.model import load_model
    from qnet.training import Augmentation, NetworkOptions, Settings, inherit_settings

    given = {k: tuple(v) if isinstance(v, list) else v for k, v in vars(arguments).items()}

    def options(kind: Any) -> dict[str, Any]:
        names = [field.name for field in dataclasses.fields(kind)]
        return {name: given[name] for name in names if name in given}

    network = NetworkOptions(**options(NetworkOptions), redshifts=_redshift_bins(arguments))
    changes, augmentation = options(Settings), options(Augmentation)
    if arguments.init is None:
        return Settings(**changes, augmentation=Augmentation(**augmentation), network=network)
    if network != NetworkOptions():
        default, flag = NetworkOptions(), {"nlayers": "layers", "redshifts": "redshift-bins"}
        changed = (name for name in vars(network) if vars(network)[name] != vars(default)[name])
        # The rest wavelengths follow from the lines.
        flags = (f"--{flag.get(k, k).replace('_', '-')}" for k in changed if k != "rest")
        raise InputError(f"--init has a network: leave out {', '.join(flags)}")
    whole = inherit_settings(load_model(arguments.init), arguments.stage, **changes)
    change = dataclasses.replace(whole.augmentation, **augmentation)
    return dataclasses.replace(whole, augmentation=change)


def _train(arguments: argparse.Namespace) -> int:
    """Run ``qnet train``."""
    run = _train_refine if arguments.stage == "refine" else _train_lines
    try:
        models = run(arguments)
    except (KeyboardInterrupt, Terminated) as error:
        what, status = ENDED[type(error)]
        kept = f"; what is done is in {arguments.output}: go on with --resume"
        begun = any(Path(arguments.output).glob("**/state.json"))
        complain(what + (kept if begun else " before an epoch was done"))
        return status
    _report(models, arguments)
    return OK


def _train_lines(arguments: argparse.Namespace) -> list[Model]:
    """Train the first stage."""
    from qnet import train

    return train(
        arguments.data,
        arguments.truth,
        arguments.output,
        _settings(arguments),
        members=arguments.ensemble,
        **shared.given(arguments, "init resume overwrite distribute"),
    )


def _train_refine(arguments: argparse.Namespace) -> list[Model]:
    """Train the second stage, from that of the model of --init or from random weights."""
    from qnet.model import load_model
    from qnet.training import train_refiner
    from qnet.training.checkpoint import BEST

    if arguments.init is None:
        raise InputError("--stage refine needs --init, a model with a first stage")
    if arguments.ensemble != 1 or arguments.distribute:
        raise InputError("--ensemble and --distribute are for --stage lines")
    model = load_model(arguments.init)
    train_refiner(
        arguments.data,
        arguments.truth,
        arguments.output,
        settings=_settings(arguments),
        **({"finder": model} if model.refiner is None else {"init": arguments.init}),
        **shared.given(arguments, "resume overwrite"),
    )
    return [load_model(Path(arguments.output) / BEST)]


def _report(models: Sequence[Model], arguments: argparse.Namespace) -> None:
    """Print what was left out, and the losses of each network; compare with what was before."""
    from qnet.training.checkpoint import member_folder
    from qnet.training.data import describe
    from qnet.training.distribution import is_first

    if removed := models[0].weights.provenance.get("removed"):
        summarise(arguments, f"of the spectra, {describe(removed)}")
    for number, model in enumerate(models, start=1):
        folder = member_folder(Path(arguments.output), number, len(models))
        summarise(arguments, f"{model.name}: {_losses(model, arguments.stage)} -> {folder}")
        if is_first(arguments.distribute):
            _draw_history(folder)
            _measure(model, arguments, folder)


def _losses(model: Model, stage: str) -> str:
    """The best epoch and its losses."""
    made = model.weights.provenance
    made = made["refine"] if stage == "refine" else made
    epoch = made["best_epoch"] if stage == "refine" else made["epoch"]
    row = made["history"][epoch - 1]
    losses = ", ".join(f"{key} {row[key]:.4g}" for key in ("loss", "val_loss") if key in row)
    spectra = f", {count(made['nspec_train'], 'spectrum')}" if "nspec_train" in made else ""
    return f"epoch {epoch}, {losses}{spectra}"


def _draw_history(folder: Path) -> None:
    """Draw the losses by epoch, where matplotlib is there."""
    if find_spec("matplotlib") is None:
        return
    from qnet.plotting import plot_history, save_figure
    from qnet.training.checkpoint import HISTORY, HISTORY_FIGURE

    figure = plot_history(folder / HISTORY[0])
    save_figure(figure, folder / HISTORY_FIGURE, overwrite=True)


def _measure(model: Model, arguments: argparse.Namespace, folder: Path) -> None:
    """Evaluate a model, and that which it was started from, on the spectra of the validation."""
    from qnet.core.errors import warn
    from qnet.core.files import atomic_write
    from qnet.evaluation.validation import compare_models, validation_table
    from qnet.model import load_model
    from qnet.training.checkpoint import EVALUATION, EVALUATION_JSON, read_validation

    rows = read_validation(folder)
    if rows is None:
        summarise(arguments, "purity and completeness are not measured: no spectra for validation")
        return
    before = [] if arguments.init is None else [load_model(arguments.init)]
    found = compare_models([*before, model], arguments.data, arguments.truth, rows)
    text, worse = validation_table(found)
    for name, content in (
        (EVALUATION, f"{text}\n\n{found.to_text()}"),
        (EVALUATION_JSON, found.to_json()),
    ):
        with atomic_write(folder / name, overwrite=True) as partial:
            partial.write_text(content)
    _draw_redshifts(found.evaluations[-1], folder)
    spectra = count(len(rows["TARGETID"]), "spectrum")
    summarise(arguments, f"on the {spectra} of the validation (value [95 % interval] sample size):")
    if not arguments.quiet:
        print(text)
    if worse:
        warn(f"{model.name} is worse than {before[0].name} in {', '.join(worse)}")


def _draw_redshifts(evaluation: Evaluation, folder: Path) -> None:
    """Draw the redshifts of the validation against the true ones, where matplotlib is there."""
    if find_spec("matplotlib") is None:
        return
    from qnet.plotting import plot_z, save_figure
    from qnet.training.checkpoint import REDSHIFT_FIGURE

    save_figure(plot_z(evaluation), folder / REDSHIFT_FIGURE, overwrite=True)
