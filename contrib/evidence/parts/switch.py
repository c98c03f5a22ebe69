"""Switch: the cache server is changed from A to B in the settings form.

A is the only server, or one of a pool of A and C that becomes one of B and C.
Review Board's processes tell each other of new settings by a number that's in
the cache. With A alone, a thread that stays behind may find another number
there than the others do, and loads the settings again: that heals 8.1, by
luck. In the pool, C has the number, and nothing helps such a thread. For that,
C's port is searched so that pymemcache's hash puts the number there.
"""

import collections
import contextlib
import itertools
import re
import time
from urllib.parse import unquote

import mechanicalsoup
from pymemcache.client.rendezvous import RendezvousHash

from evidence.installation import install_pair
from evidence.program import PATIENCE
from evidence.report import Check, Result
from evidence.servers import PASSWORD, Memcached, Site
from evidence.trial import Trial


LAYOUTS = {'A to B': ('A', 'B'), 'A, C to B, C': ('AC', 'BC')}

#: The Review Boards, their Djblets, and how many of the 8 threads have to stay
#: on A in each layout: all where siteconfig never asks for a reset.
CASES = {
    ('4.0', '2.3.4'): (8, 8),
    ('6.0', '4.0'): (8, 8),
    ('8.1', '6.1'): (0, 1),
}

#: Each thread answers so many requests after the switch. The servers that it
#: used in the last ones are those that it has come to use.
NUM_AFTER = 40
NUM_LAST = 20


def run():
    """Change the server in each installation and layout."""
    trials = []
    checks = []

    for (release, version), numbers in CASES.items():
        pair = install_pair(release, version)

        with contextlib.ExitStack() as stack:
            caches = {name: stack.enter_context(Memcached()) for name in 'AB'}
            site = Site(pair[0], caches['A'].address)
            caches['C'] = stack.enter_context(_find_third(**caches))

            for layout, least in zip(LAYOUTS, numbers):
                released, patched = [_try(site, installation, layout, caches)
                                     for installation in pair]
                trials += [released, patched]
                checks.append(Check(
                    'All threads go to B, and none stays on A: %s'
                    % patched.name, patched.found,
                    (patched.num_stale, patched.num_moved) == (0, 8)))

                if least:
                    checks.append(Check(
                        '%d threads or more stay on A: %s'
                        % (least, released.name), released.found,
                        released.num_stale >= least))

    return Result(
        ['Installation', 'Still on A', 'Other errors'],
        [trial.make_row(trial.found) for trial in trials], checks, trials,
        ('uses B or C, or none', 'uses A',
         'the change has reached all processes'))


def _try(site, installation, layout, caches):
    """Serve an installation before and after the switch."""
    old, new = [[caches[name].address for name in pool]
                for pool in LAYOUTS[layout]]
    site.change('set_cache', *old)

    for cache in caches.values():
        cache.client.flush_all(noreply=False)

    with Trial(site, installation, 'switch-%d' % len(old)) as trial:
        trial.use_all_threads(20)
        trial.repeat('To B', lambda: trial.is_configured(new),
                     lambda: _save(trial, new))
        trial.started = time.time()
        trial.use_all_threads(NUM_AFTER)

    trial.name += ', %s' % layout
    trial.sort_errors()
    ports = collections.defaultdict(list)

    for request in trial.requests:
        request['highlighted'] = caches['A'].port in request['ports']

        if request['start'] >= trial.started:
            ports[request['thread']].append(request['ports'])

    trial.num_stale, trial.num_moved = [
        sum(caches[name].port in itertools.chain(*of_thread[-NUM_LAST:])
            for of_thread in ports.values())
        for name in 'AB'
    ]
    trial.found = '%d of %d threads, %d use B' % (
        trial.num_stale, len(ports), trial.num_moved)

    return trial


def _save(server, addresses):
    """Save cache servers in the settings form."""
    browser = mechanicalsoup.StatefulBrowser()
    browser.session.auth = ('admin', PASSWORD)
    browser.session.get(server.root + '/api/session/', timeout=PATIENCE)
    page = browser.open(server.root + '/admin/settings/general/',
                        timeout=PATIENCE)

    # A server error is counted as any other, and this is tried again.
    if page.status_code < 500:
        browser.select_form('form:has(input[name="cache_host"])')
        browser['cache_host'] = ';'.join(addresses)
        browser.submit_selected(timeout=PATIENCE)


def _find_third(A, B):
    """Return a third server that has the number in a pool with each other."""
    keys = A.client.raw_command(b'lru_crawler metadump all', b'END\r\n')
    key = unquote(re.search(r'key=(\S+siteconfig%3A1%3Ageneration)',
                            keys.decode()).group(1))

    while True:
        third = Memcached()

        if all(RendezvousHash([cache.address, third.address]).get_node(key) ==
               third.address for cache in (A, B)):
            return third
