"""``python -m qnet``: the command ``qnet``."""

import sys

from qnet.cli import main

if __name__ == "__main__":
    sys.exit(main())
