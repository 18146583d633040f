# The public names, imported when they are first used: `__init__.py` reads this file.
from .calibration import calibrate as calibrate
from .first_stage import train as train
from .inheritance import inherit_settings as inherit_settings
from .preparation import Prepared as Prepared
from .preparation import Reason as Reason
from .preparation import prepare as prepare
from .second_stage import train_refiner as train_refiner
from .settings import Augmentation as Augmentation
from .settings import NetworkOptions as NetworkOptions
from .settings import Settings as Settings
