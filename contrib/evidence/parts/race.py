"""Race: the reported bug, on Review Board 2.0.16.

That release resets the cache on every request. So the threads soon find that
the forwarding backend of Djblets 0.8.13 has no backend. What's counted as the
report is an HTTP 500 with the AttributeError about None from that very module.
"""

import collections
import contextlib

from scipy.stats import fisher_exact

from evidence.installation import Installation, get_pair
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

    @property
    def number(self):
        """The number of requests so far."""
        return len(self.load.answers)

    def count(self):
        """Sort out the errors."""
        self.reported = []
        self.other = collections.Counter(
            'no answer' for _, status in self.load.answers if status == 0)

        for i, request in enumerate(self.server.get_requests()):
            for error in request['errors']:
                report = error['error'].startswith(
                    "AttributeError: 'NoneType'") and error['in_module']

                if report and request['status'] == 500:
                    self.reported.append(i)
                else:
                    self.other['%(place)s: %(error).60s' % error] += 1


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
                connections = cache.count_connections()

                with subject.load:
                    subject.load.wait(options.requests // NUM_ROUNDS,
                                      'Round %d, Djblets %s'
                                      % (i + 1, subject.title))

                subject.connections += (cache.count_connections() -
                                        connections)
                subject.count()

            p = MAX_LOOKS * fisher_exact(
                [[len(item.reported), item.number - len(item.reported)]
                 for item in (old, series)])[1]

            if i % NUM_ROUNDS == NUM_ROUNDS - 1 and p < 0.01:
                break

    shown = p < 0.01 and len(old.reported) > len(series.reported)
    counts = {item.title: '%d of %d' % (len(item.reported), item.number)
              for item in subjects}
    checks = [
        Check("The report shows with 0.8.13's file and not as often with the "
              'series (Fisher, p times %d looks < 0.01)' % MAX_LOOKS,
              '%s against %s, p = %.1g' % (
                  counts[old.title], counts[series.title], p), shown or None),
        *(Check('It never shows with Djblets %s' % item.title,
                counts[item.title], not item.reported if shown else None)
          for item in subjects[1:]),
        Check('There is no other error with the series',
              '%d' % sum(series.other.values()), not series.other),
    ]

    def plot(figure):
        axes = figure.subplots()

        for item, style in zip(subjects, ('-', '--', ':')):
            axes.step([0, *item.reported, item.number],
                      [*range(len(item.reported) + 1), len(item.reported)],
                      style, where='post', label='Djblets %s' % item.title)

        axes.set_xlabel('Requests')
        axes.set_ylabel('HTTP 500s as reported, in all')
        axes.legend()

    return Section(
        'Race', __doc__,
        ['Djblets', 'Requests', 'As reported', 'Other errors',
         'Connections a request'],
        [[item.title, item.number, len(item.reported),
          '\n'.join('%d %s' % (number, name)
                    for name, number in item.other.items()) or '0',
          '%.2f' % (item.connections / item.number)] for item in subjects],
        checks, plot)
