# The public names, imported when they are first used: `__init__.py` reads this file.
from .classifier import classify as classify
from .occlusion import explain as explain
from .partition import classify_partition as classify_partition
