"""From network output to redshifts: decoded lines, candidates, features of the calibration."""

from qnet.postprocess.candidates import find_candidates
from qnet.postprocess.decoding import Predictions, decode, process_preds

__all__ = ["Predictions", "decode", "find_candidates", "process_preds"]
