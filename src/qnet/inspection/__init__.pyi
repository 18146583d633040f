# The public names, imported when they are first used: `__init__.py` reads this file.
from .queue import sort_queue as sort_queue
from .report import inspect as inspect
