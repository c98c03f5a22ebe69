"""What's counted in a run."""

from __future__ import unicode_literals

import traceback


class Tally(object):
    """What was done, and what went wrong."""

    def __init__(self):
        """Initialize the tally, with nothing in it."""
        #: The most threads that used the cache at a time.
        self.threads = 0

        #: Accesses to the cache.
        self.operations = 0

        #: Resets that were asked for.
        self.resets = 0

        #: What was raised, or otherwise not as it has to be, by type.
        self.errors = {}

        #: Accesses that were served by an outdated configuration.
        self.stale = 0

        #: Connections beyond those that the live threads need.
        self.left_open = 0

        #: Waits for a thread or process that timed out.
        self.deadlocks = 0

        #: What else was measured.
        self.figures = []

        #: What helps to understand the above.
        self.notes = []

    def add_error(self, name=None):
        """Count an error.

        Args:
            name (unicode, optional):
                The type of the error. If it's not given, then it's that of the
                exception that's being handled.
        """
        text = None

        if name is None:
            text = traceback.format_exc()
            name = text.strip().splitlines()[-1].split(':')[0]
            name = name.rpartition('.')[2]

        if name not in self.errors and text:
            self.notes.append(text)

        self.errors[name] = self.errors.get(name, 0) + 1

    def add_deadlock(self, what):
        """Count a wait that timed out.

        Args:
            what (unicode):
                What was waited for.
        """
        self.deadlocks += 1
        self.notes.append('Timed out: %s' % what)

    def add(self, other):
        """Add another tally, of what ran before or after this.

        Args:
            other (dict):
                What the other's :py:meth:`to_dict` has returned.
        """
        self.threads = max(self.threads, other['threads'])

        for name in ('operations', 'resets', 'stale', 'left_open',
                     'deadlocks'):
            setattr(self, name, getattr(self, name) + other[name])

        for name, count in other['errors'].items():
            self.errors[name] = self.errors.get(name, 0) + count

        self.figures += other['figures']
        self.notes += [note for note in other['notes']
                       if note not in self.notes]

    def to_dict(self):
        """Return the tally in a form that can be made JSON.

        Returns:
            dict:
            The tally.
        """
        return dict(self.__dict__)
