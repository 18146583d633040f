"""Hot paths do their work once and hold little memory: counted from outside, not timed.

What is counted does not depend on how a path is written: bytes that are read from a file, memory
that is allocated, spectra that reach a public method.
"""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest

import qnet
from makers import desi_coadd, desi_set, fibermap, write
from qnet.core.grid import QUASARNET_GRID
from qnet.preprocess import preprocess

MIB = 2**20


def peak(work):
    """Largest memory [bytes] that a call allocates beside its result."""
    work()  # what is kept for the next call
    tracemalloc.start()
    try:
        kept = work()
        size, largest = tracemalloc.get_traced_memory()
        del kept
        return largest - size
    finally:
        tracemalloc.stop()


@pytest.fixture
def coadd(tmp_path):
    """A file of three spectra, and the bytes of its images."""
    found = desi_set((1.0, 2.0, 3.0))
    masks = {name: np.zeros(c[1].shape, np.int32) for name, c in found.items()}
    path = write(tmp_path / "coadd.fits", desi_coadd(found, fibermap([1, 2, 3]), masks=masks))
    return path, sum(c[0].size * c[0].itemsize + 3 * c[1].size * 4 for c in found.values())


def test_each_pixel_of_a_file_is_read_once(coadd, small_model, monkeypatch):
    path, images = coadd
    counts = []

    class Counted(io.FileIO):
        def readinto(self, buffer):
            counts.append(super().readinto(buffer))
            return counts[-1]

    monkeypatch.setattr(io, "FileIO", Counted)
    qnet.classify(path, model=small_model)
    assert sum(counts) < 1.1 * images


def test_each_spectrum_goes_through_the_network_once(coadd, small_model, monkeypatch):
    rows, forward = [], qnet.Model.forward

    def watch(self, X, *arguments, **options):
        rows.append(len(X))
        return forward(self, X, *arguments, **options)

    monkeypatch.setattr(qnet.Model, "forward", watch)
    qnet.classify(coadd[0], model=small_model)
    assert sum(rows) == 3


@pytest.mark.parametrize("nspec", [300, 900])
def test_memory_of_preprocessing_and_prediction_does_not_grow(small_model, nspec):
    wave = np.arange(3600.0, 9800.0, 2.0)
    flux = np.random.default_rng(0).normal(3, 1, (nspec, len(wave))).astype(np.float32)
    camera = qnet.Camera("coadd", wave, flux, np.ones_like(flux))
    assert peak(lambda: preprocess([camera], QUASARNET_GRID)) < 6 * MIB
    X = np.zeros((nspec, small_model.grid.npix), np.float32)
    assert peak(lambda: small_model.predict(X, threads=1)) < 2 * MIB
