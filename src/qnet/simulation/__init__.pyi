# The public names, imported when they are first used: `__init__.py` reads this file.
from .instrument.noise import Errors as Errors
from .survey import Batch as Batch
from .survey import Simulation as Simulation
from .survey import simulate as simulate
from .write import write_simulation as write_simulation
