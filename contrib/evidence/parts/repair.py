"""Repair: a backend that can't be imported is stored, and then repaired.

The settings form would not accept it, so it's stored by hand. Nothing is
counted as broken before each process has told in its log that it tried to load
it. A request fails if it ends in an HTTP 500, or in an error after the
response.
"""

import time

from evidence.installation import get_pair
from evidence.load import Load
from evidence.page import Check, Section, plot_threads
from evidence.servers import Memcached, Server, Site


BROKEN = 'no_such_package.NoSuchCache'
CASES = (('2.0.16', '0.8.29'), ('8.1', '6.1'))
NUM_REQUESTS = 500


class _Case:
    """What comes of one installation."""

    def __init__(self, site, installation, cache):
        self.patched = installation.patched
        self.name = installation.name
        cache.client.flush_all(noreply=False)
        site.set_cache(cache.address)

        with Server(site, installation, 'repair') as self.server:
            with Load(self.server) as load:
                # A thread that has never loaded a backend has none to keep.
                load.use_all_threads()
                load.wait(NUM_REQUESTS, 'Before')
                self.start = time.time()
                load.repeat('Broken',
                            lambda: site.change('set_cache', BROKEN, ''),
                            lambda since: len(self.get_told()) == 2)
                broken = time.time()
                load.wait(NUM_REQUESTS, 'Broken')
                repaired = time.time()
                load.repeat('Repaired', lambda: site.set_cache(cache.address),
                            lambda since: load.is_configured([cache.address],
                                                             since))
                after = time.time()
                load.wait(NUM_REQUESTS, 'After')

        self.requests = self.server.get_requests()

        for request in self.requests:
            request['mark'] = (request['status'] == 500 or
                               bool(request['errors']))

        self.before = self.count(0, self.start)
        self.broken = self.count(broken, repaired)
        self.after = self.count(after)
        self.since = self.count(self.start)

    def get_told(self):
        """Return the processes that told that they tried to load it."""
        return {record['pid'] for record in self.server.get_records()
                if BROKEN.split('.')[0] in record.get(
                    'logged', str(record.get('errors')))}

    def count(self, start, end=float('inf')):
        """Return how many requests of a time failed, and how many didn't."""
        marks = [request['mark'] for request in self.requests
                 if start <= request['start'] < end]

        return marks.count(True), marks.count(False)


def run(options):
    """Break and repair the backend in each installation."""
    cases = []
    checks = []

    for release, version in CASES:
        pair = get_pair(release, version)

        with Memcached() as cache:
            site = Site(pair[0], cache.address)
            cases += [_Case(site, item, cache) for item in pair]

    for case in cases:
        for name, expected, (failed, well) in (
            ('while it is broken', not case.patched, case.broken),
            ('from the breaking on to the end', False, case.since))[
                :2 if case.patched else 1]:
            checks.append(Check(
                '%s fail %s: %s' % ('Nine in ten requests or more' if expected
                                    else 'No requests', name, case.name),
                '%d of %d' % (failed, failed + well),
                failed > 9 * well if expected else failed == 0 < well))

    return Section(
        'Repair', __doc__,
        ['Installation', 'Processes that told', 'Failed before',
         'Failed while broken', 'Failed after the repair'],
        [[case.name, len(case.get_told())] +
         ['%d of %d' % (failed, failed + well)
          for failed, well in (case.before, case.broken, case.after)]
         for case in cases], checks,
        lambda figure: plot_threads(
            figure, cases, {False: ('is well', 'b.'), True: ('fails', 'rx')},
            'the broken backend is stored'))
