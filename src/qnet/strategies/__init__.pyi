# The public names, imported when they are first used: `__init__.py` reads this file.
from .join import join_evidence as join_evidence
from .register import STRATEGIES as STRATEGIES
from .register import as_strategy as as_strategy
from .strategy import Decision as Decision
from .strategy import Strategy as Strategy
