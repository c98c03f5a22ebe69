"""What the tester itself is tested on: threads that go wrong, and don't."""

from __future__ import unicode_literals

import threading


class Counter(object):
    """A counter whose increments can be lost, or not."""

    def __init__(self):
        """Initialize the counter."""
        self.value = 0
        self.lock = threading.Lock()

    def increment(self):
        """Increment the value, which another thread may do in between."""
        value = self.value
        self.value = value + 1

    def increment_locked(self):
        """Increment the value, with a lock."""
        with self.lock:
            value = self.value
            self.value = value + 1

    def increment_if_free(self):
        """Increment the value, unless another thread is about to."""
        if self.lock.acquire(False):
            value = self.value
            self.value = value + 1
            self.lock.release()


class Pair(object):
    """Two locks, to be acquired in one order or the other."""

    def __init__(self):
        """Initialize the locks."""
        self.first = threading.RLock()
        self.second = threading.RLock()

    def forwards(self):
        """Acquire the first one, again, and the second one."""
        with self.first:
            with self.first:
                with self.second:
                    pass

    def backwards(self):
        """Acquire the second one and the first one."""
        with self.second:
            with self.first:
                pass
