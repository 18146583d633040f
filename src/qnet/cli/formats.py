"""The command ``qnet formats``."""

from __future__ import annotations

import argparse

from qnet.cli import parser as shared
from qnet.cli.common import OK, print_entry, print_json


def configure(add_parser: shared.AddParser) -> None:
    """Add the command."""
    parser = add_parser(
        description="List the layouts of files of spectra: how each is recognised, its ids and "
        "wavelengths, and whether it is read; and the loaders of specutils, where it is installed.",
        examples=("qnet formats", "qnet formats --json"),
        note=(
            "columns of tables (--columns): wave or loglam, flux, one of ivar, error, variance, "
            "mask, targetid\n\n"
        ),
    )
    shared.as_json(parser)
    parser.set_defaults(command=_formats)


def _formats(arguments: argparse.Namespace) -> int:
    """Run ``qnet formats``."""
    from qnet.core.plain import for_json
    from qnet.io.loaders import find_loaders
    from qnet.io.options import SPECUTILS
    from qnet.io.readers import READERS

    loaders = find_loaders()
    if arguments.json:
        layouts = [
            {name: value for name, value in for_json(reader).items() if value is not None}
            | {"read": not reader.refused}
            for reader in READERS
        ]
        return print_json({"layouts": layouts, "specutils": loaders})
    for reader in READERS:
        print_entry(
            f"{reader.name}{f'  ({reader.survey})' * bool(reader.survey)}",
            f"recognised by: {reader.hdus}",
            reader.targetid and f"TARGETID: {reader.targetid}",
            reader.ids and f"ids: {', '.join(reader.ids)}",
            reader.wavelengths and f"wavelengths: {reader.wavelengths}",
            reader.no_weight and f"pixels without weight: {reader.no_weight}",
            f"not read: {reader.refused}" if reader.refused else "read",
        )
    if loaders:
        print_entry(f"loaders of specutils ({SPECUTILS}NAME)", ", ".join(loaders))
    return OK
