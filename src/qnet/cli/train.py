"""The command ``qnet train``."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from qnet.cli import parser as shared
from qnet.cli.common import ENDED, OK, Terminated, complain, count, summarise
from qnet.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qnet.core.bins import RedshiftBins
    from qnet.model.model import Model
    from qnet.training import NetworkOptions, Settings


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    from qnet.training.settings import Settings

    plain = Settings()
    parser = add_parser(
        description="Train a network on prepared data and truth. The folder OUT gets the weights "
        "(best.safetensors, last.safetensors), the history (FITS and CSV) and a checkpoint.",
        parents=[shared.output("folder of the run", "replace the run in OUT")],
        examples=(
            "qnet train --data data.fits --truth truth.fits -o run1",
            "qnet train --data sim.fits --truth sim_truth.fits -o run2 --epochs 50 --patience 5",
        ),
    )
    shared.add(parser, "--data", "FILE", "prepared data files", nargs="+", required=True)
    shared.add(parser, "--truth", "FILE", "truth tables", nargs="+", required=True)
    shared.add(parser, "--init", "MODEL", "weights file to start from (default: random weights)")
    text = "number of networks; several are trained on a bootstrap sample each"
    shared.add(parser, "--ensemble", "N", text, 1)
    for option, text in (
        ("--resume", "go on with the run in OUT"),
        ("--distribute", "use all devices of JAX (KERAS_BACKEND=jax)"),
    ):
        parser.add_argument(option, action="store_true", help=text)
    _add_training(parser.add_argument_group("training"), plain)
    _add_network(parser.add_argument_group("network (not with --init)"), plain.network)
    group = parser.add_argument_group("description in the weights file")
    shared.add(group, "--name", "NAME", "name of the model", plain.name)
    shared.add(group, "--model-version", "V", "version of the model", plain.version, dest="version")
    text = "licence of the weights (default: none)"
    shared.add(group, "--licence", "LICENCE", text, plain.licence)
    parser.set_defaults(command=_train)


def _add_training(group: Any, plain: Settings) -> None:
    """The options of a run."""
    from qnet.training.settings import Loss, Precision, Schedule

    change, add = plain.augmentation, functools.partial(shared.add, group)
    add("--epochs", "N", "passes over the data", plain.epochs)
    add("--batch-size", "N", "spectra per step", plain.batch_size)
    add("--learning-rate", "X", "learning rate of Adam", plain.learning_rate)
    add("--schedule", get_args(Schedule), "schedule of the learning rate", plain.schedule)
    add("--weight-decay", "X", "weight decay, decoupled as in AdamW", plain.weight_decay)
    add("--loss", get_args(Loss), "loss function", plain.loss)
    add("--precision", get_args(Precision), "precision of the layers", plain.precision)
    add("--validation", "X", "fraction of the TARGETIDs for validation", plain.validation)
    add("--patience", "N", "stop after N epochs without a lower loss (default: never)", type=int)
    add("--seed", "N", "seed of weights, split, order and augmentation", plain.seed)
    add("--memory", "X", "memory for the spectra [GiB]", plain.memory)
    add("--noise", "X", "augmentation: noise added, in units of a pixel's own", change.noise)
    add("--tilt", "X", "augmentation: scatter of a smooth factor", change.tilt)
    text = "augmentation: fraction of the spectra of which a part is kept"
    add("--coverage", "X", text, change.coverage)
    add("--fault", "X", "augmentation: fraction of the spectra with a fault of data", change.fault)


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
    """The settings that the options ask for."""
    from qnet.training import Augmentation, NetworkOptions, Settings

    given = {k: tuple(v) if isinstance(v, list) else v for k, v in vars(arguments).items()}

    def options(kind: Any) -> dict[str, Any]:
        names = [field.name for field in dataclasses.fields(kind)]
        return {name: given[name] for name in names if name in given}

    network = NetworkOptions(**options(NetworkOptions), redshifts=_redshift_bins(arguments))
    if arguments.init is not None and network != NetworkOptions():
        raise InputError(
            "--init has a network: leave out --lines, --lines-bal, --boxes, --layers, --filters, "
            "--width, --strides, --padding, --units, --dropout, --redshift-bins"
        )
    augmentation = Augmentation(**options(Augmentation))
    return Settings(**options(Settings), augmentation=augmentation, network=network)


def _train(arguments: argparse.Namespace) -> int:
    """Run ``qnet train``."""
    from qnet import train

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
        what, status = ENDED[type(error)]
        kept = f"; what is done is in {arguments.output}: go on with --resume"
        begun = any(Path(arguments.output).glob("**/state.json"))
        complain(what + (kept if begun else " before an epoch was done"))
        return status
    _report(models, arguments)
    return OK


def _report(models: Sequence[Model], arguments: argparse.Namespace) -> None:
    """Print what was left out, and the losses of each network."""
    from qnet.training.checkpoint import member_folder
    from qnet.training.data import describe

    if removed := models[0].weights.provenance.get("removed"):
        summarise(arguments, f"of the spectra, {describe(removed)}")
    for number, model in enumerate(models, start=1):
        made = model.weights.provenance
        row = made["history"][made["epoch"] - 1]
        losses = ", ".join(f"{key} {row[key]:.4g}" for key in ("loss", "val_loss") if key in row)
        spectra = count(made["nspec_train"], "spectrum")
        folder = member_folder(Path(arguments.output), number, len(models))
        summarise(
            arguments, f"{model.name}: epoch {made['epoch']}, {losses}, {spectra} -> {folder}"
        )
