"""Files and objects to spectra, and catalogues to files. No maths.

`read_spectra` reads the spectra of every survey; `write_catalogue` and `read_catalogue` are a pair.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
