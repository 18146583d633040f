# The public names, imported when they are first used: `__init__.py` reads this file.
from .progress import Status as Status
from .progress import status as status
from .running import run as run
