"""A weights file in words: rows of names and values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qnet.model.architecture import RefineArchitecture
from qnet.model.calibration import Calibration
from qnet.model.layers import ConvLayer

if TYPE_CHECKING:
    from qnet.model.weights import WeightsFile

#: Lists and mappings whose text is longer than this are summarised.
_LONGEST = 200


def describe(weights: WeightsFile) -> dict[str, str]:
    """All that a weights file holds, in words."""
    rows = dict(describe_networks(weights))
    if weights.calibration is not None:
        rows |= describe_calibration(weights.calibration)
    return rows | dict(describe_training(weights.provenance))


def describe_networks(weights: WeightsFile) -> Iterator[tuple[str, str]]:
    """Rows that describe a weights file and its networks."""
    yield from _describe_lines(weights)
    if weights.refine is not None:
        yield from ((f"refine: {name}", text) for name, text in _describe_refine(weights.refine))


def _describe_lines(weights: WeightsFile) -> Iterator[tuple[str, str]]:
    """Rows that describe a weights file and its first stage."""
    first, bins = weights.architecture, weights.architecture.redshifts
    shift, scale = first.offset_shift, first.offset_scale
    rescale = "" if (shift, scale) == (0, 1) else f", {shift:g} + {scale:g} x"
    yield "model", f"{weights.name}@{weights.version}"
    yield "sha256", weights.sha256
    yield "licence", weights.licence or "not stated"
    yield "stages", ", ".join(weights.stages)
    yield "grid", str(first.grid)
    for name, lines in (("lines", first.lines), ("BAL lines", first.lines_bal)):
        yield name, ", ".join(f"{line} {first.rest[line]:g}" for line in lines) or "none"
    yield "boxes", str(first.nboxes)
    yield "convolutions", _convolutions(first.convs)
    yield "dense", str(first.units)
    yield "offsets", first.offset_activation + rescale
    if bins is not None:
        others = ", ".join(bins.others)
        yield "redshift head", f"{bins.nbins} bins, z {bins.z_min:g} to {bins.z_max:g}; {others}"
    yield "parameters", str(first.nparameters)


def _describe_refine(refine: RefineArchitecture) -> Iterator[tuple[str, str]]:
    """Rows that describe the second stage."""
    window = refine.window
    spans, pixels = f"{window.rest_min:g}-{window.rest_max:g}", f"{window.npooled} pixels"
    yield "grid", str(window.grid)
    yield "window", f"{spans} Angstrom at rest, {pixels} of {window.pool} each"
    yield "convolutions", _convolutions(refine.convs)
    yield "dense", str(refine.units)
    yield "passes", f"{refine.passes}, at most {refine.max_dv:g} km/s from the redshift given"
    yield "scores candidates", "yes" if refine.scores else "no"
    yield "broad absorption", "yes" if refine.bal else "no"
    yield "parameters", str(refine.nparameters)


def describe_calibration(calibration: Calibration) -> Iterator[tuple[str, str]]:
    """Rows that describe the calibration."""
    low, high = calibration.z_range
    mix = ", ".join(f"{name} {fraction:g}" for name, fraction in calibration.mix.items())
    yield "P_QSO", f"of {', '.join(calibration.p_qso.names)}"
    yield "class mix", mix
    yield "IS_QSO", f"P_QSO > {calibration.p_threshold:g}"
    if calibration.p_bal is not None:
        yield "P_BAL", f"of {', '.join(calibration.p_bal.names)}"
        yield "IS_BAL", f"P_BAL > {calibration.p_bal_threshold:g}"
    yield "refined", f"rows of P_QSO > {calibration.refine_floor:g}"
    if calibration.p_candidate is not None:
        least, exponent = calibration.candidate_floor, calibration.fraction_exponent
        number = f"at most {calibration.candidates}, of fraction >= {least:g}"
        yield "candidates", f"{number}, by score + {exponent:g} log(fraction)"
        yield "P_QSO then", f"of {', '.join(calibration.p_candidate.names)}"
    if calibration.p_z is not None:
        yield "P_Z", f"of {', '.join(calibration.p_z.names)}"
    if calibration.evidence is not None:
        evidence = calibration.evidence
        odds, confidence = f"|ln odds| < {evidence.log_odds:g}", f"{evidence.confidence:g}"
        lines = f"at most {evidence.lines} line(s) with data, none of confidence {confidence}"
        yield "NO_EVIDENCE", f"{odds}, {lines} or more"
    yield "trained redshifts", f"{low:g} to {high:g}"
    if (density := calibration.density) is not None:
        bins = f"{len(density.z) - 1} x {len(density.r) - 1} bins"
        yield "quasar density", f"{bins} of redshift and r, r {density.r[0]:g} to {density.r[-1]:g}"
    yield "AMBIGUOUS", f"P2 > {calibration.ambiguous:g}"
    if calibration.outlier_threshold is not None:
        yield "OUTLIER", f"distance > {calibration.outlier_threshold:g}"
    for name, ranges in (("JOINT", calibration.joints), ("SKYLINE", calibration.skylines)):
        if ranges:
            yield name, ", ".join(f"{low:g}-{high:g}" for low, high in ranges) + " Angstrom"


def describe_training(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rows that describe the training; of long values their number."""
    for key, value in provenance.items():
        text = str(value)
        if isinstance(value, (list, dict)) and len(text) > _LONGEST:
            kind = "entries" if isinstance(value, list) else "keys"
            text = f"{len(value)} {kind} (all with --json)"
        if value:
            yield key, text


def _convolutions(convs: Sequence[ConvLayer]) -> str:
    """Convolutions in words."""
    layers = (f"{conv.filters}x{conv.width}/{conv.stride} {conv.padding}" for conv in convs)
    return f"{', '.join(layers)} (filters x width / stride)"
