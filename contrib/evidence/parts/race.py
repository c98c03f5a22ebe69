"""Race: the reported bug, on Review Board 2.0.16.

That release resets the cache on every request. So the threads soon find that
the forwarding backend of Djblets 0.8.13 has no backend. What's counted as the
report is an HTTP 500 with the AttributeError about None from that very module.
"""

import collections
import contextlib

from scipy.stats import fisher_exact

from evidence.installation import MODULE, Installation, get_pair
from evidence.load import Load
from evidence.page import Check
from evidence.servers import Memcached, Server, Site


NUM_THREADS = 16

#: The least number of requests is sent in rounds. With too little evidence
#: after that, as many follow, up to so many times.
NUM_ROUNDS = 4
MAX_LOOKS = 3


class _Case:
    """What comes of one installation."""

    def __init__(self, server):
        self.name = 'Djblets %s' % server.installation.title
        self.server = server
        self.load = Load(server, NUM_THREADS)
        self.connections = 0

    def send(self, number, cache, what):
        """Send requests, and sort out all errors so far."""
        before = cache.client.stats()[b'total_connections']

        with self.load:
            self.load.wait(number, '%s, %s' % (what, self.name))

        self.connections += (cache.client.stats()[b'total_connections'] -
                             before)
        self.requests = self.server.get_requests()
        self.start = self.requests[0]['start']
        self.other = collections.Counter({'no answer': self.load.unanswered})

        for request in self.requests:
            others = [error for error, path in request['errors']
                      if request['status'] != 500 or
                      not path.endswith(MODULE) or
                      not error.startswith("AttributeError: 'NoneType'")]
            request['mark'] = len(others) < len(request['errors'])
            self.other.update(error[:60] for error in others)

        self.reported = sum(request['mark'] for request in self.requests)
        self.found = '%d of %d' % (self.reported, len(self.requests))


def run(options):
    """Put load on Review Board with each module, in rounds."""
    installations = [Installation('2.0.16', '0.8.29', swapped='0.8.13'),
                     *get_pair('2.0.16', '0.8.29')]

    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(Memcached())
        site = Site(installations[0], cache.address)
        cases = [
            _Case(stack.enter_context(Server(site, item, 'race', 1,
                                             NUM_THREADS)))
            for item in installations
        ]
        old, _, series = cases

        for i in range(NUM_ROUNDS * MAX_LOOKS):
            for case in cases:
                case.send(-(-options.requests // NUM_ROUNDS), cache,
                          'Round %d' % (i + 1))

            p = MAX_LOOKS * fisher_exact(
                [[case.reported, len(case.requests) - case.reported]
                 for case in (old, series)])[1]

            if i % NUM_ROUNDS == NUM_ROUNDS - 1 and p < 0.01:
                break

    shown = p < 0.01 and old.reported > series.reported
    checks = [
        Check("The report shows with 0.8.13's file and not as often with the "
              'series (Fisher, p times %d looks < 0.01)' % MAX_LOOKS,
              '%s against %s, p = %.1g' % (old.found, series.found, p),
              shown or None),
        *(Check('It never shows with %s' % case.name, case.found,
                not case.reported if shown else None) for case in cases[1:]),
        Check('There is no other error with the series',
              sum(series.other.values()), not any(series.other.values())),
    ]

    return (['', 'As reported', 'Other errors', 'Connections a request'],
            [[case.name, case.found, ', '.join(
                '%d %s' % (number, name) for name, number in
                case.other.items()),
              '%.2f' % (case.connections / len(case.requests))]
             for case in cases], checks,
            (cases, ('is well', 'fails as reported'), 'the start'))
