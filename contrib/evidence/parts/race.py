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
from evidence.page import Check, Section
from evidence.servers import Memcached, Server, Site


NUM_THREADS = 16

#: The least number of requests is sent in rounds. With too little evidence
#: after that, as many follow, up to so many times.
NUM_ROUNDS = 4
MAX_LOOKS = 3


class _Subject:
    """What comes of one installation."""

    def __init__(self, server):
        self.title = server.installation.title
        self.server = server
        self.load = Load(server, NUM_THREADS)
        self.connections = 0

    def send(self, number, cache, what):
        """Send requests, and sort out all errors so far."""
        before = cache.client.stats()[b'total_connections']

        with self.load:
            self.load.wait(number, '%s, Djblets %s' % (what, self.title))

        self.connections += (cache.client.stats()[b'total_connections'] -
                             before)
        self.number = len(self.load.answers)
        self.reported = []
        self.other = collections.Counter(
            {'no answer': self.load.answers.count(0)})

        for i, request in enumerate(self.server.get_requests()):
            for error, path in request['errors']:
                if (error.startswith("AttributeError: 'NoneType'") and
                        path.endswith(MODULE) and request['status'] == 500):
                    self.reported.append(i)
                else:
                    self.other[error[:60]] += 1

        self.found = '%d of %d' % (len(self.reported), self.number)


def run(options):
    """Put load on Review Board with each module, in rounds."""
    installations = [Installation('2.0.16', '0.8.29', swapped='0.8.13'),
                     *get_pair('2.0.16', '0.8.29')]

    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(Memcached())
        site = Site(installations[0], cache.address)
        subjects = [
            _Subject(stack.enter_context(Server(site, item, 'race', 1,
                                                NUM_THREADS)))
            for item in installations
        ]
        old, _, series = subjects

        for i in range(NUM_ROUNDS * MAX_LOOKS):
            for subject in subjects:
                subject.send(options.requests // NUM_ROUNDS, cache,
                             'Round %d' % (i + 1))

            p = MAX_LOOKS * fisher_exact(
                [[len(item.reported), item.number - len(item.reported)]
                 for item in (old, series)])[1]

            if i % NUM_ROUNDS == NUM_ROUNDS - 1 and p < 0.01:
                break

    shown = p < 0.01 and len(old.reported) > len(series.reported)
    checks = [
        Check("The report shows with 0.8.13's file and not as often with the "
              'series (Fisher, p times %d looks < 0.01)' % MAX_LOOKS,
              '%s against %s, p = %.1g' % (old.found, series.found, p),
              shown or None),
        *(Check('It never shows with Djblets %s' % item.title, item.found,
                not item.reported if shown else None)
          for item in subjects[1:]),
        Check('There is no other error with the series',
              sum(series.other.values()), not any(series.other.values())),
    ]

    def plot(figure):
        axes = figure.subplots()
        axes.set(xlabel='Requests', ylabel='HTTP 500s as reported, in all')

        for item, style in zip(subjects, ('-', '--', ':')):
            axes.step([0, *item.reported, item.number],
                      [*range(len(item.reported) + 1), len(item.reported)],
                      style, where='post', label='Djblets %s' % item.title)

        axes.legend()

    return Section(
        ['Djblets', 'Requests', 'As reported', 'Other errors',
         'Connections a request'],
        [[item.title, item.number, len(item.reported),
          ', '.join('%d %s' % (number, name)
                    for name, number in item.other.items()),
          '%.2f' % (item.connections / item.number)] for item in subjects],
        checks, plot)
