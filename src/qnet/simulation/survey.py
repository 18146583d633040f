"""Mock surveys: objects of all kinds observed by an instrument, in chunks."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from qnet import __version__
from qnet.core.arguments import check_arguments
from qnet.core.arrays import AnyArray, Columns, Float32Array, IntArray
from qnet.core.checks import check_fraction
from qnet.core.errors import InputError
from qnet.core.files import PathLike
from qnet.core.grid import QUASARNET_GRID
from qnet.core.spectra import SURVEY_FLUX_UNIT, Camera, Spectra
from qnet.preprocess.normalisation import median_seen
from qnet.preprocess.rebinning import rebin_cameras
from qnet.simulation.frame import Objects
from qnet.simulation.instrument.instrument import SURVEYS, check_survey, make_instrument
from qnet.simulation.instrument.noise import Errors, observe
from qnet.simulation.population import (
    KINDS,
    MAGNITUDES,
    QUASAR_REDSHIFTS,
    blank,
    brighten,
    check_mix,
    draw,
    merge,
    merge_columns,
)
from qnet.simulation.templates import Parametric, Source, as_source

#: Spectra that are simulated at a time, with random numbers of their own; the spectra of a seed
#: depend on it.
CHUNK = 256

#: A seed is below 2**32 and a survey of at most 2**26 spectra: TARGETID holds both.
SEED_BITS, INDEX_BITS = 32, 26

#: Number of a survey in TARGETID.
_SURVEY_CODE = {"sdss": 1, "boss": 2, "desi": 3, "pfs": 4, "weave": 5, "4most": 6, "lamost": 7}

#: Fraction of quasars, galaxies and stars that are drawn from templates, where there are any.
TEMPLATE_FRACTION = 0.6

#: Fibres of a plate, the first plate number, and the date of simulated SDSS and BOSS spectra.
FIBERS, FIRST_PLATE, MJD = 1000, 20000, 60000

#: Columns of the truth that come first.
_FIRST_COLUMNS = (
    "TARGETID", "TRUEZ", "TRUESPECTYPE", "TRUESUBTYPE", "BAL_FLAG_VI", "BI_CIV", "RMAG", "SNR",
    "SN_MEDIAN_ALL", "TEMPLATE",
)  # fmt: skip

#: Units of the columns of the truth.
UNITS: Mapping[str, str] = {"BI_CIV": "km/s", "RMAG": "mag"}


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Simulated spectra and their truth.

    Attributes
    ----------
    spectra : Spectra
        On the survey's native pixels, flux [1e-17 erg/s/cm2/Angstrom]; ivar is 0 in masked pixels.
        Ids: TARGETID, and for SDSS and BOSS PLATE, MJD, FIBERID.
    truth : dict of str to ndarray, shape (nspec,)
        TARGETID, TRUEZ, TRUESPECTYPE ('QSO', 'GALAXY', 'STAR', 'SKY'), TRUESUBTYPE, BAL_FLAG_VI (1
        where broad absorption is seen), BI_CIV [km/s], RMAG [mag], SNR, SN_MEDIAN_ALL (see
        `qnet.simulate`), TEMPLATE (whether drawn from templates), and columns of single kinds,
        which hold NaN, -1, False or '' for the others.
    signals : tuple of ndarray of float32, shape (nspec, npix) each
        The noiseless spectra on the pixels of each camera.

    Examples
    --------
    >>> from qnet import simulate
    >>> batch = simulate(3, seed=1, survey="desi").collect()
    >>> len(batch), [signal.shape for signal in batch.signals]
    (3, [(3, 2751), (3, 2326), (3, 2881)])
    >>> list(batch.truth)[:4]
    ['TARGETID', 'TRUEZ', 'TRUESPECTYPE', 'TRUESUBTYPE']
    """

    spectra: Spectra
    truth: Columns
    signals: tuple[Float32Array, ...]

    def __len__(self) -> int:
        return len(self.spectra)


