"""Simulated spectra in files of the surveys' layouts: a DESI coadd, a folder of SDSS spec files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from qnet.core.arrays import Columns, FloatArray
from qnet.core.errors import FileError, InputError, OutputExistsError
from qnet.core.files import PathLike, as_path, check_output
from qnet.core.partials import clear_partials, name_partial, name_replaced
from qnet.io.fits.writer import Card, FitsWriter
from qnet.io.units import COMBINEREJ
from qnet.simulation.frame import LOGLAM_STEP
from qnet.simulation.instrument.instrument import make_instrument
from qnet.simulation.survey import Batch, join

#: Bit of DESI's masks that a pixel without weight gets: ALLBADPIX of desispec's specmask.
ALLBADPIX = 1 << 1

#: Bits of DESI_TARGET of quasars and of sky positions (desitarget's targetmask), and of
#: BOSS_TARGET1 of quasars (QSO_CORE_MAIN).
DESI_QSO_BIT, DESI_SKY_BIT, BOSS_QSO_BIT = 2, 32, 40

_FLUX_UNIT = "10**-17 erg/(s cm2 Angstrom)"
_IVAR_UNIT = "10**+34 (s2 cm4 Angstrom2) / erg2"
_IMAGES = (("FLUX", "f4", _FLUX_UNIT), ("IVAR", "f4", _IVAR_UNIT), ("MASK", "i4", ""))


#: Name in a coadd file of spectra that are no single camera of DESI.
_JOINT = {"coadd": "BRZ"}


class CoaddWriter(FitsWriter):
    """A DESI coadd file of `nspec` spectra, written batch by batch; a context manager."""

    def __init__(
        self, path: PathLike, nspec: int, *, overwrite: bool = False, cards: Sequence[Card] = ()
    ) -> None:
        file = as_path(path, "path")
        if file.suffix.lower() != ".fits":
            raise InputError(f"{file}: the name of a coadd file must end in .fits")
        cards = [Card("SURVEY", "sim"), Card("PROGRAM", "dark"), *cards]
        super().__init__(file, overwrite=overwrite, cards=cards)
        self.nspec, self.row = nspec, 0
        self._fibermap: list[Columns] = []

    def write(self, batch: Batch) -> None:
        """Append spectra, of the same wavelengths in every batch; pixels of ivar 0 are masked."""
        for camera in batch.spectra.cameras:
            name = _JOINT.get(camera.name, camera.name)
            if self.row == 0:
                self.image(f"{name}_WAVELENGTH", camera.wave, unit="Angstrom")
                shape = self.nspec, camera.flux.shape[1]
                for part, dtype, unit in _IMAGES:
                    self.empty_image(f"{name}_{part}", shape, dtype, unit=unit)
            mask = np.where(camera.ivar > 0, 0, ALLBADPIX).astype(np.int32)
            for part, data in (
                ("FLUX", camera.flux.astype(np.float32)),
                ("IVAR", camera.ivar.astype(np.float32)),
                ("MASK", mask),
            ):
                self.fill(f"{name}_{part}", data, self.row)
        self._fibermap.append(_fibermap(batch, self.row))
        self.row += len(batch)

    def finish(self) -> None:
        """Write the FIBERMAP, the last HDU."""
        if self.row != self.nspec:
            raise InputError(f"{self.path}: {self.nspec} spectra were announced, not {self.row}")
        self.table("FIBERMAP", join(self._fibermap))


class SpecFolder:
    """A folder of SDSS spec files, written batch by batch; named on leaving without an error."""

    def __init__(
        self, path: PathLike, survey: str, *, overwrite: bool = False, cards: Sequence[Card] = ()
    ) -> None:
        self.path = as_path(path, "path")
        check_folder(self.path, overwrite)
        self._cards = tuple(cards)
        (detector,) = make_instrument(survey).detectors
        # Standard deviation of the line spread function [pixel].
        wdisp = detector.sigma / (detector.wave * np.log(10) * LOGLAM_STEP)
        self._wdisp = wdisp.astype(np.float32)
        self._partial = name_partial(self.path)
        self._done = 0

    def __enter__(self) -> Self:
        try:
            clear_partials(self.path)
            self._partial.mkdir()
        except OSError as error:
            raise FileError(f"{self.path}: cannot be made ({error})") from error
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def write(self, batch: Batch) -> None:
        """Write a file for each spectrum."""
        camera, signal = batch.spectra.cameras[0], batch.signals[0]
        loglam = np.log10(camera.wave).astype(np.float32)
        ra, dec = _places(self._done + np.arange(len(batch)))
        self._done += len(batch)
        for row in range(len(batch)):
            ivar = camera.ivar[row].astype(np.float32)
            mask = np.where(ivar > 0, 0, COMBINEREJ).astype(np.int32)
            coadd = {
                "flux": camera.flux[row].astype(np.float32),
                "loglam": loglam,
                "ivar": ivar,
                "and_mask": mask,
                "or_mask": mask,
                "wdisp": self._wdisp,
                "model": signal[row].astype(np.float32),
            }
            ids = {name: column[row : row + 1] for name, column in batch.spectra.ids.items()}
            sky = batch.truth["TRUESPECTYPE"][row] == "SKY"
            plate, mjd, fiber = (int(ids[name][0]) for name in ("PLATE", "MJD", "FIBERID"))
            spall = {
                "PLATE": ids["PLATE"],
                "MJD": ids["MJD"],
                "FIBERID": ids["FIBERID"],
                "THING_ID": ids["TARGETID"],
                "PLUG_RA": ra[row : row + 1],
                "PLUG_DEC": dec[row : row + 1],
                "OBJTYPE": np.array(["SKY" if sky else "QSO"]),
                "BOSS_TARGET1": np.array([0 if sky else 1 << BOSS_QSO_BIT], dtype=np.int64),
            }
            path = self._partial / f"spec-{plate:04d}-{mjd:05d}-{fiber:04d}.fits"
            cards = [Card("PLATEID", plate), Card("MJD", mjd), Card("FIBERID", fiber)]
            with FitsWriter(path, atomic=False, cards=[*cards, *self._cards]) as file:
                file.table("COADD", coadd)
                file.table("SPALL", spall)

    def _finish(self) -> None:
        """Rename the folder; the one that it replaces is removed last, or gets its name back."""
        old = name_replaced(self._partial)
        try:
            if self.path.exists():
                os.replace(self.path, old)
            os.replace(self._partial, self.path)
        except OSError as error:
            raise FileError(f"{self.path}: could not be written ({error})") from error
        finally:
            if self.path.exists():
                shutil.rmtree(old, ignore_errors=True)
            elif old.exists():
                os.replace(old, self.path)


def check_folder(path: Path, overwrite: bool) -> None:
    """Raise unless a folder of spec files may be made, or replaced: it holds nothing else."""
    if not path.is_dir():
        check_output(path, overwrite=False)
        return
    check_output(path / "spec-0000-00000-0000.fits", overwrite=True)
    if not overwrite:
        raise OutputExistsError(f"{path}: exists already; ask for overwriting to replace it")
    other = [name.name for name in path.iterdir() if not name.match("spec-*.fits")]
    if other:
        raise FileError(f"{path}: holds {sorted(other)[0]}, which is no spec file: not overwritten")


def _places(index: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Made-up positions [degree] of the spectra of a simulation."""
    return np.asarray(180.0 + (index % 500) * 0.002), np.asarray((index // 500) * 0.002)


def _fibermap(batch: Batch, first: int) -> Columns:
    """Columns of the FIBERMAP."""
    sky = batch.truth["TRUESPECTYPE"] == "SKY"
    index = first + np.arange(len(batch))
    bits = np.where(sky, 1 << DESI_SKY_BIT, 1 << DESI_QSO_BIT).astype(np.int64)
    magnitude = np.nan_to_num(batch.truth["RMAG"].astype(np.float64), nan=np.inf)
    ra, dec = _places(index)
    return {
        "TARGETID": batch.spectra.ids["TARGETID"],
        "TARGET_RA": ra,
        "TARGET_DEC": dec,
        "OBJTYPE": np.where(sky, "SKY", "TGT"),
        "COADD_FIBERSTATUS": np.zeros(len(batch), np.int32),
        "PETAL_LOC": (index % 5000 // 500).astype(np.int16),
        "FIBER": (index % 5000).astype(np.int32),
        "DESI_TARGET": bits,
        # Nanomaggies: flux 1 is magnitude 22.5.
        "FLUX_R": (10 ** (0.4 * (22.5 - magnitude))).astype(np.float32),
    }
