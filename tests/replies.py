"""What processes of their own run in tests of limits."""

from __future__ import annotations

import json
import sys
import time

from qnet.core.bounded import reply
from qnet.core.errors import InputError


def loop():
    def work(request):
        while True:
            pass

    reply(work)


def wait():
    reply(lambda request: time.sleep(60))


def allocate():
    reply(lambda request: b"%d" % len(bytes(request["size"])))


def echo():
    reply(lambda request: json.dumps([request, sys.flags.safe_path]).encode())


def refuse():
    def work(request):
        raise InputError(f"{request} is refused")

    reply(work)
