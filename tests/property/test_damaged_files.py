"""Whatever is wrong with a FITS file: it is read, or is an error of qnet in one line."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from astropy.table import Table

from damage import damaged, fits_files

#: How many damaged files are read.
NUMBER = 600

#: A program that reads files of 100 kB in all ways with 3 GB of memory, and prints the outcomes.
READ = """
import json, pathlib, resource, sys, warnings
import qnet
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
warnings.simplefilter("ignore")
readers = (qnet.read_spectra, qnet.io.read_truth, qnet.io.read_spall, qnet.read_catalogue)
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    results = []
    for read in readers[: int(sys.argv[2])]:
        try:
            read(path)
            results.append("read")
        except qnet.QnetError as error:
            results.append(str(error))
    print(json.dumps([path.name, results]), flush=True)
"""


def test_damage_is_an_error_of_qnet_or_no_obstacle(tmp_path):
    """In a process of its own, which the C library may end, and with little memory."""
    rng = np.random.default_rng(2)
    files = [path.read_bytes() for path in fits_files(tmp_path)]
    folder = tmp_path / "damaged"
    folder.mkdir()
    for number in range(NUMBER):
        content = damaged(files[number % len(files)], rng)
        (folder / f"{number:03d}.fits").write_bytes(content)
    check_outcomes(folder, NUMBER, 4)


def check_outcomes(folder, number, readers):
    """Read all files in a process of its own; what is not read is an error of qnet in one line."""
    done = subprocess.run(
        [sys.executable, "-c", READ, folder, str(readers)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout.splitlines()[-1:]}, then {done.stderr[-500:]}"
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == number
    read = sum("read" in results for _, results in found)
    assert 20 < read < number - 20
    for name, results in found:
        for result in results:
            assert result == "read" or (name in result and "memory" not in result), result
            assert result.isprintable()
            assert len(result) < 1600


def test_damaged_tables_of_other_formats_are_errors_of_qnet_or_no_obstacle(tmp_path):
    """Bytes changed, pieces doubled, left out or in another place, and ends cut off."""
    rng = np.random.default_rng(3)
    wave = np.linspace(3700.0, 9500.0, 60)
    rows = Table({"wave": [wave] * 2, "flux": np.ones((2, 60)), "ivar": np.full((2, 60), 2.0)})
    pixels = Table({"wave": wave, "flux": np.arange(60.0), "error": np.ones(60)})
    kinds = {"xml": "votable", "ecsv": "ascii.ecsv", "parquet": "parquet", "csv": "ascii.csv"}
    files = []
    for table_of in (rows, pixels):
        for suffix, kind in kinds.items():
            if table_of is pixels or suffix != "csv":
                path = tmp_path / f"whole.{suffix}"
                table_of.write(path, format=kind, overwrite=True)
                files.append((suffix, path.read_bytes()))
    folder = tmp_path / "damaged"
    folder.mkdir()
    for number in range(280):
        suffix, content = files[number % len(files)]
        content = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            at, other = rng.integers(len(content), size=2)
            piece = bytes(content[at : at + int(rng.integers(1, 60))])
            what = rng.integers(5)
            if what == 0:
                content[at] = rng.integers(256)
            elif what == 1:
                content[other:other] = piece
            elif what == 2:
                del content[at : at + len(piece)]
            elif what == 3:
                content[at : at + 1] = rng.choice([b"0", b"9999999999", b"-1", b"nan", b'"', b"<"])
            elif len(content) > 200:
                del content[int(rng.integers(len(content) // 2, len(content))) :]
        (folder / f"{number:03d}.{suffix}").write_bytes(bytes(content))
    check_outcomes(folder, 280, 1)
