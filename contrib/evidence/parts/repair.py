"""Repair: a backend that can't be imported is stored, and then repaired.

The settings form would not accept it, so it's stored by hand. Nothing is
counted as broken before each process has logged, or answered, that it tried to
load it. A request fails if it has an error, also after the response.
"""

import time

from evidence.installation import get_pair
from evidence.load import Load
from evidence.page import Check
from evidence.servers import Memcached, Server, Site


BROKEN = 'no_such_package.NoSuchCache'
CASES = (('2.0.16', '0.8.29'), ('8.1', '6.1'))
NUM_REQUESTS = 500


class _Case:
    """What comes of one installation."""

    def __init__(self, site, installation, cache):
        self.name = installation.name
        cache.client.flush_all(noreply=False)
        site.set_cache(cache.address)

        with Server(site, installation, 'repair') as server, \
                Load(server) as load:
            # A thread that has never loaded a backend has none to keep.
            load.use_all_threads()
            load.wait(200, 'Before')
            self.start = time.time()
            load.repeat('Broken', lambda: server.workers == len({
                record['pid'] for record in server.get_records()
                if BROKEN in record.get('logged', str(record.get('errors')))
            }), lambda: site.change('set_cache', BROKEN, ''))
            broken = time.time()
            load.wait(NUM_REQUESTS, 'Broken')
            repaired = time.time()
            load.repeat('Repaired',
                        lambda: server.is_configured([cache.address]),
                        lambda: site.set_cache(cache.address))
            after = time.time()
            load.wait(NUM_REQUESTS, 'After')

        self.unanswered = load.unanswered
        self.requests = server.get_requests()

        for request in self.requests:
            request['mark'] = (request['status'] >= 500 or
                               request['errors'] != [])

        self.broken = self.count(broken, repaired)
        self.after = self.count(after)
        self.since = self.count(self.start)

    def count(self, start, end=float('inf')):
        """Return how many requests of a time failed, and how many in all."""
        marks = [request['mark'] for request in self.requests
                 if start <= request['start'] < end]

        return sum(marks), len(marks)


def run(options):
    """Break and repair the backend in each installation."""
    cases, checks = [], []

    for release, version in CASES:
        pair = get_pair(release, version)

        with Memcached() as cache:
            site = Site(pair[0], cache.address)
            old, new = [_Case(site, item, cache) for item in pair]

        cases += old, new
        checks += [
            Check('More than nine in ten requests fail while it is broken: %s'
                  % old.name, '%d of %d' % old.broken,
                  old.broken[0] > 0.9 * old.broken[1]),
            Check('No request fails while it is broken, nor later: %s'
                  % new.name,
                  '%d of %d, %d unanswered' % (*new.since, new.unanswered),
                  new.since[0] == new.unanswered == 0 < new.broken[1]),
        ]

    return (['Installation', 'Failed while broken', 'Failed after the repair'],
            [[case.name, '%d of %d' % case.broken, '%d of %d' % case.after]
             for case in cases], checks,
            (cases, ('is well', 'fails'), 'the broken backend is stored'))
