"""QuasarNP's names on made-up spectra; `tests/golden` holds them against QuasarNP's own numbers."""

from __future__ import annotations

import numpy as np
import pytest

from qnet import compat
from qnet.core.grid import QUASARNET_GRID
from qnet.lines import absorber_IGM
from qnet.postprocess import decode

NBOXES = 13


@pytest.mark.parametrize(
    ("box", "offset", "edge"), [(0, -0.1, 0), (NBOXES - 1, 1.1, -1)], ids=["blue end", "red end"]
)
def test_lines_beyond_an_end_of_the_grid_are_put_on_it(box, offset, edge):
    """For each kind of line: QuasarNP interpolates, where QuasarNET extrapolates."""
    lines, lines_bal = ["LYA", "MgII(2796)"], ["CIV(1548)"]
    preds = np.zeros((3, 1, 2 * NBOXES))
    preds[:, 0, box], preds[:, 0, NBOXES + box] = 0.9, offset
    beyond = decode(preds, lines, lines_bal, QUASARNET_GRID)
    _, z_line, zbest, _, z_line_bal = compat.process_preds(preds, lines, lines_bal)
    for name, found, free in zip(
        [*lines, *lines_bal],
        np.concatenate([z_line, z_line_bal]),
        np.concatenate([beyond.z_line, beyond.z_line_bal]),
        strict=True,
    ):
        wanted = QUASARNET_GRID.wave[edge] / absorber_IGM[name] - 1
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        assert (free < wanted) if edge == 0 else (free > wanted)
    np.testing.assert_array_equal(zbest, z_line[0])
