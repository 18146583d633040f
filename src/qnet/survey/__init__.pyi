# The public names, imported when they are first used: `__init__.py` reads this file.
from .merging import merge as merge
from .plan import Merged as Merged
from .progress import Status as Status
from .progress import status as status
from .running import run as run
