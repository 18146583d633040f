"""The version of qnet: its one home."""

__version__ = "0.1.0"
