"""Batches made ahead: the network does not wait for them, nor they for the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")

#: Batches that are made ahead: one that the network takes next, and one in the making.
AHEAD = 2


def prefetch(items: Iterator[Item], ahead: int = AHEAD) -> Iterator[Item]:
    """Items in their order, made by a thread of their own while the last one is in use.

    Parameters
    ----------
    items : iterator
        Advanced by that thread only, so that it needs no lock and its order is its own.
    ahead : int
        Items that are made before they are asked for, at most.

    Yields
    ------
    object
        The items. What `items` raises is raised in its place among them.
    """
    end: Any = object()
    pool = ThreadPoolExecutor(1, thread_name_prefix="qnet-batches")
    try:
        waiting = deque(pool.submit(next, items, end) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield item
    finally:
        # Reached when the training is done with the batches, too: nobody waits for the thread.
        pool.shutdown(wait=False, cancel_futures=True)
