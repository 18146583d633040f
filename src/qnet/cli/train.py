"""The command ``qnet train``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from qnet.cli.common import INTERRUPTED, OK, TERMINATED, Terminated, complain, count
from qnet.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qnet.core.bins import RedshiftBins
    from qnet.model.model import Model
    from qnet.training import Settings

#: Options whose values are those of the settings and of the network, by the same names.
_PLAIN = (
    "epochs",
    "batch_size",
    "learning_rate",
    "schedule",
    "weight_decay",
    "loss",
    "precision",
    "validation",
    "patience",
    "seed",
    "memory",
    "name",
    "licence",
)
_SHAPE = ("boxes", "strides", "padding", "units", "dropout")


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Defaults in the help, as they would be typed, where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if (
            action.default is None
            or action.default is False
            or action.default in ("", argparse.SUPPRESS)
        ):
            return action.help
        if isinstance(action.default, tuple):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


def add_commands(commands: Any) -> None:
    """Add ``qnet train``."""
    parser = commands.add_parser(
        "train",
        help="train a network on prepared data and truth",
        description="Train a network on prepared data and truth. The folder OUT gets the weights "
        "(best.safetensors, last.safetensors), the history (FITS and CSV) and a checkpoint.",
        formatter_class=_Formatter,
    )
    parser.set_defaults(command=_train)
    parser.add_argument(
        "--data", nargs="+", required=True, metavar="FILE", help="prepared data files"
    )
    parser.add_argument("--truth", nargs="+", required=True, metavar="FILE", help="truth tables")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder of the run")
    parser.add_argument("--init", metavar="MODEL", help="weights file to start from")
    parser.add_argument(
        "--ensemble", type=int, default=1, metavar="N", help="networks, on bootstrap samples"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in OUT")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in OUT")
    parser.add_argument(
        "--distribute", action="store_true", help="use all devices of JAX (KERAS_BACKEND=jax)"
    )
    _add_training(parser.add_argument_group("training"))
    _add_network(parser.add_argument_group("network (not with --init)"))
    _add_naming(parser.add_argument_group("what the weights file says"))


def _add_training(group: Any) -> None:
    """The options of a run."""
    from qnet.training.settings import Augmentation, Loss, Precision, Schedule, Settings

    plain, change = Settings(), Augmentation()
    _number(group, "--epochs", plain.epochs, "passes over the data")
    _number(group, "--batch-size", plain.batch_size, "spectra per step")
    _number(group, "--learning-rate", plain.learning_rate, "of Adam")
    group.add_argument(
        "--schedule", choices=get_args(Schedule), default=plain.schedule, help="of the rate"
    )
    _number(group, "--weight-decay", plain.weight_decay, "decoupled, as in AdamW")
    group.add_argument("--loss", choices=get_args(Loss), default=plain.loss, help="loss")
    group.add_argument(
        "--precision", choices=get_args(Precision), default=plain.precision, help="of the layers"
    )
    _number(group, "--validation", plain.validation, "share of the TARGETIDs kept for validation")
    group.add_argument(
        "--patience", type=int, metavar="N", help="stop after N epochs without a better one"
    )
    _number(group, "--seed", plain.seed, "seed of weights, split, order and augmentation")
    _number(group, "--memory", plain.memory, "memory for the spectra [GiB]")
    _number(group, "--noise", change.noise, "augmentation: noise added, in units of a pixel's own")
    _number(group, "--tilt", change.tilt, "augmentation: scatter of a smooth factor")
    _number(group, "--gap", change.gap, "augmentation: probability of a run of dead pixels")


def _add_network(group: Any) -> None:
    """The options of the network."""
    from qnet.training.settings import NetworkOptions

    network = NetworkOptions()
    group.add_argument("--lines", nargs="+", default=network.lines, metavar="LINE", help="lines")
    group.add_argument(
        "--lines-bal", nargs="*", default=network.lines_bal, metavar="LINE", help="BAL lines"
    )
    _number(group, "--boxes", network.boxes, "boxes per line")
    _number(group, "--layers", network.nlayers, "convolutions")
    for option, value, text in (
        ("--filters", network.filters, "filters of each"),
        ("--width", network.width, "width of each [pixels]"),
    ):
        group.add_argument(
            option,
            type=int,
            nargs="+",
            default=(value,),
            metavar="N",
            help=f"{text}: one number, or one for each",
        )
    _number(group, "--strides", network.strides, "step of each [pixels]")
    group.add_argument(
        "--padding", choices=("valid", "same"), default=network.padding, help="padding of each"
    )
    _number(group, "--units", network.units, "width of the dense layer")
    _number(group, "--dropout", network.dropout, "share dropped after each convolution")
    _number(group, "--redshift-bins", 0, "bins of a redshift head beside the lines; 0 for none")
    group.add_argument(
        "--redshift-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="redshifts of the first and the last bin (default: those of simulated quasars)",
    )


def _add_naming(group: Any) -> None:
    """What the weights are called."""
    from qnet.training.settings import Settings

    plain = Settings()
    group.add_argument("--name", default=plain.name, help="name of the model")
    group.add_argument(
        "--model-version", default=plain.version, metavar="V", help="version of the model"
    )
    group.add_argument("--licence", default=plain.licence, help="licence of the weights")


def _number(group: Any, option: str, default: float, text: str) -> None:
    """An option that takes a number of the default's kind."""
    metavar = "N" if isinstance(default, int) else "X"
    group.add_argument(option, type=type(default), default=default, metavar=metavar, help=text)


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
    """The settings that the options ask for."""
    from qnet.training import Augmentation, NetworkOptions, Settings

    given = vars(arguments)
    network = NetworkOptions(
        lines=tuple(arguments.lines),
        lines_bal=tuple(arguments.lines_bal),
        nlayers=arguments.layers,
        filters=tuple(arguments.filters),
        width=tuple(arguments.width),
        redshifts=_redshift_bins(arguments),
        **{name: given[name] for name in _SHAPE},
    )
    if arguments.init is not None and network != NetworkOptions():
        raise InputError(
            "--init has a network: leave out --lines, --lines-bal, --boxes, --layers, --filters, "
            "--width, --strides, --padding, --units, --dropout, --redshift-bins"
        )
    return Settings(
        **{name: given[name] for name in _PLAIN},
        version=arguments.model_version,
        augmentation=Augmentation(noise=arguments.noise, tilt=arguments.tilt, gap=arguments.gap),
        network=network,
    )


