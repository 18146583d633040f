"""QuasarNET's module `utils`: decoding of network output, and rest wavelengths."""

from qnet.lines import absorber_IGM
from qnet.postprocess.decoding import process_preds

__all__ = ["absorber_IGM", "process_preds"]