@dataclasses.dataclass(frozen=True, eq=False)
class Simulation:
    """A mock survey, iterable in batches of up to 256 spectra; made by `qnet.simulate`.

    Iterating twice gives the same spectra twice. `len` is the number of spectra.

    Attributes
    ----------
    n, seed, noise_seed, survey, mix, templates, template_fraction, errors
        The arguments of `qnet.simulate`, with their defaults filled in.
    templates_sha256 : str
        SHA-256 of the template files; '' without any.

    Examples
    --------
    >>> from qnet import simulate
    >>> simulation = simulate(300, seed=1, mix={"quasar": 0.9, "sky": 0.1})
    >>> len(simulation), [len(batch) for batch in simulation]
    (300, [256, 44])
    >>> simulation.provenance()[1]
    ('SIMSEED', 1, 'seed')
    """

    n: int
    seed: int
    noise_seed: int
    survey: str
    mix: Mapping[str, float]
    templates: Source | None
    template_fraction: float
    errors: Errors
    templates_sha256: str = ""

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[Batch]:
        instrument = make_instrument(self.survey)
        for start in range(0, self.n, CHUNK):
            number = start // CHUNK
            # Random numbers of a chunk, independent of those of all others.
            drawn = np.random.SeedSequence(self.seed, spawn_key=(number, 0))
            noise = np.random.SeedSequence(self.noise_seed, spawn_key=(number, 1))
            objects, rng = self._objects(np.random.default_rng(drawn)), np.random.default_rng(noise)
            cameras, signals = observe(objects.flux, instrument, rng, self.errors)
            yield self._batch(start, objects.truth, cameras, signals)

    def collect(self) -> Batch:
        """All spectra as one batch: about 50 kB each for BOSS, 100 kB for DESI."""
        batches = list(self)
        first = batches[0].spectra
        parts = zip(*(batch.spectra.cameras for batch in batches), strict=True)
        cameras = tuple(
            dataclasses.replace(
                part[0],
                flux=np.concatenate([camera.flux for camera in part]),
                ivar=np.concatenate([camera.ivar for camera in part]),
            )
            for part in parts
        )
        ids = join([batch.spectra.ids for batch in batches])
        layout, unit = first.layout, first.flux_unit
        spectra = Spectra(cameras, ids, survey=first.survey, layout=layout, flux_unit=unit)
        signals = zip(*(batch.signals for batch in batches), strict=True)
        truth = join([batch.truth for batch in batches])
        return Batch(spectra, truth, tuple(np.concatenate(part) for part in signals))

    def provenance(self) -> list[tuple[str, str | int | float, str]]:
        """Header cards of version, seeds, survey and mix: key, value, comment."""
        cards: list[tuple[str, str | int | float, str]] = [
            ("QNVER", __version__, "version of qnet that simulated"),
            ("SIMSEED", self.seed, "seed"),
            ("SIMNOISE", self.noise_seed, "seed of the instrument"),
            ("SIMSURV", self.survey, "survey"),
            ("SIMN", self.n, "number of spectra"),
        ]
        for kind, fraction in self.mix.items():
            cards.append((f"SIM{kind[:5].upper()}", fraction, f"fraction of kind {kind}"))
        if self.templates is not None:
            cards.append(("SIMTFRAC", self.template_fraction, "fraction drawn from templates"))
            cards.append(("SIMTSHA", self.templates_sha256, ""))
        return cards

    def _objects(self, rng: Generator) -> Objects:
        """The noiseless objects of one chunk, kinds in random order."""
        kinds = rng.choice(list(KINDS), size=CHUNK, p=[self.mix[kind] for kind in KINDS])
        templated = rng.random(CHUNK) < (self.template_fraction if self.templates else 0.0)
        templated &= kinds != "sky"
        parts = []
        for kind in KINDS:
            for source, chosen in ((Parametric(), ~templated), (self.templates, templated)):
                rows = np.flatnonzero((kinds == kind) & chosen)
                if rows.size and source is not None:
                    parts.append((rows, self._kind(rng, kind, source, rows.size)))
        whole = merge(parts, CHUNK)
        return Objects(whole.flux, {**whole.truth, "TEMPLATE": templated})

    def _kind(self, rng: Generator, kind: str, source: Source, size: int) -> Objects:
        """Objects of one kind."""
        if kind == "sky":
            return blank(size)
        rmag = draw(rng, MAGNITUDES[self.survey][kind], size)
        if kind == "quasar":
            z = draw(rng, QUASAR_REDSHIFTS[self.survey], size)
            return source.quasars(rng, z, brighten(rng, z, rmag))
        return source.galaxies(rng, rmag) if kind == "galaxy" else source.stars(rng, rmag)

    def _batch(
        self, start: int, truth: Columns, cameras: list[Camera], signals: list[Float32Array]
    ) -> Batch:
        """The chunk as a batch, cut where the survey ends."""
        rows = slice(0, min(CHUNK, self.n - start))
        index = start + np.arange(rows.stop)
        ids = _ids(self.survey, self.seed, index)
        cameras = [camera.select(np.arange(rows.stop)) for camera in cameras]
        signals = [signal[rows] for signal in signals]
        snr = median_snr(cameras, signals)
        columns = {name: column[rows] for name, column in truth.items()}
        survey = SURVEYS[self.survey]
        layout, unit = "simulated spectra", SURVEY_FLUX_UNIT
        spectra = Spectra(tuple(cameras), ids, survey=survey, layout=layout, flux_unit=unit)
        pixel = pixel_snr(cameras, signals)
        whole = {"TARGETID": ids["TARGETID"], **columns, "SNR": snr, "SN_MEDIAN_ALL": pixel}
        first = [name for name in _FIRST_COLUMNS if name in whole]
        order = first + [name for name in whole if name not in first]
        return Batch(spectra, {name: whole[name] for name in order}, tuple(signals))


