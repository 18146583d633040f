"""A model, ready to classify: networks, weights, calibration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qnet.core.arguments import check_arguments
from qnet.core.arrays import FloatArray, as_numbers, as_precision
from qnet.core.bins import RedshiftBins
from qnet.core.checks import check_whole
from qnet.core.errors import InputError
from qnet.core.files import PathLike
from qnet.core.grid import WavelengthGrid, as_grid
from qnet.core.html import describe
from qnet.core.progress import Progress
from qnet.core.spectra import Spectra
from qnet.core.threads import choose_threads
from qnet.model.architecture import Architecture
from qnet.model.calibration import Calibration
from qnet.model.card import make_card
from qnet.model.network import CHUNK_SIZE, Network, NetworkOutput
from qnet.model.refiner import Refiner
from qnet.model.weights import WeightsFile, write_weights
from qnet.postprocess.decoding import Predictions, decode
from qnet.preprocess.normalisation import Preprocessed, preprocess

if TYPE_CHECKING:
    import keras
    from astropy.table import Table


class Model:
    """A trained model: its networks, grid, lines, rest wavelengths and calibration.

    Parameters
    ----------
    weights : WeightsFile
        The weights and their description, as `qnet.load_model` reads them.

    Attributes
    ----------
    threads : int or None
        Number of threads; None: as many as BLAS would use.

    Examples
    --------
    >>> import numpy as np
    >>> import qnet
    >>> model = qnet.load_model()
    >>> model.name, model.grid.npix, model.nboxes
    ('qnet@5', 443, 13)
    >>> X = np.random.default_rng(0).normal(size=(3, 443))  # normalised spectra
    >>> preds = model.predict(X)
    >>> len(preds), preds[0].shape
    (7, (3, 26))
    >>> model.decode(preds).zbest.shape
    (3,)
    """

    def __init__(self, weights: WeightsFile) -> None:
        check_arguments(Model.__init__, locals())
        self.weights = weights
        self.threads: int | None = None
        self._networks: dict[np.dtype[Any], Network] = {}
        # A list, so that copies of the model share it: it is made once.
        self._refiners: list[Refiner] = []

    @property
    def architecture(self) -> Architecture:
        """Architecture of the first stage."""
        return self.weights.architecture

    @property
    def name(self) -> str:
        """Name and version, as ``name@version``."""
        return f"{self.weights.name}@{self.weights.version}"

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights file."""
        return self.weights.sha256

    @property
    def grid(self) -> WavelengthGrid:
        """Grid of the input."""
        return self.architecture.grid

    @property
    def wave(self) -> FloatArray:
        """Left edges of the input's pixels [Angstrom], shape (npix,)."""
        return self.grid.wave

    @property
    def lines(self) -> tuple[str, ...]:
        """Emission lines, in the order of the outputs."""
        return self.architecture.lines

    @property
    def lines_bal(self) -> tuple[str, ...]:
        """BAL lines, after the emission lines."""
        return self.architecture.lines_bal

    @property
    def rest(self) -> Mapping[str, float]:
        """Rest wavelengths [Angstrom] by line."""
        return self.architecture.rest

    @property
    def nboxes(self) -> int:
        """Boxes per line."""
        return self.architecture.nboxes

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of the outputs: P_QSO, errors, flags; None without any."""
        return self.weights.calibration

    @property
    def refiner(self) -> Refiner | None:
        """The second stage, ready to run; None without one."""
        if self.weights.refine is not None and not self._refiners:
            self._refiners.append(Refiner(self.weights.refine, self.weights.arrays))
        return self._refiners[0] if self._refiners else None

    def preprocess(self, spectra: Spectra) -> Preprocessed:
        """Input of the networks: spectra on the model's grid (`qnet.preprocess.preprocess`)."""
        check_arguments(Model.preprocess, locals())
        return preprocess(spectra.cameras, self.grid)

    def predict(
        self,
        X: npt.ArrayLike,
        batch_size: int | None = None,
        verbose: int = 0,
        *,
        threads: int | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> list[npt.NDArray[Any]]:
        """Run the network on normalised spectra.

        Parameters
        ----------
        X : array_like, shape (nspec, npix) or (nspec, npix, 1)
            Spectra on the model's grid, as `preprocess` makes them. A row that holds NaN or
            infinity gives a row of NaN, and changes no other.
        batch_size : int, optional
            Spectra held in memory at a time, as activations, by each thread.
        verbose : int
            A progress bar when not 0.
        threads : int, optional
            Threads that share the spectra; results do not depend on it. The model's when None.
        dtype : dtype
            Precision of the computation: float32 or float64.

        Returns
        -------
        list of ndarray, each of shape (nspec, 2 * nboxes)
            Per line the confidences of the boxes, then their offsets, as Keras gives them:
            emission lines first, then BAL lines.

        Raises
        ------
        InputError
            X is not of that shape, or batch_size or threads is not positive.
        """
        check_arguments(Model.predict, locals())
        spectra = self._check_input(X)
        size = CHUNK_SIZE if batch_size is None else batch_size
        check_whole("batch_size", size, least=1)
        if not isinstance(verbose, bool):
            check_whole("verbose", verbose, least=0)
        network = self._network(as_precision(dtype))
        workers = choose_threads(self.threads if threads is None else threads)
        if not verbose:
            return list(network.predict(spectra, size, workers))
        step, parts = size * workers, [network.predict(spectra[:0])]
        with Progress(True, spectra=len(spectra)) as bar:
            for start in range(0, len(spectra), step):
                parts.append(network.predict(spectra[start : start + step], size, workers))
                bar.add(len(parts[-1][0]))
        return list(np.concatenate(parts, axis=1))

    def forward(self, X: npt.ArrayLike) -> NetworkOutput:
        """Run the first stage, in single precision, and keep all of its output.

        Parameters
        ----------
        X : array_like, shape (nspec, npix) or (nspec, npix, 1)
            As in `predict`.

        Returns
        -------
        NetworkOutput

        Raises
        ------
        InputError
            X is not of that shape.
        """
        network = self._network(np.dtype(np.float32))
        spectra, workers = self._check_input(X), choose_threads(self.threads)
        preds, common, logits = network.run(spectra, threads=workers)
        arrays, distance = self.weights.arrays, np.full(len(common), np.nan)
        if "outlier_mean" in arrays:
            away = common.astype(np.float64) - arrays["outlier_mean"]
            distance = np.linalg.norm(away @ arrays["outlier_scale"].astype(np.float64), axis=1)
        posterior = None if self.architecture.redshifts is None else network.posterior(common)
        return NetworkOutput(list(preds), common, np.asarray(distance), logits, posterior)

    def __call__(self, X: npt.ArrayLike) -> list[npt.NDArray[Any]]:
        """The same as `predict`."""
        return self.predict(X)

    def decode(
        self,
        preds: Sequence[npt.ArrayLike] | npt.NDArray[Any],
        logits: npt.NDArray[Any] | None = None,
    ) -> Predictions:
        """Redshifts in the output of `predict`, or of `forward` (`qnet.postprocess.decode`)."""
        return decode(preds, self.lines, self.lines_bal, self.grid, self.rest, logits=logits)

    def save(self, path: PathLike, *, overwrite: bool = False) -> Path:
        """Write the model as a .safetensors file (`qnet.model.write_weights`)."""
        return write_weights(path, self.weights, overwrite=overwrite)

    def card(self) -> str:
        """The model card as model hubs show it, YAML and Markdown, from the weights' header."""
        return make_card(self.weights)

    def to_onnx(self, path: PathLike, *, overwrite: bool = False) -> list[Path]:
        """Write the networks as ONNX files: the first stage, and the second as ``*-refine.onnx``.

        Inputs and outputs are those of `forward` and of the refiner's ``predict``, by name
        (`preds` is ``predictions``), in single precision. Needs the package onnx (extra ``onnx``).
        The paths of the files are returned. InputError is raised where the name does not end in
        .onnx, OutputExistsError where a file is there.
        """
        from qnet.model.onnx import write_onnx

        check_arguments(Model.to_onnx, locals())
        return write_onnx(path, self.weights, overwrite=overwrite)

    def to_keras(self) -> keras.Model:
        """The first stage in Keras, to be trained further; `from_keras` is the inverse.

        Its predictions are those of `predict`, to the rounding of single precision, for spectra
        inside the limits ``architecture.clip``: the Keras network does not clip.
        """
        from qnet.model.keras_network import build

        return build(self.architecture, self.weights.arrays)

    @classmethod
    def from_keras(
        cls,
        model: keras.Model,
        *,
        name: str = "quasarnet",
        version: str = "1",
        lines: Sequence[str] | None = None,
        lines_bal: Sequence[str] | None = None,
        grid: npt.ArrayLike | WavelengthGrid | None = None,
        rest: Mapping[str, float] | None = None,
        redshifts: RedshiftBins | None = None,
        clip: tuple[float, float] | None = None,
    ) -> Model:
        """A model from a network that was made, and perhaps trained, in Keras.

        Parameters
        ----------
        model : keras.Model
            As `qnet.model.QuasarNET` makes it.
        name, version : str
            Name and version of the model.
        lines, lines_bal : sequence of str, optional
            Names of the outputs. QuasarNET's when None.
        grid : array_like of shape (npix,) or WavelengthGrid, optional
            Left edges of the input's pixels [Angstrom]. QuasarNET's of that length when None.
        rest : mapping of str to float, optional
            Rest wavelengths [Angstrom] that the targets were made with. QuasarNET's when None.
        redshifts : RedshiftBins, optional
            Classes of the outputs of a redshift head; needed where there is one.
        clip : tuple of float, optional
            Limits that the input was clipped to in training (`qnet.model.Architecture`).

        Returns
        -------
        Model

        Raises
        ------
        InputError
            The model is no QuasarNET network, or lines or grid do not fit it.
        """
        check_arguments(Model.from_keras, locals())
        from qnet.model.keras_network import take

        meaning: dict[str, Any] = {"lines": lines, "lines_bal": lines_bal, "rest": rest}
        chosen = None if grid is None else as_grid(grid)
        architecture, arrays = take(model, grid=chosen, redshifts=redshifts, **meaning)
        architecture = dataclasses.replace(architecture, clip=clip)
        return cls(WeightsFile(architecture, arrays, name=name, version=version))

    def classify(self, source: Any, *arrays: Any, **options: Any) -> Table:
        """Classify spectra with this model: `qnet.classify` with ``model=self``.

        Parameters
        ----------
        source, *arrays, **options
            As `qnet.classify` takes them: `Spectra`, files, objects in memory, or wavelengths with
            flux and ivar.

        Returns
        -------
        astropy.table.Table
            The catalogue: row i is spectrum i of the input.

        Raises
        ------
        InputError, FileError
            As in `qnet.classify`.

        Examples
        --------
        >>> import qnet
        >>> spectra = qnet.simulate(3, seed=1, mix={"quasar": 1.0}).collect().spectra
        >>> print(qnet.load_model().classify(spectra)["IS_QSO", "ZBEST"])
        IS_QSO  ZBEST
        ------ -------
          True 4.26341
          True 0.19681
          True 0.71577
        """
        # The verb is of a package above this one, and is reached by its public name.
        import qnet

        if "model" in options:
            raise InputError("model is not an option of Model.classify: it is the model itself")
        return qnet.classify(source, *arrays, model=self, **options)

    def _repr_html_(self) -> str:
        """What the model is, for notebooks."""
        trained = self.weights.calibration
        return describe(
            f"Model {self.name}",
            [
                ("grid", self.grid),
                ("emission lines", ", ".join(self.lines)),
                ("BAL lines", ", ".join(self.lines_bal)),
                ("second stage", "no" if self.weights.refine is None else "yes"),
                ("calibration", "no" if trained is None else "yes"),
                ("SHA-256", self.sha256 or "not written to a file"),
            ],
        )

    def __repr__(self) -> str:
        return f"<Model {self.name}: {', '.join(self.lines)}; BAL {', '.join(self.lines_bal)}>"

    def _network(self, dtype: np.dtype[Any]) -> Network:
        """The network in a precision, folded once."""
        if dtype not in self._networks:
            self._networks[dtype] = Network(self.architecture, self.weights.arrays, dtype)
        return self._networks[dtype]

    def _check_input(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """X as (nspec, npix), checked."""
        given = array = as_numbers("X", X, kinds="fiu")
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[:, :, 0]
        if array.ndim != 2 or array.shape[1] != self.grid.npix:
            raise InputError(
                f"X has shape {given.shape}, but model {self.name} takes (nspec, {self.grid.npix}) "
                f"or (nspec, {self.grid.npix}, 1): spectra on its grid, {self.grid}"
            )
        if self.architecture.clip is None:
            return array
        # Infinity stays what makes a row NaN.
        return np.where(np.isinf(array), array, np.clip(array, *self.architecture.clip))
