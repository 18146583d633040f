# The public names, imported when they are first used: `__init__.py` reads this file.
from .architecture import Architecture as Architecture
from .architecture import RefineArchitecture as RefineArchitecture
from .calibration import Calibration as Calibration
from .calibration import rescale as rescale
from .keras_network import QuasarNET as QuasarNET
from .keras_network import custom_loss as custom_loss
from .layers import ConvLayer as ConvLayer
from .loading import load_model as load_model
from .model import Model as Model
from .network import NetworkOutput as NetworkOutput
from .refiner import Refiner as Refiner
from .shipped import shipped_models as shipped_models
from .weights import WeightsFile as WeightsFile
from .weights import read_weights as read_weights
from .weights import write_weights as write_weights
