"""What is given of files of spectra that do not say it themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from qnet.core.arguments import check_fields
from qnet.core.errors import InputError, shown
from qnet.io.roles import OPTIONS

#: Format of any table of spectra, and beginning of those of specutils.
TABLE, SPECUTILS = "table", "specutils:"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How files are read whose layout is not known: the arguments of `qnet.read_spectra`."""

    format: str | None = None
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    wave_unit: str | None = None
    flux_unit: str | None = None
    air: bool | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name, column in self.columns.items():
            if name not in OPTIONS or not isinstance(column, str) or not column:
                raise InputError(
                    f"columns must map names of {', '.join(OPTIONS)} to columns, not "
                    f"{shown(name)} to {shown(column)}"
                )
        known = self.format is None or self.format == TABLE
        if not known and not str(self.format).startswith(SPECUTILS):
            raise InputError(
                f"format must be {TABLE!r} or {SPECUTILS}NAME, not {shown(self.format)}: layouts "
                "that are known (qnet formats) are found by what is in a file"
            )
        if not known and self.is_table:
            raise InputError(f"columns, wave_unit and flux_unit are for {TABLE!r}")

    @property
    def loader(self) -> str:
        """Name of the loader of specutils by which files are to be read; '' for none."""
        name = self.format or ""
        return name.removeprefix(SPECUTILS) if name.startswith(SPECUTILS) else ""

    @property
    def is_table(self) -> bool:
        """Whether files are to be read as tables, whatever their layout."""
        return self.format == TABLE or bool(self.columns or self.wave_unit or self.flux_unit)
