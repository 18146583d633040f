# The public names, imported when they are first used: `__init__.py` reads this file.
from .keras_network import QuasarNET as QuasarNET
from .keras_network import custom_loss as custom_loss
from .model import Model as Model
from .model import load_model as load_model
