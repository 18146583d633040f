"""Mock surveys of a seed: quasars, galaxies, stars and sky, observed by an instrument.

`simulate` makes spectra in memory, `write_simulation` puts them into files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
