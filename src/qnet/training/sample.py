"""Sample for a calibration: spectra of known class and redshift, and the output of both stages."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qnet.classification.redshifts import find_coverage, first_stage_candidates
from qnet.classification.refinement import Candidates, refine_candidates
from qnet.core.arrays import AnyArray, BoolArray, FloatArray, IntArray, noise_of
from qnet.core.errors import InputError
from qnet.core.files import PathLike, as_paths
from qnet.core.flags import DISAGREE_VELOCITY, NEVER_QSO, UNCLASSIFIABLE
from qnet.core.grid import WavelengthGrid
from qnet.core.progress import Progress
from qnet.core.spectra import Camera, Spectra
from qnet.core.threads import choose_threads, one_blas_thread
from qnet.io.reader import group_frames, read_blocks
from qnet.io.training_data import keep_rows, not_inspected, truth_classes
from qnet.io.truth import TruthRecord, other_survey
from qnet.lines import velocity_between
from qnet.model.model import Model
from qnet.objective import CLASSES, QSO_CLASSES
from qnet.postprocess.candidates import quasar_probability
from qnet.postprocess.decoding import Predictions
from qnet.postprocess.features import ChosenCandidates, compute_features
from qnet.preprocess.normalisation import Preprocessed, preprocess
from qnet.training.coverage import draw_coverage
from qnet.training.data import describe

logger = logging.getLogger(__name__)

#: Classes of the sample, which are those of the mix that P_QSO assumes.
QSO, SKY = "QSO", "SKY"

#: Changes spectra; `Sample.of` is given several.
Change = Callable[[np.random.Generator, Spectra, WavelengthGrid], Spectra]


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Spectra of known class and redshift, and what both stages say; the first axis is nspec."""

    model: Model
    change: IntArray  # number of the change that was made of the spectrum
    number: IntArray  # of the spectrum, the same for all its changes
    targetid: IntArray
    kind: AnyArray  # 'QSO', 'GALAXY', 'STAR', 'SKY'
    z: FloatArray
    bal: FloatArray  # 1 BAL, -1 none, 0 not known
    common: AnyArray  # (nspec, units)
    data: Preprocessed  # without X
    found: Predictions
    guess: FloatArray  # (nspec, count)
    quasar_fraction: FloatArray | None  # in the posterior
    refined: Candidates | None

    def __len__(self) -> int:
        return len(self.z)

    @property
    def quasar(self) -> BoolArray:
        """Which are quasars."""
        return np.asarray(self.kind == QSO)

    def is_right(self, z: FloatArray, within: float = DISAGREE_VELOCITY) -> BoolArray:
        """Which redshifts, of any shape that ends in (nspec,), are those of quasars."""
        return np.asarray(self.quasar & (np.abs(velocity_between(z, self.z)) < within))

    def choose(self, exponent: float) -> ChosenCandidates | None:
        """The best candidates of the second stage."""
        return None if self.refined is None else self.refined.choose(exponent)

    def zbest(self, chosen: ChosenCandidates | None) -> FloatArray:
        """ZBEST after the second stage, or of the first."""
        return self.guess[:, 0] if chosen is None else chosen.z

    def features(self, names: Sequence[str], chosen: ChosenCandidates | None = None) -> FloatArray:
        """Features of all spectra, of the first stage or, with `chosen`, after the second."""
        return compute_features(
            names,
            self.found,
            self.data.snr,
            coverage=find_coverage(self.model, self.data, self.found, self.zbest(chosen)),
            quasar=self.quasar_fraction,
            chosen=chosen,
            score_bal=None if chosen is None else chosen.bal,
        )


