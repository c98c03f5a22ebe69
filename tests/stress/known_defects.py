"""What the runs have to show on releases without the series.

This is the positive control: a run that finds nothing there proves nothing
where it finds nothing with the series. Only what shows every time is here.
"""


#: The figures that must not all be zero, by release and scenario.
KNOWN_DEFECTS = {
    # The target is taken away from the threads that use it, and a broken
    # configuration takes down what works.
    ('0.8.13', 'switching'): ['errors', 'stale'],
    ('0.8.13', 'broken_configuration'): ['errors'],

    # Resets are lost. Forked processes wait for a lock that nobody holds, and
    # threads for one that they hold themselves.
    ('0.8.29', 'switching'): ['stale'],
    ('0.8.29', 'interruptions'): ['deadlocks'],

    # All threads other than the one that resets stay where they are.
    ('6.1', 'switching'): ['stale'],
    ('6.1', 'dead_server'): ['stale'],
    ('6.1', 'broken_configuration'): ['stale'],
    ('6.1', 'gevent_greenlets'): ['stale'],
    ('6.1', 'eventlet_greenlets'): ['stale'],
}


def find_faults(version, patched, scenario, tally):
    """Return what's not as it has to be in what was counted.

    Args:
        version (str):
            The release.

        patched (bool):
            Whether it had the series.

        scenario (str):
            The scenario.

        tally (stress.tally.Tally):
            What was counted.

    Returns:
        list of str:
        The faults, one for each figure that should have been otherwise.
    """
    faults = []

    if not tally.operations or not tally.resets:
        faults.append('nothing was done')

    if not patched:
        known = KNOWN_DEFECTS.get((version, scenario))

        if known and not any(getattr(tally, name) for name in known):
            faults.append('no %s, which it is known for' % ' or '.join(known))

        return faults

    faults += [
        '%d %s' % (getattr(tally, name), name.replace('_', ' '))
        for name in ('stale', 'left_open', 'deadlocks')
        if getattr(tally, name)
    ]
    faults += ['%s: %d' % item for item in sorted(tally.errors.items())]

    return faults
