# The public names, imported when they are first used: `__init__.py` reads this file.
from .instrument.instrument import make_instrument as make_instrument
from .instrument.noise import Errors as Errors
from .survey import Batch as Batch
from .survey import Simulation as Simulation
from .survey import simulate as simulate
from .templates import Templates as Templates
from .write import write_simulation as write_simulation