def simulate(
    n: int,
    *,
    seed: int,
    survey: str = "boss",
    mix: Mapping[str, float] | None = None,
    templates: PathLike | Source | None = None,
    template_fraction: float = TEMPLATE_FRACTION,
    noise_seed: int | None = None,
    errors: Errors | None = None,
) -> Simulation:
    """Simulated spectra of quasar targets and sky fibres, with their truth.

    Quasars, galaxies and stars are made from parametric models, or drawn from templates, and
    observed by a model of the survey's instrument.

    Parameters
    ----------
    n : int
        Number of spectra, 1 to 2**26.
    seed : int
        0 to 2**32 - 1. The same seed gives the same spectra, and those of a smaller n are the first
        of a larger one.
    survey : {'boss', 'sdss', 'desi', 'pfs', 'weave', '4most', 'lamost'}
        The instrument, and the magnitudes of its targets.
    mix : mapping of str to float, optional
        Fractions of 'quasar', 'galaxy', 'star' and 'sky', which add up to 1; those left out are 0.
        0.54, 0.16, 0.17 and 0.13 when None.
    templates : path or Templates, optional
        Templates of redrock and redmonster, or their folder. Without them all objects are
        parametric.
    template_fraction : float
        With templates, the fraction of quasars, galaxies and stars that are drawn from them.
    noise_seed : int, optional
        Seed of the instrument alone: the same objects (and TARGETIDs) with other noise. `seed` when
        None.
    errors : Errors, optional
        Sizes of the errors that are not photon noise; the defaults of `Errors` when None.

    Returns
    -------
    Simulation
        Iterable of `Batch`; nothing is computed before it is iterated over. Its `collect` gives all
        spectra as one `Batch`.

    Raises
    ------
    InputError
        An argument is out of range or of the wrong kind.
    MissingFileError, FileError
        The templates are missing or damaged.

    Notes
    -----
    The truth's SNR is the median, over the pixels of QuasarNET's log grid that have weight, of the
    noiseless flux over the reported noise: sum(signal ivar) / sqrt(sum(ivar)) over the native
    pixels of each grid pixel. SN_MEDIAN_ALL is the same per native pixel, as the column of that
    name of SDSS's catalogues (data model of specObj): signal sqrt(ivar), the pixels of all cameras
    together; three to four times smaller. Both are 0 for sky fibres, NaN without any weight.

    Examples
    --------
    >>> import qnet
    >>> batch = qnet.simulate(10, seed=1).collect()
    >>> batch.spectra.cameras[0].flux.shape
    (10, 4646)
    >>> batch.truth["TRUESPECTYPE"].tolist()[:4]
    ['SKY', 'SKY', 'QSO', 'QSO']
    """
    check_arguments(simulate, locals())
    count = _integer(n, "n", 1, 1 << INDEX_BITS)
    checked_seed = _integer(seed, "seed", 0, (1 << SEED_BITS) - 1)
    noise = checked_seed if noise_seed is None else noise_seed
    check_survey(survey)
    check_fraction("template_fraction", template_fraction)
    source = as_source(templates)
    if source is None and template_fraction != TEMPLATE_FRACTION:
        raise InputError(f"template_fraction {template_fraction!r} needs templates")
    return Simulation(
        n=count,
        seed=checked_seed,
        noise_seed=_integer(noise, "noise_seed", 0, (1 << SEED_BITS) - 1),
        survey=survey,
        mix=check_mix(mix),
        templates=source,
        template_fraction=float(template_fraction),
        errors=Errors() if errors is None else errors,
        templates_sha256=str(getattr(source, "sha256", "")),
    )


