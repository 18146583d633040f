"""Batches of qnet's own."""

from __future__ import annotations

from qnet.core.spectra import Spectra
from qnet.io.objects.kind import ObjectKind

SPECTRA = ObjectKind(
    name="Spectra of qnet",
    module="qnet",
    given="cameras and ids, as those of files",
    targetid="its ids",
    detect=lambda value: isinstance(value, Spectra),
    read=lambda value, air, edges: value,
)
