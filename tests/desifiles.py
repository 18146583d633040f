"""What the tests of DESI's files share."""

from __future__ import annotations

import numpy as np

from makers import fibermap

IDS = [39627866878511337, -2713437, 39633297352951412]
FMAP = fibermap(IDS, objtype=["TGT", "SKY   ", "TGT"], status=[0, 0, 8])


def check_arrays(spectra, cameras, rows=slice(None), masks=None):
    """The cameras hold these arrays: {name: (wave, flux, ivar)}, masked pixels without weight."""
    assert [camera.name for camera in spectra.cameras] == list(cameras)
    for camera in spectra.cameras:
        wave, flux, ivar = cameras[camera.name]
        if masks is not None:
            ivar = np.where(masks[camera.name] == 0, ivar, np.float32(0))
        np.testing.assert_array_equal(camera.wave, wave)
        np.testing.assert_array_equal(camera.flux, flux[rows])
        np.testing.assert_array_equal(camera.ivar, ivar[rows])
        assert camera.flux.dtype == camera.ivar.dtype == np.float32