def run_stages(
    model: Model,
    data: PathLike | Sequence[PathLike],
    truth: Mapping[int, TruthRecord],
    changes: Sequence[Change],
    *,
    count: int,
    floor: float,
    sky: Collection[int] = (),
    targetids: Collection[int] | None = None,
    quasars: int | None = None,
    seed: int = 0,
    progress: bool | None = False,
) -> Sample:
    """The sample of some changes of all spectra; or of the first `quasars` quasars."""
    rng, removed = np.random.default_rng([seed, 2]), Counter[str]()
    parts: list[dict[str, AnyArray]] = []
    done = 0
    blocks = _blocks(data, truth, removed, targetids, sky, quasars is not None)
    for spectra, columns in _with_progress(blocks, progress):
        numbers = {"number": done + np.arange(len(spectra))}
        for number, change in enumerate(changes):
            changed = change(rng, spectra, model.grid)
            made = numbers | {"change": np.full(len(spectra), number)}
            parts.append(columns | made | _run(changed, model, count, floor))
        done += len(spectra)
        if quasars is not None and done >= quasars:
            break
    if not parts:
        raise InputError(
            f"no spectrum of {', '.join(map(str, as_paths(data, 'data')))} can be used: "
            f"{describe(removed) or 'none was read'}"
        )
    logger.info("%d spectra; %s", done, describe(removed) or "none left out")
    return _join(parts, model)


def _with_progress(blocks: Iterator[Any], progress: bool | None) -> Iterator[Any]:
    """The blocks, counted by a progress bar."""
    with Progress(progress) as bar:
        for spectra, columns in blocks:
            yield spectra, columns
            bar.add(len(spectra))


def _blocks(
    data: PathLike | Sequence[PathLike],
    truth: Mapping[int, TruthRecord],
    removed: Counter[str],
    targetids: Collection[int] | None,
    sky: Collection[int],
    quasars: bool,
) -> Iterator[tuple[Spectra, dict[str, AnyArray]]]:
    """Blocks of spectra with a sure truth, and that."""
    wanted = None if targetids is None else np.array(sorted(targetids), dtype=np.int64)
    strangers: list[int] = []
    for group in group_frames(as_paths(data, "data")):
        for block in read_blocks(group):
            ids = block.ids["TARGETID"]
            if wanted is not None:
                block = block.select(np.isin(ids, wanted))
                ids = block.ids["TARGETID"]
            records = [truth.get(number) for number in ids.tolist()]
            unknown = np.array([r is None or not_inspected(r) for r in records], dtype=bool)
            given = [record or TruthRecord(np.nan, 0, 0, 0, np.nan) for record in records]
            Y, z, bal = truth_classes(given)
            number = Y.argmax(axis=1)
            reasons = {
                "not in the truth": unknown,
                "not sure": number == CLASSES.index("BAD"),
                "of a bad fibre or no target": (block.flag & NEVER_QSO) != 0,
            }
            kept = keep_rows(len(block), reasons.items(), removed)
            strangers += ids[unknown].tolist() if not kept.any() else []
            kind = np.where(np.isin(number, QSO_CLASSES), QSO, np.array(CLASSES)[number])
            kind = np.where(np.isin(ids, list(sky)), SKY, kind)
            if quasars:
                kept &= kind == QSO
            columns = {"targetid": ids, "kind": kind, "z": z, "bal": bal}
            if kept.any():
                strangers = []
                yield block.select(kept), {name: v[kept] for name, v in columns.items()}
    if strangers and not quasars:
        raise other_survey(len(strangers), strangers, truth)


def _run(spectra: Spectra, model: Model, count: int, floor: float) -> dict[str, AnyArray]:
    """Output of both stages, all candidates scored."""
    data = preprocess(spectra.cameras, model.grid, require_overlap=False)
    with one_blas_thread():
        output = model.forward(data.X)
        found = model.decode(output.preds, output.logits)
        bins = model.architecture.redshifts
        z, probability, _ = first_stage_candidates(model, found, output, count=count)
        parts = {f"data.{key}": value for key, value in vars(data).items() if key != "X"}
        parts |= {f"found.{key}": getattr(found, key) for key in _FOUND}
        if output.posterior is not None and bins is not None:
            parts["quasar"] = quasar_probability(output.posterior, bins)
        parts |= {"common": output.common, "guess": z}
        if model.refiner is not None:
            threads = choose_threads(model.threads)
            refined = refine_candidates(
                spectra, model.refiner, z, probability, floor, threads=threads
            )
            parts |= {f"refined.{key}": value for key, value in vars(refined).items()}
    return parts