def _train(arguments: argparse.Namespace) -> int:
    """Run ``qnet train``."""
    from qnet.training import train

    try:
        models = train(
            arguments.data,
            arguments.truth,
            arguments.output,
            _settings(arguments),
            init=arguments.init,
            members=arguments.ensemble,
            resume=arguments.resume,
            overwrite=arguments.overwrite,
            distribute=arguments.distribute,
        )
    except (KeyboardInterrupt, Terminated) as error:
        terminated = isinstance(error, Terminated)
        what = "ended by SIGTERM" if terminated else "interrupted"
        begun = any(Path(arguments.output).glob("**/state.json"))
        complain(
            f"{what}; what is done is in {arguments.output}: go on with --resume"
            if begun
            else f"{what} before an epoch was done"
        )
        return TERMINATED if terminated else INTERRUPTED
    _report(models, Path(arguments.output))
    return OK


def _report(models: Sequence[Model], folder: Path) -> None:
    """Say what was left out, and how well each network does."""
    from qnet.training.checkpoint import member_folder
    from qnet.training.data import describe

    if removed := models[0].weights.provenance.get("removed"):
        print(f"qnet: of the spectra, {describe(removed)}")
    for number, model in enumerate(models, start=1):
        made = model.weights.provenance
        row = made["history"][made["epoch"] - 1]
        losses = ", ".join(f"{key} {row[key]:.4g}" for key in ("loss", "val_loss") if key in row)
        spectra = count(made["nspec_train"], "spectrum")
        print(
            f"qnet: {model.name}: epoch {made['epoch']}, {losses}, {spectra} -> "
            f"{member_folder(folder, number, len(models))}"
        )
