"""The switches, in a server that's patched to have eventlet's threads."""

from __future__ import unicode_literals

import sys

import eventlet


# This has to be done before anything else is imported.
eventlet.monkey_patch()


def switch_with_eventlet(run):
    """Switch between two memcacheds, with greenlets as threads.

    Args:
        run (stress.run.Run):
            The run.
    """
    from stress.switching import switch_memcached

    if sys.version_info[0] == 2:
        # The last eventlet for Python 2 keeps what the last greenlet had in
        # its threading.local, which python-memcached has its connection in.
        run.connections_kept = 1

    switch_memcached(run)


def get_cases():
    """Return the cases.

    Returns:
        list of callable:
        The functions that run them.
    """
    return [switch_with_eventlet]
