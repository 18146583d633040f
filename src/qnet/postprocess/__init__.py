"""Network output to redshifts: decoded lines, candidates, features of the calibration."""

from qnet.postprocess.candidates import candidates, quasar_share, second_redshift
from qnet.postprocess.decoding import Predictions, decode, process_preds
from qnet.postprocess.features import features, log_snr, logit

__all__ = [
    "Predictions",
    "candidates",
    "decode",
    "features",
    "log_snr",
    "logit",
    "process_preds",
    "quasar_share",
    "second_redshift",
]
