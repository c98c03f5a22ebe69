"""Switch: the cache server is changed from A to B in the settings form.

A is the only server, or one of a pool of A and C that becomes one of B and C.
Review Board's processes tell each other of new settings by a number that's in
the cache. With A alone, a thread that stays behind may find another number
there than the others do, and loads the settings again: that heals 8.1, by
luck. In the pool, C has the number, and nothing helps such a thread. For that,
C's port is searched so that pymemcache's hash puts the number there.
"""

import contextlib

from pymemcache.client.rendezvous import RendezvousHash

from evidence.installation import get_pair
from evidence.load import Load, log_in
from evidence.page import Check, Section, plot_threads
from evidence.progress import Failure
from evidence.servers import Memcached, Server, Site


#: The Review Boards, their Djblets, and who stays on A in each layout: all
#: where siteconfig never asks for a reset.
CASES = (
    ('4.0', '2.3.4', ('All', 'All')),
    ('6.0', '4.0', ('All', 'All')),
    ('8.1', '6.1', (None, 'Some')),
)
LAYOUTS = ('A to B', 'A, C to B, C')
SETTINGS_URL = '/admin/settings/general/'

#: A thread that used A in one of so many last requests still talks to A.
NUM_LAST = 20


class _Case:
    """What comes of one installation in one layout."""

    def __init__(self, site, installation, layout, caches, pools):
        self.name = '%s, %s' % (installation.name, LAYOUTS[layout])
        self.new = pools[1]
        site.set_cache(*pools[0])

        for cache in caches:
            cache.client.flush_all(noreply=False)

        with Server(site, installation, 'switch-%d' % layout) as self.server:
            browser = log_in(self.server, 'admin')

            with Load(self.server) as load:
                load.use_all_threads()
                load.wait(200, 'On A')
                self.saves = load.repeat(
                    'To B', lambda: self.save(browser),
                    lambda since: load.is_configured(self.new, since))
                self.start = load.answers[-1][0]
                load.wait(600, 'On B')

        self.requests = self.server.get_requests()
        threads = {}

        for request in self.requests:
            request['mark'] = str(caches[0].port) in request['commands']
            threads.setdefault((request['pid'], request['thread']),
                               []).append(request['mark'])

        self.stale = sum(any(marks[-NUM_LAST:]) for marks in threads.values())
        self.num_threads = len(threads)
        self.found = '%d of %d threads' % (self.stale, self.num_threads)
        later = [request['mark'] for request in self.requests
                 if request['start'] > self.start]
        self.row = [
            self.name, self.found, '%d of %d' % (sum(later), len(later)),
            sum(request['status'] == 500 for request in self.requests),
            self.saves,
        ]

    def save(self, browser):
        """Save the new cache servers in the settings form."""
        browser.open(self.server.url + SETTINGS_URL, timeout=60)
        browser.select_form('form:has(input[name="cache_host"])')
        browser['cache_host'] = ';'.join(self.new)
        response = browser.submit_selected(allow_redirects=False, timeout=60)

        # A form with an error is shown again, rather than being left.
        if response.status_code != 302:
            raise Failure('The settings form was not accepted: HTTP status '
                          '%d; see %s' % (response.status_code,
                                          self.server.log))


def run(options):
    """Change the server in each installation and layout."""
    cases = []
    checks = []

    for release, version, who in CASES:
        pair = get_pair(release, version)

        with contextlib.ExitStack() as stack:
            caches = [stack.enter_context(Memcached()) for i in range(2)]
            site = Site(pair[0], caches[0].address)
            third = _search_third(*caches)
            pools = [[cache.address] for cache in caches]

            for layout in range(len(LAYOUTS)):
                for item, expected in zip(pair, (who[layout], 'No')):
                    case = _Case(site, item, layout, caches, pools)
                    cases.append(case)

                    if expected:
                        checks.append(Check(
                            '%s threads stay on A: %s' % (expected, case.name),
                            case.found,
                            {'No': case.stale == 0, 'Some': case.stale > 0,
                             'All': case.stale == case.num_threads
                             }[expected]))

                if layout == 0:
                    caches.append(stack.enter_context(third))
                    pools = [pool + [third.address] for pool in pools]

    return Section(
        'Switch', __doc__,
        ['Installation', 'Still on A', 'Later requests to A', 'HTTP 500s',
         'Saves'], [case.row for case in cases], checks,
        lambda figure: plot_threads(
            figure, cases, {False: ('uses B or C, or none', 'b.'),
                            True: ('uses A', 'rx')},
            'the change has reached all processes'))


def _search_third(old, new):
    """Return a third server that has the number in a pool with each other."""
    key = next(key for key in old.get_keys()
               if key.endswith('127.0.0.1:siteconfig:1:generation'))

    for i in range(200):
        third = Memcached()

        if all(RendezvousHash([cache.address, third.address]).get_node(key) ==
               third.address for cache in (old, new)):
            return third

    raise Failure('No port suits the third memcached server')