def median_snr(cameras: Sequence[Camera], signals: Sequence[Float32Array]) -> Float32Array:
    """Median S/N of the signal per pixel of QuasarNET's grid; NaN without any weight."""
    noiseless = [
        dataclasses.replace(camera, flux=signal)
        for camera, signal in zip(cameras, signals, strict=True)
    ]
    flux, ivar = rebin_cameras(noiseless, QUASARNET_GRID)
    return median_seen(flux * np.sqrt(ivar), ivar > 0).astype(np.float32)


def pixel_snr(cameras: Sequence[Camera], signals: Sequence[Float32Array]) -> Float32Array:
    """Median S/N of the signal per native pixel that has weight; NaN without any."""
    ivar = np.concatenate([camera.ivar for camera in cameras], axis=1)
    values = (np.concatenate(list(signals), axis=1) * np.sqrt(ivar)).astype(np.float32)
    return median_seen(values, ivar > 0).astype(np.float32)


def join(parts: Sequence[Mapping[str, AnyArray]]) -> Columns:
    """Columns of several batches, one after the other."""
    lengths = [len(part["TARGETID"]) for part in parts]
    starts = np.cumsum([0, *lengths])
    objects = [
        (np.arange(start, start + length), part)
        for start, length, part in zip(starts, lengths, parts, strict=False)
    ]
    return merge_columns(objects, int(starts[-1]))


def _ids(survey: str, seed: int, index: IntArray) -> Columns:
    """Ids of spectra by their number in the survey: positive, and different for all seeds."""
    base = _SURVEY_CODE[survey] << (SEED_BITS + INDEX_BITS) | seed << INDEX_BITS
    targetid = base + index.astype(np.int64)
    if SURVEYS[survey] != "SDSS":
        return {"TARGETID": targetid}
    return {
        "TARGETID": targetid,
        "PLATE": (FIRST_PLATE + index // FIBERS).astype(np.int32),
        "MJD": np.full(len(index), MJD, np.int32),
        "FIBERID": (1 + index % FIBERS).astype(np.int32),
    }


def _integer(value: Any, name: str, low: int, high: int) -> int:
    """An argument as an integer in a range."""
    try:
        number = operator.index(value)
    except TypeError as error:
        raise InputError(f"{name} must be an integer, not {value!r}") from error
    if isinstance(value, bool) or not low <= number <= high:
        raise InputError(f"{name} must be an integer from {low} to {high}, not {value!r}")
    return number
