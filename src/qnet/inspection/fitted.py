"""The best fits of redrock, from its coefficients and templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qnet.core.arrays import FloatArray
from qnet.core.errors import InputError
from qnet.core.files import PathLike, is_path
from qnet.lines import absorber_IGM
from qnet.redrock.redshifts import Redshifts, read_redshifts
from qnet.simulation.template_files import TemplateSet, read_templates


class Fits:
    """Best fits of redrock, by TARGETID."""

    def __init__(self, redshifts: Redshifts, sets: list[TemplateSet]) -> None:
        self.redshifts, self.sets = redshifts, sets

    def flux(self, targetid: int, wave: FloatArray) -> FloatArray | None:
        """The fit of a target at some wavelengths; NaN beyond the templates, None without a fit.

        Of quasars, only beyond Lyman alpha: below, redrock adds a model of the forest.
        """
        row = int(self.redshifts.match(np.array([targetid]))[0])
        if row < 0:
            return None
        value = {name: column[row] for name, column in self.redshifts.columns.items()}
        found = self._templates(str(value["SPECTYPE"]).strip().upper(), value.get("SUBTYPE", ""))
        coeff, z = np.asarray(value["COEFF"], dtype=np.float64), float(value["Z"])
        if found is None or len(coeff) < len(found.vectors) or not coeff.any() or not z > -1:
            return None
        rest = wave / (1 + z)
        model = coeff[: len(found.vectors)] @ found.vectors.astype(np.float64)
        flux = np.interp(rest, found.wave, model, left=np.nan, right=np.nan)
        if found.kind == "QSO":
            flux[rest < absorber_IGM["LYA"]] = np.nan
        return flux

    def _templates(self, kind: str, subtype: Any) -> TemplateSet | None:
        """The templates of a spectral type; None where it is not known which."""
        of_kind = [each for each in self.sets if each.kind == kind and each.path.name[:2] == "rr"]
        name = str(subtype).strip()
        some = [each for each in of_kind if each.names[0] == name or not name]
        return some[0] if len(some) == 1 else None


def read_fits(other: Any, templates: PathLike | None) -> Fits | None:
    """The fits in a file of redrock, with its templates; None where none are asked for."""
    if templates is None:
        return None
    if not is_path(other):
        raise InputError("templates are for the best fits of redrock: give its file as other")
    redshifts = read_redshifts(other)
    if "COEFF" not in redshifts.columns or redshifts.columns["COEFF"].ndim != 2:
        raise InputError(f"{Path(other)}: lacks the column COEFF, which templates are for")
    return Fits(redshifts, read_templates(templates))
