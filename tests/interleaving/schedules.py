"""Schedules: how they are written, and how all of them are gone through.

A *schedule* is a sequence of blocks, such as ``A12,B5,A,B``: thread A runs
until it comes to its 12th decision point, B until it comes to the 5th in this
block, then A runs until it ends or blocks, and so does B. A block that has a
number ends in a *preemption*: the thread could have gone on. It's these that
are bounded. Switches from a thread that ended or blocked are free, and all are
tried.

The search is depth first, and keeps no states. A schedule is run to its end
without further preemptions, and then again with one more at each of the
decision points that it came by. None is run twice, and none is left out.
"""

from __future__ import unicode_literals

import gc


#: How many schedules are run from one garbage collection to the next.
COLLECT_EVERY = 2000


def format_schedule(schedule):
    """Return a schedule as text, such as ``A12,B5,A,B``.

    Args:
        schedule (tuple):
            The blocks, as pairs of a thread's index and the number of the
            decision point that it's preempted at, or ``None``.

    Returns:
        unicode:
        The text.
    """
    return ','.join('%s%s' % (chr(ord('A') + thread), stop or '')
                    for thread, stop in schedule)


def parse_schedule(text):
    """Return the schedule in a text made by :py:func:`format_schedule`.

    Args:
        text (unicode):
            The text.

    Returns:
        tuple:
        The blocks.

    Raises:
        ValueError:
            The text is not a schedule.
    """
    blocks = []

    for block in text.split(','):
        thread, stop = block[:1], block[1:]

        if not 'A' <= thread <= 'Z' or not (stop.isdigit() or not stop):
            raise ValueError('"%s" in the schedule "%s" is not a letter for '
                             'the thread and a number or nothing, as in '
                             'A12,B5,A,B'
                             % (block, text))

        blocks.append((ord(thread) - ord('A'), int(stop or 0) or None))

    if blocks[-1][1] is not None:
        raise ValueError('The schedule "%s" has to end in a thread without a '
                         'number, which is to go on'
                         % text)

    return tuple(blocks)


def count_preemptions(schedule):
    """Return the number of preemptions in a schedule.

    Args:
        schedule (tuple):
            The schedule.

    Returns:
        int:
        The number.
    """
    return sum(1 for thread, stop in schedule if stop is not None)


def explore(run, preemptions):
    """Run every schedule up to a number of preemptions.

    Args:
        run (callable):
            Called with a schedule, and whether to look for further
            preemptions. Returns the schedules that take one other decision, as
            :py:meth:`Scheduler.run
            <interleaving.scheduler.Scheduler.run>` does, and a result.

        preemptions (int):
            The most preemptions in a schedule.

    Yields:
        object:
        The result of each.
    """
    pending = [()]
    count = 0

    # A collection may run code of the module, so it has to come in between.
    collecting = gc.isenabled()
    gc.disable()

    try:
        while pending:
            schedule = pending.pop()
            branches, result = run(
                schedule, count_preemptions(schedule) < preemptions)
            pending.extend(branches)
            count += 1

            if count % COLLECT_EVERY == 0:
                gc.collect()

            yield result
    finally:
        if collecting:
            gc.enable()
