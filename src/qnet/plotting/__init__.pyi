# The public names, imported when they are first used: `__init__.py` reads this file.
from .evaluation import plot_calibration as plot_calibration
from .evaluation import plot_confusion as plot_confusion
from .evaluation import plot_purity_completeness as plot_purity_completeness
from .explanation import plot_explanation as plot_explanation
from .figure import new_axes as new_axes
from .figure import save_figure as save_figure
from .redshifts import plot_dv as plot_dv
from .redshifts import plot_z as plot_z
from .spectrum import plot_spectrum as plot_spectrum
from .training import plot_history as plot_history
