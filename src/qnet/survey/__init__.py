"""Whole surveys: classification of many files that can be killed, resumed and distributed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
