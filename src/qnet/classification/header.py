"""Answers of several inputs into one catalogue, with a header that says what made it."""

from __future__ import annotations

import dataclasses
import functools
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

import numpy as np

from qnet import __version__
from qnet.classification.criterion import Criterion
from qnet.core.arrays import Columns
from qnet.core.columns import known_column
from qnet.core.errors import QnetWarning
from qnet.core.flags import QNFlag, describe
from qnet.io.catalogue import Catalogue, concatenate
from qnet.io.tables import Card
from qnet.model.model import Model

#: Packages whose versions the header states, beside qnet, Python and NumPy.
_PACKAGES = ("scipy", "astropy", "fitsio", "h5py", "safetensors")

#: Columns that come after the others.
_LAST_COLUMNS = ("INPUT_INDEX", "INPUT_ROW")


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Columns of one input, and what its file says of itself.

    Attributes
    ----------
    ids, answers : dict of str to ndarray
        The survey's columns and INPUT_ROW; what the model says.
    cards : tuple of (str, str)
        Versions that the input carries.
    units : mapping of str to str
        Units of the survey's columns that have one.
    """

    ids: Columns
    answers: Columns
    cards: tuple[tuple[str, str], ...]
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids["INPUT_ROW"])


def assemble(
    parts: Sequence[Part], names: Sequence[Sequence[str]], model: Model, criterion: Criterion
) -> Catalogue:
    """One catalogue of the columns of all inputs.

    Parameters
    ----------
    parts : sequence of Part
        At least one.
    names : sequence of sequence of str
        Files of each part, for the header: INPUT_INDEX counts in this list.
    model : Model
    criterion : Rule

    Returns
    -------
    Catalogue
    """
    first_file = np.cumsum([0, *(len(group) for group in names)])[:-1]
    ids = concatenate(
        [
            {**part.ids, "INPUT_INDEX": np.full(len(part), first, dtype=np.int32)}
            for part, first in zip(parts, first_file, strict=True)
        ]
    )
    answers = concatenate([part.answers for part in parts])
    survey = [name for name in ids if name not in ("TARGETID", *_LAST_COLUMNS)]
    units = {name: unit for part in parts for name, unit in part.units.items()}
    return Catalogue(
        {"TARGETID": ids["TARGETID"], **answers}
        | {name: ids[name] for name in (*survey, *_LAST_COLUMNS)},
        tuple(
            _header(
                model,
                criterion,
                [name for group in names for name in group],
                [part.cards for part in parts],
            )
        ),
        {name: dataclasses.replace(known_column(name), unit=units[name]) for name in units},
    )


def _header(
    model: Model,
    criterion: Criterion,
    inputs: Sequence[str],
    cards: Sequence[tuple[tuple[str, str], ...]],
) -> Iterator[Card]:
    """Cards that say what made the catalogue and how to read it."""
    yield Card("MODEL", model.name, "name@version of the model")
    yield Card("MODELSHA", model.sha256, "SHA-256 of its weights file")
    yield Card("STAGES", ", ".join(model.weights.stages), "stages of the model")
    yield Card("STRATEGY", str(criterion), "what makes IS_QSO")
    yield from _rule_cards(model, criterion)
    for prefix, rest_prefix, lines in (
        ("LINE", "REST", model.lines),
        ("BAL", "BREST", model.lines_bal),
    ):
        for number, line in enumerate(lines):
            yield Card(f"{prefix}{number}", line, f"column {number} of the line columns")
            yield Card(f"{rest_prefix}{number}", model.rest[line], "[Angstrom] rest wavelength")
    for flag in QNFlag:
        bit = flag.value.bit_length() - 1
        yield Card(f"QNBIT{bit:02d}", str(flag.name), f"bit {bit} of QN_FLAG")
        yield Card(f"QNDOC{bit:02d}", describe(flag))
    for number, (name, release) in enumerate(_dependencies(cards)):
        yield Card(f"DEPNAM{number:02d}", name)
        yield Card(f"DEPVER{number:02d}", release)
    for number, path in enumerate(inputs):
        yield Card(f"IN{number:06d}", path)


def _rule_cards(model: Model, criterion: Criterion) -> Iterator[Card]:
    """Cards of the rule's numbers, and of what P_QSO assumes."""
    if criterion.p_threshold is not None:
        yield Card("PTHRESH", criterion.p_threshold, "threshold of P_QSO")
    yield Card("CTHRESH", criterion.c_threshold, "threshold of the line confidences")
    yield Card("MINLINES", criterion.min_lines, "lines needed above it, in QuasarNET's rule")
    calibration = model.calibration
    mix = (
        "none"
        if calibration is None
        else ", ".join(f"{name} {share:.6g}" for name, share in calibration.mix.items())
    )
    yield Card("PMIX", mix, "class mix that P_QSO was calibrated for; none: no P_QSO")
    if calibration is not None:
        prior = calibration.quasar_fraction if criterion.prior_qso is None else criterion.prior_qso
        yield Card("PRIORQSO", prior, "share of quasars that P_QSO assumes")
        yield Card("ZTRAIN0", calibration.z_range[0], "least redshift the model was trained on")
        yield Card("ZTRAIN1", calibration.z_range[1], "largest redshift the model was trained on")


#: Version of a package; the text of its metadata is parsed once in a process.
_release = functools.cache(version)


def _dependencies(
    cards: Sequence[tuple[tuple[str, str], ...]],
) -> list[tuple[str, str]]:
    """Versions of what made the catalogue, then those that the inputs carry.

    A package of the inputs that qnet uses too, in another version, is kept as ``input:name``; of
    inputs that disagree the first is kept, with a warning.
    """
    own = {
        "qnet": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    } | {name: _release(name) for name in _PACKAGES}
    carried: dict[str, str] = {}
    differing = []
    for name, release in dict.fromkeys(pair for part in cards for pair in part):
        key = f"input:{name}" if own.get(name, release) != release else name
        if carried.setdefault(key, release) != release:
            differing.append(name)
    if differing:
        warnings.warn(
            "the inputs were made with different versions of "
            f"{', '.join(dict.fromkeys(differing))}: the header keeps the first of each",
            QnetWarning,
            stacklevel=2,
        )
    return [*own.items(), *((name, value) for name, value in carried.items() if name not in own)]
