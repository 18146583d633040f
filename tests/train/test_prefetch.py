"""Batches made ahead: their order, one thread, errors in their turn, and the end of the thread."""

from __future__ import annotations

import threading

import pytest

from qnet.training.batches import prefetch


class Source:
    """Numbers, and which threads asked for them."""

    def __init__(self, count, fail_at=None):
        self.count, self.fail_at = count, fail_at
        self.made, self.threads = 0, set()
        self.progress = threading.Condition()

    def __iter__(self):
        return self

    def __next__(self):
        self.threads.add(threading.current_thread())
        if self.made == self.fail_at:
            raise OSError("the disk is gone")
        if self.made == self.count:
            raise StopIteration
        with self.progress:
            self.made += 1
            self.progress.notify_all()
        return self.made - 1

    def wait_for(self, made):
        with self.progress:
            assert self.progress.wait_for(lambda: self.made >= made, timeout=60)


@pytest.mark.parametrize("ahead", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_items_keep_their_order(count, ahead):
    source = Source(count)
    assert list(prefetch(source, ahead)) == list(range(count))
    assert len(source.threads) == 1
    assert threading.current_thread() not in source.threads


def test_items_are_made_while_one_is_in_use_and_no_more_than_were_asked_for():
    source = Source(100)
    items = prefetch(source, 3)
    assert source.made == 0
    assert next(items) == 0
    # Nobody asks for the next three, and they are made.
    source.wait_for(4)
    assert next(items) == 1
    source.wait_for(5)
    assert source.made == 5


def test_an_error_comes_in_its_place():
    items = prefetch(Source(10, fail_at=2), 5)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)


def test_the_thread_ends_with_the_one_who_asks():
    source = Source(100)
    items = prefetch(source, 2)
    next(items)
    items.close()
    (thread,) = source.threads
    thread.join(60)
    assert not thread.is_alive()
    assert source.made <= 3
