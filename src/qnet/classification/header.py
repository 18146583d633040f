"""Columns of several inputs as one catalogue, and its header."""

from __future__ import annotations

import dataclasses
import functools
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

import numpy as np

from qnet import __version__
from qnet.classification.criterion import Criterion
from qnet.classification.population import TRAINING, in_words
from qnet.core.arrays import Columns
from qnet.core.columns import MODEL_COLUMNS, known_column
from qnet.core.errors import warn
from qnet.core.flags import QNFlag
from qnet.core.pz import RedshiftDistributions
from qnet.io.catalogue import Catalogue, concatenate
from qnet.io.tables import Card
from qnet.model.calibration import QUASAR_CLASS
from qnet.model.model import Model

#: Packages whose versions are in the header, beside qnet, Python and NumPy.
_PACKAGES = ("scipy", "astropy", "fitsio", "h5py", "safetensors")

#: Columns that come before those of the survey, and after.
_FIRST = ("TARGETID", *(column.name for column in MODEL_COLUMNS))
LAST = ("INPUT_INDEX", "INPUT_ROW")


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Columns of one input, with what its file holds about them."""

    columns: Columns
    cards: tuple[tuple[str, str], ...] = ()  # versions that the input carries
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)  # of the survey's columns
    layout: str = ""
    pz: RedshiftDistributions | None = None

    def __len__(self) -> int:
        return len(self.columns["INPUT_ROW"])


def assemble(
    parts: Sequence[Part], names: Sequence[Sequence[str]], model: Model, criterion: Criterion
) -> Catalogue:
    """One catalogue of all inputs; `names` are the files of each, which INPUT_INDEX counts."""
    first_file = np.cumsum([0, *(len(group) for group in names)])[:-1]
    columns = concatenate(
        [
            part.columns | {"INPUT_INDEX": np.full(len(part), first, dtype=np.int32)}
            for part, first in zip(parts, first_file, strict=True)
        ]
    )
    survey = [name for name in columns if name not in (*_FIRST, *LAST)]
    units = {name: unit for part in parts for name, unit in part.units.items() if name in survey}
    inputs = [name for group in names for name in group]
    return Catalogue(
        {name: columns[name] for name in (*_FIRST, *survey, *LAST)},
        tuple(_header(model, criterion, inputs, [part.cards for part in parts])),
        {name: dataclasses.replace(known_column(name), unit=units[name]) for name in units},
        RedshiftDistributions.concatenate([part.pz for part in parts if part.pz is not None]),
    )


def _header(
    model: Model,
    criterion: Criterion,
    inputs: Sequence[str],
    cards: Sequence[tuple[tuple[str, str], ...]],
) -> Iterator[Card]:
    """Cards of what made the catalogue and of how to read it."""
    yield Card("MODEL", model.name, "name@version of the model")
    yield Card("MODELSHA", model.sha256, "SHA-256 of its weights file")
    yield Card("STAGES", ", ".join(model.weights.stages), "stages of the model")
    yield Card("STRATEGY", str(criterion), "criterion of IS_QSO")
    if criterion.p_threshold is not None:
        yield Card("PTHRESH", criterion.p_threshold, "threshold of P_QSO")
    yield Card("CTHRESH", criterion.c_threshold, "threshold of the line confidences")
    yield Card("MINLINES", criterion.min_lines, "lines needed above it, by QuasarNET's criterion")
    calibration = model.calibration
    mix = {} if calibration is None else calibration.mix
    classes = in_words(mix) or "none"
    yield Card("PMIX", classes, "class mix that P_QSO was calibrated for; none: no P_QSO")
    if calibration is not None:
        assumed, prior = calibration.quasar_fraction, criterion.prior
        if criterion.prior_qso is not None:
            assumed = criterion.prior_qso
        elif prior is not None:
            assumed = prior.fractions[QUASAR_CLASS]
        yield Card("PRIORQSO", assumed, "fraction of quasars that P_QSO assumes")
        name = TRAINING if prior is None else prior.population.name or "population"
        yield Card("PRIOR", name, "population that P_QSO and redshifts assume")
        if prior is not None:
            yield Card("PRIORMIX", in_words(prior.fractions), "its fractions of the classes")
        yield Card("ZTRAIN0", calibration.z_range[0], "least redshift the model was trained on")
        yield Card("ZTRAIN1", calibration.z_range[1], "largest redshift the model was trained on")
    for prefix, rest, lines in (("LINE", "REST", model.lines), ("BAL", "BREST", model.lines_bal)):
        for number, line in enumerate(lines):
            yield Card(f"{prefix}{number}", line, f"column {number} of the line columns")
            yield Card(f"{rest}{number}", model.rest[line], "[Angstrom] rest wavelength")
    for flag in QNFlag:
        yield Card(f"QNBIT{flag.bit:02d}", str(flag.name), f"bit {flag.bit} of QN_FLAG")
        yield Card(f"QNDOC{flag.bit:02d}", flag.meaning)
    for number, (name, release) in enumerate(_dependencies(cards)):
        yield Card(f"DEPNAM{number:02d}", name)
        yield Card(f"DEPVER{number:02d}", release)
    for number, path in enumerate(inputs):
        yield Card(f"IN{number:06d}", path)


#: Version of a package; the text of its metadata is parsed once in a process.
_release = functools.cache(version)


def _dependencies(cards: Sequence[tuple[tuple[str, str], ...]]) -> list[tuple[str, str]]:
    """Versions of what made the catalogue, then those that the inputs carry, each package once."""
    # A package that qnet uses too, in another version, is kept as ``input:name``.
    own = {"qnet": __version__, "python": platform.python_version(), "numpy": np.__version__}
    own |= {name: _release(name) for name in _PACKAGES}
    carried: dict[str, str] = {}
    differing = []
    for name, release in dict.fromkeys(pair for part in cards for pair in part):
        key = f"input:{name}" if own.get(name, release) != release else name
        if carried.setdefault(key, release) != release:
            differing.append(name)
    if differing:
        warn(
            "the inputs were made with different versions of "
            f"{', '.join(dict.fromkeys(differing))}: the header keeps the first of each"
        )
    return [*own.items(), *((name, value) for name, value in carried.items() if name not in own)]
