# The public names, imported when they are first used: `__init__.py` reads this file.
from .classifier import classify as classify
