"""``python -m qnet.cli``: the command ``qnet``."""

import sys

from qnet.cli import main

sys.exit(main())
