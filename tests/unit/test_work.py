"""The hot paths do the work they must, and not twice: operations and bytes are counted, not time.

Each test says what must be done, from the shapes of network and spectra, and allows half as much
again. The last tests make a path do its work twice, and see that the count says so.
"""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import qnet
from counting import Work
from makers import desi_coadd, desi_set, fibermap, write
from qnet.core.grid import QUASARNET_GRID
from qnet.core.spectra import Camera
from qnet.io.fits import pixels
from qnet.model import network
from qnet.preprocess import normalisation, rebinning

#: What is counted may be more than what must be done by this factor: twice is too much.
ALLOWED = 1.5


def excess(work, needed):
    """What was done beyond what is allowed, or is not counted any more; the names of both."""
    # Pixels that no later layer reads are not computed: a little less is needed than is said here.
    return [
        name for name, count in needed.items() if not 0.9 * count <= work[name] <= ALLOWED * count
    ]


def forward_needed(arch, nspec):
    """Operations and elements that the forward pass of so many spectra needs."""
    needed = Work()
    npix, channels = arch.grid.npix, 1
    activations = 0
    for conv in arch.convs:
        npix, depth = conv.output_length(npix), conv.width * channels
        needed[f"matmul {depth}x{conv.filters}"] += 2 * nspec * npix * depth * conv.filters
        activations += nspec * npix * conv.filters
        channels = conv.filters
    heads = arch.nlines * 2 * arch.nboxes
    for depth, width in ((npix * channels, arch.units), (arch.units, heads)):
        needed[f"matmul {depth}x{width}"] += 2 * nspec * depth * width
    activations += nspec * arch.units
    needed["clip"] = activations
    needed["add"] = activations + 2.5 * nspec * heads  # bias, 1 + exp, the shift of the offsets
    needed["exp"] = nspec * heads
    needed["isfinite"] = nspec * arch.grid.npix
    # Into single precision, into the first layer, out of the heads, the common layer.
    needed["copy"] = nspec * (2 * arch.grid.npix + heads + arch.units)
    return needed


def forward_work(model, X):
    """What is counted in the forward pass."""
    with Work().of(network) as work:
        model.predict(X)
    return work


def rebin_needed(cameras, grid):
    """Elements that rebinning and normalising need."""
    needed = Work()
    on_grid = sum(len(c.flux) * int((grid.bins(c.wave) >= 0).sum()) for c in cameras)
    binned = len(cameras[0].flux) * grid.npix
    needed["add.reduceat"] = 2 * on_grid
    needed["copy"] = 2 * on_grid + 4 * binned
    needed["minimum.reduce"] = on_grid
    needed["multiply"] = on_grid + 3 * binned
    needed["sqrt"] = binned
    needed["divide"] = 3 * binned
    return needed


def rebin_work(cameras, grid):
    """What is counted in rebinning and normalising."""
    work = Work()
    for camera in cameras:
        for part in ("flux", "ivar"):
            object.__setattr__(camera, part, work.array(getattr(camera, part)))
    with work.of(normalisation, rebinning):
        normalisation.preprocess(cameras, grid)
    return work


@contextlib.contextmanager
def bytes_of_images():
    """Bytes of images that are read past the C library while this lasts, in a list."""
    read, fill = [], pixels._fill

    def watch(stream, view):
        read.append(len(view))
        fill(stream, view)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "_fill", watch)
        yield read


def bytes_read(path, model):
    """Bytes of images that the classification of a file reads."""
    with bytes_of_images() as read:
        qnet.classify(path, model=model)
    return sum(read)


@pytest.fixture
def cameras():
    return [Camera(name, *parts) for name, parts in desi_set(np.linspace(0.5, 3, 40)).items()]


@pytest.fixture
def coadd(tmp_path):
    found = desi_set((1.0, 2.0, 3.0))
    masks = {name: np.zeros(c[1].shape, np.int32) for name, c in found.items()}
    path = write(tmp_path / "coadd.fits", desi_coadd(found, fibermap([1, 2, 3]), masks=masks))
    images = sum(c[0].size * c[0].itemsize + 3 * c[1].size * 4 for c in found.values())
    return path, images


@pytest.fixture
def X(small_model):
    shape = (3 * network.CHUNK_SIZE, small_model.grid.npix)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_forward_pass_does_the_work_it_must(small_model, X):
    needed = forward_needed(small_model.architecture, len(X))
    work = forward_work(small_model, X)
    assert not excess(work, needed), (work, needed)
    # Calls by the chunk, never by the spectrum.
    assert work["calls"] <= 3 * 30


def test_rebinning_does_the_work_it_must(cameras):
    needed = rebin_needed(cameras, QUASARNET_GRID)
    work = rebin_work(cameras, QUASARNET_GRID)
    assert not excess(work, needed), (work, needed)
    assert work["calls"] <= 160


def test_each_pixel_of_a_file_is_read_once(coadd, small_model):
    path, images = coadd
    assert images <= bytes_read(path, small_model) < 1.05 * images


def test_classifying_a_file_runs_each_step_once(coadd, small_model):
    path, _ = coadd
    spectra = qnet.read_spectra(path)
    with Work().of(network, normalisation, rebinning) as work:
        qnet.classify(path, model=small_model)
    grid = small_model.grid
    on_grid = sum(3 * int((grid.bins(c.wave) >= 0).sum()) for c in spectra.cameras)
    needed = forward_needed(small_model.architecture, 3)
    both = {name: needed[name] for name in needed if name.startswith(("matmul", "clip", "exp"))}
    assert not excess(work, both | {"add.reduceat": 2 * on_grid}), work


def twice(function):
    """The function, run twice."""

    def run(*arguments, **options):
        function(*arguments, **options)
        return function(*arguments, **options)

    return run


def test_a_layer_that_is_computed_twice_is_seen(small_model, X, monkeypatch):
    monkeypatch.setattr(network, "_convolve", twice(network._convolve))
    found = excess(forward_work(small_model, X), forward_needed(small_model.architecture, len(X)))
    assert {"matmul 10x8", "matmul 80x8"} <= set(found)


def test_heads_that_are_computed_twice_are_seen(small_model, X, monkeypatch):
    monkeypatch.setattr(network, "_sigmoid", twice(network._sigmoid))
    found = excess(forward_work(small_model, X), forward_needed(small_model.architecture, len(X)))
    assert "exp" in found


def test_spectra_that_are_rebinned_twice_are_seen(cameras, monkeypatch):
    monkeypatch.setattr(rebinning.Sums, "add", twice(rebinning.Sums.add))
    found = excess(rebin_work(cameras, QUASARNET_GRID), rebin_needed(cameras, QUASARNET_GRID))
    assert {"add.reduceat", "multiply", "minimum.reduce"} <= set(found)


def test_spectra_that_are_normalised_twice_are_seen(cameras, monkeypatch):
    monkeypatch.setattr(normalisation, "_normalise", twice(normalisation._normalise))
    found = excess(rebin_work(cameras, QUASARNET_GRID), rebin_needed(cameras, QUASARNET_GRID))
    assert "divide" in found


def test_an_image_that_is_read_twice_is_seen(coadd, small_model, monkeypatch):
    path, images = coadd
    monkeypatch.setattr(pixels.PlainImage, "read", twice(pixels.PlainImage.read))
    assert bytes_read(path, small_model) > 1.5 * images
