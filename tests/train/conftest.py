"""What the tests of training have in common."""

from __future__ import annotations

import warnings

import pytest


@pytest.fixture(scope="session")
def keras():
    """Keras, on its backend; what the backends warn of is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("keras")
        pytest.importorskip(module.backend.backend())
    return module
