"""Work with redrock: DESI's quasar afterburner, and one answer from both finders."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
