"""`fit`: prepared data and truth to a trained network."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet import __version__
from qnet.core.errors import InputError
from qnet.core.files import PathLike
from qnet.io.truth import read_truth
from qnet.model.architecture import Architecture
from qnet.model.model import Model, load_model
from qnet.model.weights import write_weights
from qnet.training.batches import Batches, LineMaker
from qnet.training.checkpoint import (
    BEST,
    LAST,
    STATE,
    State,
    best_of,
    check_folder,
    clear_others,
    identity,
    load_checkpoint,
    member_folder,
    open_folder,
    save_checkpoint,
    write_history,
)
from qnet.training.data import Rows, TrainingData, bootstrap, load, sources, split
from qnet.training.distribution import Share, check_backend, distribution, is_first, own_folder
from qnet.training.loop import group_size, need_keras, run_epochs
from qnet.training.settings import Settings, resumable

if TYPE_CHECKING:
    import keras

Paths = PathLike | Sequence[PathLike]


def train(
    data: Paths,
    truth: Paths,
    output: PathLike,
    settings: Settings | None = None,
    *,
    init: PathLike | Model | None = None,
    members: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    distribute: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: bool | None = None,
) -> list[Model]:
    """Train a network.

    Keras's global random seed is set from the settings' seed, and TensorFlow told to add in one
    order: with one seed, one machine gives the same weights again.

    Parameters
    ----------
    data : path or sequence of paths
        Prepared data files, on one grid; the network gets that grid.
    truth : path or sequence of paths
        Truth tables, as `qnet.io.read_truth` reads them. Spectra that are not in them, that were
        not inspected, or that have no data are left out.
    output : path
        Folder of the run. After every epoch it holds ``best.safetensors`` and ``last.safetensors``
        (for `qnet.load_model`), ``history.fits``, ``history.csv`` and a checkpoint; with several
        members, a folder ``member-NN`` for each.
    settings : Settings, optional
        The defaults of `Settings` when None.
    init : path or Model, optional
        Start from this model's weights, with its network, lines and rest wavelengths. Its grid must
        be that of the data.
    members : int
        Number of networks. Each of several is trained on its own bootstrap sample of the TARGETIDs,
        from its own seed, and all are judged on the same validation set.
    resume : bool
        Go on with a run that was stopped; settings and data must be the same. A run that was
        stopped before its first checkpoint begins anew; members that are done are not trained
        again.
    overwrite : bool
        Whether a run in the folder may be replaced.
    distribute : bool
        Train on all devices that JAX shows, data parallel, through ``keras.distribution``; on
        several hosts too where Keras's variables KERAS_DISTRIBUTION_* are set.
    callbacks : sequence of keras.callbacks.Callback
        Further callbacks, for each member. One that looks at the ends of batches and does not say
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
        Nothing is left to train on, a setting is wrong, a run to resume was another one, an input
        lies in the folder that is to be replaced, or `distribute` is asked for and Keras's backend
        is not JAX.
    OutputExistsError
        The folder holds a run, and neither `resume` nor `overwrite` is asked for.
    MissingFileError, FileError
        A file cannot be read or written.
    TrainingError
        A loss or a weight is not a number. The checkpoint of the epoch before is kept.
    """
    settings = Settings() if settings is None else settings
    folder = Path(output)
    _check_request(members, resume=resume, overwrite=overwrite)
    if overwrite:
        _check_apart(folder, data, truth, init)
    if is_first(distribute):
        check_folder(folder, members, resume=resume, overwrite=overwrite)
    need_keras()
    check_backend(distribute)
    start = init if init is None or isinstance(init, Model) else load_model(init)
    known = read_truth(truth)
    spectra = load(
        data,
        known,
        memory=settings.memory,
        keep_pixels=bool(settings.augmentation),
        z_lim=settings.z_lim,
    )
    if start is not None and start.grid != spectra.grid:
        raise InputError(
            f"the data are on another grid ({spectra.grid}) than {start.name} ({start.grid})"
        )
    made_of = sources(spectra, truth)
    trained = []
    train, validation = split(spectra, settings.validation, settings.seed)
    with distribution(distribute, settings.batch_size) as share:
        if overwrite and share.process == 0:
            clear_others(folder, members)
        for member in range(1, members + 1):
            seed = settings.seed if members == 1 else settings.seed + member
            run = _Run(
                folder=member_folder(folder, member, members),
                settings=settings,
                seed=seed,
                data=spectra,
                train=train if members == 1 else bootstrap(spectra, train, seed),
                validation=validation,
                init=start,
                sources=made_of,
                share=share,
                callbacks=callbacks,
                progress=progress,
            )
            # What was killed before its first checkpoint has nothing to resume.
            begun = (run.folder / STATE).exists()
            again = overwrite or (resume and not begun)
            trained.append(run.go(resume=resume and begun, overwrite=again))
    return trained


def _check_request(members: int, *, resume: bool, overwrite: bool) -> None:
    """Raise if what is asked for cannot be."""
    if members < 1:
        raise InputError(f"members must be at least 1, not {members!r}")
    if resume and overwrite:
        raise InputError("resume and overwrite contradict one another")


def _check_apart(folder: Path, *inputs: Any) -> None:
    """Raise if an input lies in the folder whose run is to be replaced: it would go first."""
    files = [
        path
        for given in inputs
        for path in (given if isinstance(given, (list, tuple)) else [given])
        if isinstance(path, (str, os.PathLike))
    ]
    for path in files:
        if os.path.exists(path) and Path(folder).resolve() in Path(path).resolve().parents:
            raise InputError(
                f"{path}: lies in {folder}, whose run is to be replaced: copy it elsewhere first"
            )


@dataclasses.dataclass
class _Run:
    """The training of one network."""

    folder: Path
    settings: Settings
    seed: int
    data: TrainingData
    train: Rows
    validation: Rows
    init: Model | None
    sources: Mapping[str, Any]
    share: Share
    callbacks: Sequence[keras.callbacks.Callback]
    progress: bool | None

    def go(self, *, resume: bool, overwrite: bool) -> Model:
        """Train, or go on, to the end."""
        from qnet.training.precision import precision
        from qnet.training.seeds import set_seed

        share = self.share
        with own_folder(self.folder, share, resume=resume) as folder:
            set_seed(self.seed)
            with precision(self.settings.precision):
                network = self._new()
            open_folder(folder, resume=resume, overwrite=overwrite)
            like = Model.from_keras(network, **self._naming()).architecture
            batches = self._batches(self.train, self.seed, like, share)
            if resume:
                network, state = load_checkpoint(folder, self._plan())
            else:
                state = State(self._plan())
                self._compile(network, batches.steps)
            if not state.is_done(self.settings):
                judged = self._batches(self.validation, None, like, share)
                self._fit(network, like, state, batches, judged, folder)
            return load_model(folder / BEST)

    def _fit(
        self,
        network: keras.Model,
        like: Architecture,
        state: State,
        batches: Batches,
        judged: Batches,
        folder: Path,
    ) -> None:
        """Keras's fit, from the state on."""
        from qnet.training.callbacks import output_names

        run_epochs(
            network,
            state,
            batches,
            judged,
            self.settings,
            seed=self.seed,
            outputs=output_names(network.output_names, like.lines, like.lines_bal),
            save=lambda now, best: self._save(folder, network, now, best),
            saved=True,
            callbacks=self.callbacks,
            progress=self.progress,
        )

    def _new(self) -> keras.Model:
        """The network before training."""
        from qnet.model.keras_network import QuasarNET

        if self.init is not None:
            return self.init.to_keras()
        return QuasarNET((self.data.grid.npix, 1), **self.settings.network.keras_options())

    def _naming(self) -> dict[str, Any]:
        """What the network's outputs mean, and what it is called."""
        source: Any = self.settings.network if self.init is None else self.init.architecture
        return {
            "name": self.settings.name,
            "version": self.settings.version,
            "lines": source.lines,
            "lines_bal": source.lines_bal,
            "rest": source.rest,
            "redshifts": source.redshifts,
            "grid": self.data.grid,
        }

    def _compile(self, network: keras.Model, steps: int) -> None:
        """Give the network its loss and optimiser."""
        from qnet.model.keras_network import LOSSES, REDSHIFT_LOSS
        from qnet.training.optimiser import make_optimiser

        naming = self._naming()
        losses: list[Any] = [LOSSES[self.settings.loss]] * len(
            naming["lines"] + naming["lines_bal"]
        )
        if naming["redshifts"] is not None:
            losses.append(REDSHIFT_LOSS)
        network.compile(optimizer=make_optimiser(self.settings, steps), loss=losses)

    def _batches(
        self, rows: Rows, seed: int | None, architecture: Architecture, share: Share
    ) -> Batches:
        """Batches of some spectra for a network: whole multiples of the devices."""
        return Batches(
            data=self.data,
            rows=rows[: len(rows) - len(rows) % share.devices],
            size=self.settings.batch_size,
            make=LineMaker(architecture, self.settings.augmentation),
            group=group_size(self.settings, self.data.grid),
            seed=seed,
            share=(share.process, share.processes),
        )

    def _plan(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        settings = resumable(self._settings(), in_memory=self.data.in_memory)
        return {
            "settings": settings,
            "seed": self.seed,
            "sources": dict(self.sources),
            "init": None if self.init is None else identity(self.init),
        }

    def _save(self, folder: Path, network: keras.Model, state: State, best: bool) -> None:
        """Write checkpoint, weights and history after an epoch."""
        model = Model.from_keras(network, **self._naming())
        weights = dataclasses.replace(
            model.weights,
            licence=self.settings.licence,
            provenance=self._provenance(state),
        )
        write_weights(folder / LAST, weights, overwrite=True)
        if best:
            write_weights(folder / best_of(state.epoch), weights, overwrite=True)
        write_history(folder, state.history)
        save_checkpoint(folder, network, state)

    def _settings(self) -> dict[str, Any]:
        """The settings that were used: a model that is started from has its own network."""
        settings = self.settings.to_dict()
        if self.init is not None:
            del settings["network"]
        return settings

    def _provenance(self, state: State) -> dict[str, Any]:
        """What made the weights."""
        import keras

        return {
            "trained_by": f"qnet {__version__}",
            "epoch": state.epoch,
            "sources": dict(self.sources),
            "removed": dict(self.data.removed),
            "nspec_train": len(self.train),
            "nspec_validation": len(self.validation),
            "init": None if self.init is None else f"{self.init.name} {self.init.sha256}",
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
