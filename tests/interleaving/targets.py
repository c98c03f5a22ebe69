"""The backends that are forwarded to, which record what's done to them."""

from __future__ import unicode_literals

import weakref


class TargetError(Exception):
    """The failure of a target to load."""


class Record(object):
    """What was done to a target, without keeping the target itself alive.

    Attributes:
        location (unicode):
            The location in the settings that it was loaded for.

        closed_by (list of unicode):
            Who closed it, in order: its ``owner``, which is for good, or a
            ``request`` that ended, as the signal has it.

        resets (int):
            How many resets had begun by when it was made.

        get_target (callable):
            Returns the target, if there still is one.
    """

    def __init__(self, location, target):
        """Initialize the record.

        Args:
            location (unicode):
                The location in the settings that it was loaded for.

            target (Target):
                The target.
        """
        self.location = location
        self.closed_by = []
        self.resets = target.resets
        self.get_target = weakref.ref(target)


class Target(object):
    """A backend that records what's done to it.

    Attributes:
        records (list of Record):
            The records of all targets that were made.

        resets (int):
            How many resets have begun.

        when_loading (dict):
            What's to be called, once, when one is made for a location.
    """

    records = []
    resets = 0
    when_loading = {}

    def __init__(self, location, params):
        """Initialize the target.

        Args:
            location (unicode):
                The location from the settings.

            params (dict):
                The other parameters.
        """
        callback = self.when_loading.pop(location, None)

        if callback is not None:
            callback()

        if location.startswith('broken'):
            raise TargetError(location)

        self.record = Record(location, self)
        self.records.append(self.record)

    def get(self, key, default=None, version=None):
        """Return the record, in place of a value."""
        return self.record

    def close(self, **kwargs):
        """Close the target, as its owner does or as a signal has it."""
        self.record.closed_by.append('request' if kwargs else 'owner')
