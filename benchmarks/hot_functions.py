"""The hot functions one by one, for `pytest-benchmark`.

    OPENBLAS_NUM_THREADS=1 python -m pytest -o pythonpath=benchmarks benchmarks/hot_functions.py

Not collected with the tests: times say nothing on a machine that does other things too. What the
tests hold is the work that these functions do (``tests/unit/test_work.py``).
"""

from __future__ import annotations

import coadds
import measure
import numpy as np
import pytest

import qnet
from qnet.io.fits.file import FitsFile
from qnet.preprocess.normalisation import preprocess
from qnet.preprocess.restframe import fine_spectra

SPECTRA = 200


@pytest.fixture(scope="module")
def coadd(tmp_path_factory):
    """A simulated coadd."""
    return coadds.simulated(tmp_path_factory.mktemp("hot"), SPECTRA)


@pytest.fixture(scope="module")
def spectra(coadd):
    """Its spectra."""
    return qnet.read_spectra(coadd)


@pytest.mark.parametrize("filters", [100, 25])
def test_forward_pass(benchmark, filters):
    """The published network."""
    model = measure.published(filters)
    X = np.random.default_rng(1).normal(size=(SPECTRA, model.grid.npix)).astype(np.float32)
    benchmark(model.predict, X, threads=1)


def test_read(benchmark, coadd):
    """A coadd with its MASK."""
    benchmark(qnet.read_spectra, coadd)


def test_open(benchmark, coadd):
    """The structure of a file."""
    benchmark(lambda: FitsFile(coadd).close())


def test_rebin_and_normalise(benchmark, spectra):
    """Native pixels to the network's input."""
    benchmark(preprocess, spectra.cameras, qnet.load_model().grid)


def test_decode(benchmark, spectra):
    """Predictions to redshifts."""
    model = qnet.load_model()
    predictions = model.predict(model.preprocess(spectra).X, threads=1)
    benchmark(model.decode, predictions)


def test_second_stage(benchmark, spectra):
    """Both passes of the second stage, all spectra."""
    refiner = qnet.load_model().refiner
    flux, ivar = fine_spectra(spectra.cameras, refiner.arch.window.grid)
    benchmark(refiner.refine, flux, ivar, np.full(SPECTRA, 2.0))


def test_classify(benchmark, coadd):
    """All of it."""
    benchmark(qnet.classify, coadd, threads=1)
