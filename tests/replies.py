"""What processes of their own run in tests of limits."""

from __future__ import annotations

import json
import sys

from qnet.core.bounded import reply
from qnet.core.errors import InputError


def loop():
    while True:
        pass


def allocate():
    reply(lambda request: bytes(1 << 33))


def echo():
    reply(lambda request: json.dumps([request, sys.flags.safe_path]).encode())


def refuse():
    def work(request):
        raise InputError(f"{request} is refused")

    reply(work)
