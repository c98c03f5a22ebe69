"""Switch: the cache server is changed from A to B in the settings form.

A is the only server, or one of a pool of A and C that becomes one of B and C.
Review Board's processes tell each other of new settings by a number that's in
the cache. With A alone, a thread that stays behind may find another number
there than the others do, and loads the settings again: that heals 8.1, by
luck. In the pool, C has the number, and nothing helps such a thread. For that,
C's port is searched so that pymemcache's hash puts the number there.
"""

import contextlib
import re
import time
from urllib.parse import unquote

import mechanicalsoup
from pymemcache.client.rendezvous import RendezvousHash

from evidence.installation import get_pair
from evidence.load import Load, log_in
from evidence.page import Check
from evidence.progress import Failure
from evidence.servers import Memcached, Server, Site


LAYOUTS = {'A to B': ('A', 'B'), 'A, C to B, C': ('AC', 'BC')}

#: The Review Boards, their Djblets, and how many of 8 threads have to stay on
#: A in each layout: all where siteconfig never asks for a reset.
CASES = (('4.0', '2.3.4', (8, 8)), ('6.0', '4.0', (8, 8)),
         ('8.1', '6.1', (0, 1)))

#: A thread that used a server in one of so many last requests talks to it.
NUM_LAST = 20


class _Case:
    """What comes of one installation in one layout."""

    def __init__(self, site, installation, layout, caches):
        self.name = '%s, %s' % (installation.name, layout)
        old, new = [[caches[name].address for name in pool]
                    for pool in LAYOUTS[layout]]
        site.set_cache(*old)

        for cache in caches.values():
            cache.client.flush_all(noreply=False)

        with Server(site, installation, 'switch-%d' % len(old)) as server, \
                Load(server) as load:
            load.use_all_threads()
            load.wait(200, 'On A')
            load.repeat('To B', lambda: server.is_configured(new),
                        lambda: _save(server, new))
            self.start = time.time()
            load.wait(600, 'On B')

        self.requests = server.get_requests()
        threads = {}

        for request in self.requests:
            request['mark'] = caches['A'].port in request['ports']
            threads.setdefault(request['thread'], []).append(request['ports'])

        last = [sum(ports[-NUM_LAST:], []) for ports in threads.values()]
        self.stale, self.moved = [
            sum(caches[name].port in ports for ports in last) for name in 'AB']
        self.found = '%d of %d threads, %d use B' % (
            self.stale, len(threads), self.moved)
        self.errors = sum(item['status'] >= 500 for item in self.requests)


def run(options):
    """Change the server in each installation and layout."""
    cases, checks = [], []

    for release, version, numbers in CASES:
        pair = get_pair(release, version)

        with contextlib.ExitStack() as stack:
            caches = {name: stack.enter_context(Memcached()) for name in 'AB'}
            site = Site(pair[0], caches['A'].address)
            caches['C'] = stack.enter_context(_search_third(**caches))

            for layout, number in zip(LAYOUTS, numbers):
                cases += [_Case(site, item, layout, caches) for item in pair]
                checks.append(Check(
                    'All threads go to B, and none stays on A: %s'
                    % cases[-1].name, cases[-1].found,
                    (cases[-1].stale, cases[-1].moved) == (0, 8)))

                if number:
                    checks.append(Check(
                        '%d threads or more stay on A: %s'
                        % (number, cases[-2].name), cases[-2].found,
                        cases[-2].stale >= number))

    return (['Installation', 'Still on A', 'HTTP 500s'],
            [[case.name, case.found, case.errors] for case in cases], checks,
            (cases, ('uses B or C, or none', 'uses A'),
             'the change has reached all processes'))


def _save(server, addresses):
    """Save cache servers in the settings form."""
    browser = mechanicalsoup.StatefulBrowser(log_in(server, 'admin'))
    browser.open(server.root + '/admin/settings/general/', timeout=60)
    browser.select_form('form:has(input[name="cache_host"])')
    browser['cache_host'] = ';'.join(addresses)
    response = browser.submit_selected(allow_redirects=False, timeout=60)

    # A form with an error is shown again, rather than being left.
    if response.status_code != 302:
        raise Failure('The settings form was not accepted: HTTP status %d'
                      % response.status_code)


def _search_third(A, B):
    """Return a third server that has the number in a pool with each other."""
    keys = A.client.raw_command(b'lru_crawler metadump all', b'END\r\n')
    key = unquote(re.search(r'key=(\S+siteconfig%3A1%3Ageneration)',
                            keys.decode()).group(1))

    while True:
        third = Memcached()

        if all(RendezvousHash([cache.address, third.address]).get_node(key) ==
               third.address for cache in (A, B)):
            return third
