# The public names, imported when they are first used: `__init__.py` reads this file.
from .afterburner import run_afterburner as run_afterburner
from .merging import merge as merge
from .priors import write_priors as write_priors
