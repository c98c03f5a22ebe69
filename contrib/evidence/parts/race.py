"""Race: the reported bug, on Review Board 2.0.16.

That release resets the cache on every request. So the threads soon find that
the forwarding backend of Djblets 0.8.13 has no backend. What's counted as the
report is an HTTP 500 with the AttributeError about None from that very module.
The modules are served side by side, and the requests are API calls, which are
short, until the evidence is enough. The p is Fisher's, one-sided, times the
number of rounds after which it's looked at.
"""

import contextlib
import math

from evidence.installation import MODULE, Installation, build, install_pair
from evidence.report import Check, Result
from evidence.servers import Memcached, Site
from evidence.trial import URLS, Trial


#: How many requests a round has for each module, and when it's enough.
ROUND_REQUESTS = 500
MAX_ROUNDS = 20
MAX_P = 0.001


def run():
    """Put load on Review Board with each module."""
    installations = [
        Installation('2.0.16', build('0.8.29').official, '0.8.13'),
        *install_pair('2.0.16', '0.8.29'),
    ]

    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(Memcached())
        site = Site(installations[0], cache.address)
        trials = [
            stack.enter_context(Trial(
                site, installation, 'race', num_processes=1, num_threads=16,
                urls=[url for url in URLS if url.startswith('/api/')]))
            for installation in installations
        ]
        swapped, released, patched = trials

        for i in range(1, MAX_ROUNDS + 1):
            for trial in trials:
                trial.wait(
                    i * ROUND_REQUESTS - len(trial.get_requests()),
                    'Round %d, %s' % (i, trial.name))
                trial.sort_errors(_is_reported)

            p = MAX_ROUNDS * _get_p(*swapped.count(), *patched.count())

            if p < MAX_P:
                break

    shown = p < MAX_P
    checks = [
        Check("The report shows with 0.8.13's file, and less often with the "
              'series (p < %s)' % MAX_P,
              '%d of %d against %d of %d, p = %.1g' % (
                  *swapped.count(), *patched.count(), p),
              shown),
        *(Check('It never shows: %s' % trial.name,
                '%d of %d' % trial.count(), shown and not trial.count()[0])
          for trial in (released, patched)),
        Check('There is no other error: %s' % patched.name,
              sum(patched.others.values()), not patched.others),
    ]

    return Result(
        ['Installation', 'As reported', 'Other errors'],
        [trial.make_row('%d of %d' % trial.count()) for trial in trials],
        checks, trials, ('is well', 'fails as reported', 'the start'))


def _is_reported(request, text, path):
    """Return whether an error is the reported one."""
    return (request['status'] == 500 and path.endswith(MODULE) and
            text.startswith("AttributeError: 'NoneType'"))


def _get_p(failed, number, other_failed, other_number):
    """Return how probable it is that chance puts as many failures first."""
    return sum(
        math.comb(number, i) *
        math.comb(other_number, failed + other_failed - i)
        for i in range(failed, failed + other_failed + 1)
    ) / math.comb(number + other_number, failed + other_failed)
