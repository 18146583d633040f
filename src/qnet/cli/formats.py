"""The command ``qnet formats``."""

from __future__ import annotations

import argparse
import json
import textwrap

from qnet.cli import parser as shared
from qnet.cli.common import OK

#: Width of the text.
_WIDTH = 100


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
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(command=_formats)


def _formats(arguments: argparse.Namespace) -> int:
    """Run ``qnet formats``."""
    from qnet.io.loaders import find_loaders
    from qnet.io.options import SPECUTILS
    from qnet.io.readers import READERS

    if arguments.json:
        layouts = [
            {
                "name": reader.name,
                "survey": reader.survey,
                "recognised_by": reader.hdus,
                "targetid": reader.targetid,
                "ids": reader.ids,
                "wavelengths": reader.wavelengths,
                "no_weight": reader.no_weight,
                "read": not reader.refused,
                "refused": reader.refused,
            }
            for reader in READERS
        ]
        print(json.dumps({"layouts": layouts, "specutils": find_loaders()}, indent=2))
        return OK
    for reader in READERS:
        print(f"{reader.name}{f'  ({reader.survey})' * bool(reader.survey)}")
        for text in (
            f"recognised by: {reader.hdus}",
            reader.targetid and f"TARGETID: {reader.targetid}",
            reader.ids and f"ids: {', '.join(reader.ids)}",
            reader.wavelengths and f"wavelengths: {reader.wavelengths}",
            reader.no_weight and f"pixels without weight: {reader.no_weight}",
            f"not read: {reader.refused}" if reader.refused else "read",
        ):
            if text:
                print(
                    textwrap.fill(
                        text,
                        _WIDTH,
                        initial_indent="  ",
                        subsequent_indent="    ",
                        break_on_hyphens=False,
                    )
                )
    if loaders := find_loaders():
        print(f"loaders of specutils ({SPECUTILS}NAME)")
        text = ", ".join(loaders)
        print(
            textwrap.fill(
                text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
            )
        )
    return OK
