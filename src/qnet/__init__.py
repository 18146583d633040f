"""qnet: find quasars and their redshifts in survey spectra.

A rebuild of QuasarNET (Busca & Balland 2018, arXiv:1808.09955) as a library::

    import qnet

    table = qnet.classify("coadd-main-dark-10016.fits")

Names are imported at their first use, so that `import qnet` takes little time.
"""

import logging

import lazy_loader

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
