# The public names, imported when they are first used: `__init__.py` reads this file.
from .breakdown import Confusion as Confusion
from .catalogues import read_result as read_result
from .evaluation import compare as compare
from .metric import Metric as Metric
from .metric import bootstrap as bootstrap
from .metric import wilson as wilson
from .options import Options as Options
from .options import is_right as is_right
from .options import velocity as velocity
from .purity import Scan as Scan
from .purity import purity_completeness as purity_completeness
from .reliability import Reliability as Reliability
from .reliability import calibration_error as calibration_error
from .report import Comparison as Comparison
from .report import Evaluation as Evaluation
from .result import Result as Result
