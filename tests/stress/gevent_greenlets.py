"""The switches, in a server that's patched to have gevent's threads."""

from __future__ import unicode_literals

from gevent import monkey


# This has to be done before anything else is imported.
monkey.patch_all()


def switch_with_gevent(run):
    """Switch between two memcacheds, with greenlets as threads.

    Args:
        run (stress.run.Run):
            The run.
    """
    from stress.switching import switch_memcached

    switch_memcached(run)


def get_cases():
    """Return the cases.

    Returns:
        list of callable:
        The functions that run them.
    """
    return [switch_with_gevent]
