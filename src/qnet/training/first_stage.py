"""Training of the first stage, the line finder: prepared data and truth to a model."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet import __version__
from qnet.core.arguments import check_arguments
from qnet.core.errors import InputError
from qnet.core.files import PathLike, as_paths
from qnet.io.truth import read_truth
from qnet.model.loading import as_model, load_model
from qnet.model.model import Model
from qnet.model.weights import write_weights
from qnet.training.batches import Batches, LineMaker
from qnet.training.checkpoint import BEST, STATE, State, clear_others, identity, member_folder
from qnet.training.data import Paths, Rows, TrainingData, bootstrap, load, sources, split
from qnet.training.distribution import Process, check_backend, distribution, is_first, own_folder
from qnet.training.inheritance import (
    carried_records,
    carry_over,
    inherit_settings,
    own_name,
    parent_record,
)
from qnet.training.loop import Run, check_request, group_size, new_network
from qnet.training.recalibration import recalibrate as calibrate_best
from qnet.training.settings import Settings, resumable

if TYPE_CHECKING:
    import keras


def train(
    data: Paths,
    truth: Paths,
    output: PathLike,
    settings: Settings | None = None,
    *,
    init: PathLike | Model | None = None,
    recalibrate: bool = True,
    members: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    distribute: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: bool | None = None,
) -> list[Model]:
    """Train a network on prepared data and truth.

    The run is reproducible: with one seed, one machine gives the same weights again. For this,
    Keras's global random seed is set, and TensorFlow adds in one order.

    Parameters
    ----------
    data : path or sequence of paths
        Prepared data files, on one grid, which the network gets. Pixels with NaN, or with an
        inverse variance of zero, have no weight.
    truth : path or sequence of paths
        Truth tables, as `qnet.io.read_truth` reads them. Spectra that are not in them, that were
        not inspected, or that have no data are left out.
    output : path
        Folder of the run. After every epoch it holds ``best.safetensors`` and ``last.safetensors``
        (for `qnet.load_model`), ``history.fits``, ``history.csv`` and a checkpoint; with several
        members, a folder ``member-NN`` for each.
    settings : Settings, optional
        None: with `init` those of `inherit_settings`, else the defaults of `Settings`.
    init : path or Model, optional
        Start from this model's weights, with its network, lines and rest wavelengths. The data must
        be on its grid, or on a finer one, whole pixels of which make up its own. The new model has
        its second stage, calibration and notices too.
    recalibrate : bool
        Whether a calibration that comes from `init` is fitted again at the end, on the spectra of
        the validation (`calibrate`); the data must be on the grid of the second stage.
    members : int
        Number of networks. Each of several is trained on its own bootstrap sample of the TARGETIDs,
        from its own seed; all have the same validation set.
    resume : bool
        Continue a run that was stopped; settings and data must be the same. A run that was stopped
        before its first checkpoint begins anew; members that are done are not trained again.
    overwrite : bool
        Whether a run in the folder may be replaced.
    distribute : bool
        Train on all devices that JAX shows, data parallel, through ``keras.distribution``; on
        several hosts too where Keras's variables KERAS_DISTRIBUTION_* are set.
    callbacks : sequence of keras.callbacks.Callback
        Further callbacks, for each member. One that uses the ends of batches without the attribute
        ``async_safe`` makes Keras compute the loss of each batch before the next one begins.
    progress : bool, optional
        Whether to show a progress bar; None: on a terminal only.

    Returns
    -------
    list of Model
        The best network of each member: that of the epoch of the lowest validation loss (training
        loss, where there is no validation).

    Raises
    ------
    InputError
        No spectrum is left for training, a setting is not valid, the run to resume had other
        settings or data, an input lies in the folder that is to be replaced, or `distribute` is set
        and Keras's backend is not JAX.
    OutputExistsError
        The folder holds a run, and neither `resume` nor `overwrite` is set.
    MissingFileError, FileError
        A file cannot be read or written.
    TrainingError
        A loss or a weight is not finite. The checkpoint of the epoch before is kept.

    Warns
    -----
    QnetWarning
        The new model has the calibration of `init`, which was not fitted again.

    Examples
    --------
    Simulate spectra and train a tiny network for one epoch (a useful one takes hours):

    >>> import qnet
    >>> from qnet.simulation import write_simulation
    >>> _ = write_simulation(qnet.simulate(40, seed=1), "data.fits", "truth.fits")
    >>> network = qnet.training.NetworkOptions(lines=("LYA", "MgII(2796)"), nlayers=2, filters=4)
    >>> settings = qnet.training.Settings(epochs=1, batch_size=16, network=network)
    >>> (model,) = qnet.train("data.fits", "truth.fits", "run", settings, progress=False)
    >>> model.lines
    ('LYA', 'MgII(2796)')
    >>> qnet.load_model("run/best.safetensors").weights.provenance["nspec_train"]
    36
    """
    check_arguments(train, locals())
    data, truth = as_paths(data, "data"), as_paths(truth, "truth")
    folder = Path(output)
    first = is_first(distribute)
    inputs = (data, truth, init)
    check_request(folder, members, inputs, resume=resume, overwrite=overwrite, first=first)
    if distribute:
        check_backend()
    start = None if init is None else as_model(init)
    if settings is None:
        settings = Settings() if start is None else inherit_settings(start)
    settings = own_name(settings, start)
    spectra = _load(data, truth, settings, start)
    made_of = sources(spectra, truth)
    training, validation = split(spectra, settings.validation, settings.seed)
    models = []
    with distribution(distribute, settings.batch_size) as process:
        if overwrite and first:
            clear_others(folder, members)
        for number in range(1, members + 1):
            seed = settings.seed if members == 1 else settings.seed + number
            member = _Member(
                settings=settings,
                seed=seed,
                data=spectra,
                training=training if members == 1 else bootstrap(spectra, training, seed),
                validation=validation,
                init=start,
                sources=made_of,
                process=process,
                truth=truth if recalibrate and init is not None else None,
            )
            models.append(
                member.train(
                    member_folder(folder, number, members),
                    resume=resume,
                    overwrite=overwrite,
                    callbacks=callbacks,
                    progress=progress,
                )
            )
    return models


def _load(data: Paths, truth: Paths, settings: Settings, start: Model | None) -> TrainingData:
    """The training data, on the grid of the model that is started from."""
    spectra = load(
        data,
        read_truth(truth),
        memory=settings.memory,
        keep_pixels=bool(settings.augmentation),
        z_lim=settings.z_lim,
        grid=None if start is None else start.grid,
    )
    if start is not None and start.grid != spectra.grid:
        raise InputError(
            f"the data are on another grid ({spectra.grid}) than {start.name} ({start.grid})"
        )
    return spectra


@dataclasses.dataclass
class _Member:
    """One network of a run."""

    settings: Settings
    seed: int
    data: TrainingData
    training: Rows
    validation: Rows
    init: Model | None
    sources: Mapping[str, Any]
    process: Process
    truth: Paths | None  # for the calibration of the best network, if there is to be one

    def train(self, folder: Path, *, resume: bool, overwrite: bool, **options: Any) -> Model:
        """Train, or continue, to the end."""
        begun = resume and (folder / STATE).exists()
        with own_folder(folder, self.process, resume=begun) as own:
            network = new_network(self._build, self.seed, self.settings.precision)
            architecture = Model.from_keras(network, **self._naming()).architecture
            batches, validation = (
                Batches(
                    data=self.data,
                    # Whole multiples of the devices.
                    rows=rows[: len(rows) - len(rows) % self.process.devices],
                    size=self.settings.batch_size,
                    make=LineMaker(architecture, self.settings.augmentation),
                    group=group_size(self.settings, self.data.grid),
                    seed=seed,
                    process=(self.process.number, self.process.processes),
                )
                for rows, seed in ((self.training, self.seed), (self.validation, None))
            )
            run = Run(
                folder=own,
                settings=self.settings,
                seed=self.seed,
                plan=self._plan(),
                network=network,
                loss=self._losses(),
                batches=batches,
                validation=validation,
                write=self._write,
                outputs=dict(zip(network.output_names, self._history_names(), strict=True)),
                **options,
            )
            run.go(resume=resume, overwrite=overwrite)
            if self.truth is None:
                return load_model(own / BEST)
            progress = options["progress"]
            return calibrate_best(
                own / BEST, self.data, self.validation, self.truth, progress=progress
            )

    def _build(self) -> keras.Model:
        """The network before training."""
        from qnet.model.keras_network import QuasarNET

        if self.init is not None:
            return self.init.to_keras()
        return QuasarNET((self.data.grid.npix, 1), **self.settings.network.keras_options())

    def _naming(self) -> dict[str, Any]:
        """Name and version of the model, and the meaning of the network's outputs."""
        source: Any = self.settings.network if self.init is None else self.init.architecture
        return {
            "name": self.settings.name,
            "version": self.settings.version,
            "lines": source.lines,
            "lines_bal": source.lines_bal,
            "rest": source.rest,
            "redshifts": source.redshifts,
            "clip": source.clip,
            "grid": self.data.grid,
        }

    def _losses(self) -> list[Any]:
        """The loss of each output."""
        from qnet.model.keras_network import LOSSES, REDSHIFT_LOSS

        naming = self._naming()
        lines = len(naming["lines"] + naming["lines_bal"])
        head = [] if naming["redshifts"] is None else [REDSHIFT_LOSS]
        return [LOSSES[self.settings.loss]] * lines + head

    def _history_names(self) -> list[str]:
        """Names of the outputs in the history: letters, digits and underscores, as FITS has it."""
        naming = self._naming()
        names = [*naming["lines"], *(f"BAL_{line}" for line in naming["lines_bal"])]
        names += [] if naming["redshifts"] is None else ["REDSHIFT"]
        return ["".join(c if c.isalnum() else "_" for c in name).strip("_") for name in names]

    def _plan(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        return {
            "settings": resumable(self._settings(), in_memory=self.data.in_memory),
            "seed": self.seed,
            "sources": dict(self.sources),
            "init": None if self.init is None else identity(self.init),
        }

    def _write(self, path: Path, network: keras.Model, state: State) -> None:
        """Write a weights file."""
        weights = Model.from_keras(network, **self._naming()).weights
        provenance = self._provenance(state)
        if self.init is not None:
            weights = carry_over(self.init, weights)
            provenance |= carried_records(self.init)
        weights = dataclasses.replace(weights, licence=self.settings.licence, provenance=provenance)
        write_weights(path, weights, overwrite=True)

    def _settings(self) -> dict[str, Any]:
        """The settings that were used: a model that is started from has its own network."""
        settings = self.settings.to_dict()
        if self.init is not None:
            del settings["network"]
        return settings

    def _provenance(self, state: State) -> dict[str, Any]:
        """Origin of the weights, for their file."""
        import keras

        return {
            "trained_by": f"qnet {__version__}",
            "epoch": state.epoch,
            "sources": dict(self.sources),
            "removed": dict(self.data.removed),
            "nspec_train": len(self.training),
            "nspec_validation": len(self.validation),
            "init": None if self.init is None else f"{self.init.name} {self.init.sha256}",
            "parent": parent_record(self.init, "lines"),
            "seed": self.seed,
            "settings": self._settings(),
            "versions": {
                "qnet": __version__,
                "keras": keras.__version__,
                "backend": keras.backend.backend(),
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            "history": state.history,
        }