#: Arrays of `Sample` as they are.
_PLAIN = ("change", "number", "targetid", "kind", "z", "bal", "common", "guess")

#: Arrays of `Predictions`, whose rows are their last axis but for `zbest`.
_FOUND = ("c_line", "z_line", "zbest", "c_line_bal", "z_line_bal", "logit_line")
_LAST = frozenset(f"found.{key}" for key in _FOUND)


def _join(parts: Sequence[Mapping[str, AnyArray]], model: Model) -> Sample:
    """The sample of its blocks, without the spectra that cannot be classified."""
    whole = {
        key: np.concatenate([part[key] for part in parts], axis=-1 if key in _LAST else 0)
        for key in parts[0]
    }
    known = np.flatnonzero((whole["data.flag"] & UNCLASSIFIABLE) == 0)
    whole = {key: v[..., known] if key in _LAST else v[known] for key, v in whole.items()}

    def group(prefix: str) -> dict[str, Any]:
        return {k.removeprefix(prefix): v for k, v in whole.items() if k.startswith(prefix)}

    none = np.empty((len(known), 0), np.float32)
    return Sample(
        model=model,
        data=Preprocessed(X=none, **group("data.")),
        found=Predictions(model.lines, model.lines_bal, **group("found.")),
        quasar_fraction=whole.get("quasar"),
        refined=Candidates(**group("refined.")) if "refined.z" in whole else None,
        **{name: whole[name] for name in _PLAIN},
    )


def whole(rng: np.random.Generator, spectra: Spectra, grid: WavelengthGrid) -> Spectra:
    """The spectra as they are."""
    return spectra


def cut(rng: np.random.Generator, spectra: Spectra, grid: WavelengthGrid) -> Spectra:
    """The spectra with parts missing, drawn as for training."""
    kept = draw_coverage(rng, grid.wave, len(spectra))

    def mask(camera: Camera) -> Camera:
        pixel = np.clip(np.searchsorted(grid.wave, camera.wave, "right") - 1, 0, grid.npix - 1)
        flat = pixel.ndim == 1
        inside = kept[:, pixel] if flat else np.take_along_axis(kept, pixel, axis=1)
        return dataclasses.replace(camera, ivar=np.where(inside, camera.ivar, 0))

    return dataclasses.replace(spectra, cameras=tuple(map(mask, spectra.cameras)))


def split_noise(seed: int) -> tuple[Change, Change]:
    """Two changes that make two observations of each spectrum, with independent noise.

    The same Gaussian noise of each pixel's own error is added to the spectrum and subtracted from
    it: both have twice the variance, and their covariance is zero, so that they are independent
    (data thinning: Neufeld et al. 2024, JMLR 25, 57, section 2).
    """

    def make(sign: int) -> Change:
        own = np.random.default_rng([seed, 3])

        def change(rng: np.random.Generator, spectra: Spectra, grid: WavelengthGrid) -> Spectra:
            cameras = tuple(_with_noise(camera, own, sign) for camera in spectra.cameras)
            return dataclasses.replace(spectra, cameras=cameras)

        return change

    return make(1), make(-1)


def _with_noise(camera: Camera, rng: np.random.Generator, sign: int) -> Camera:
    """A camera with noise of its own error added or subtracted."""
    noise = rng.standard_normal(camera.flux.shape, dtype=np.float32)
    flux = camera.flux + sign * noise * noise_of(camera.ivar)
    return dataclasses.replace(camera, flux=flux, ivar=camera.ivar / 2)
