"""How good a catalogue is, against truth: purity, completeness, redshift errors, calibration."""

from qnet.evaluate.breakdown import Confusion
from qnet.evaluate.calibration import Calibration
from qnet.evaluate.definitions import DEFINITIONS
from qnet.evaluate.evaluation import Comparison, Evaluation, compare, evaluate
from qnet.evaluate.intervals import bootstrap, wilson
from qnet.evaluate.metric import Metric
from qnet.evaluate.purity import Scan, purity_completeness
from qnet.evaluate.rules import Options, is_right, velocity
from qnet.evaluate.sample import Sample, Truth, as_truth

__all__ = [
    "DEFINITIONS",
    "Calibration",
    "Comparison",
    "Confusion",
    "Evaluation",
    "Metric",
    "Options",
    "Sample",
    "Scan",
    "Truth",
    "as_truth",
    "bootstrap",
    "compare",
    "evaluate",
    "is_right",
    "purity_completeness",
    "velocity",
    "wilson",
]
