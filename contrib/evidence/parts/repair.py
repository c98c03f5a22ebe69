"""Repair: a backend that can't be imported is stored, and then repaired.

The settings form would not accept it, so it's stored by hand. Nothing is
counted as broken before each process has logged, or answered, that it tried to
load it. A request fails if an error names that backend, also if it comes after
the response.
"""

import time

from evidence.installation import install_pair
from evidence.report import Check, Result
from evidence.servers import Memcached, Site
from evidence.trial import Trial


BROKEN = 'no_such_package.NoSuchCache'
CASES = (('2.0.16', '0.8.29'), ('8.1', '6.1'))
NUM_REQUESTS = 300


def run():
    """Break and repair the backend in each installation."""
    trials = []
    checks = []

    for release, version in CASES:
        pair = install_pair(release, version)

        with Memcached() as cache:
            site = Site(pair[0], cache.address)
            released, patched = [_try(site, installation, cache)
                                 for installation in pair]

        trials += [released, patched]
        failed, number = released.while_broken
        checks.append(Check(
            'More than nine in ten requests fail while it is broken: %s'
            % released.name, '%d of %d' % (failed, number),
            failed > 0.9 * number))
        failed, number = patched.count(patched.started)
        checks.append(Check(
            'No request fails while it is broken, nor later: %s'
            % patched.name, '%d of %d' % (failed, number), failed == 0))

    return Result(
        ['Installation', 'Failed while broken', 'Failed after the repair',
         'Other errors'],
        [trial.make_row('%d of %d' % trial.while_broken,
                        '%d of %d' % trial.after_repair)
         for trial in trials],
        checks, trials, ('is well', 'fails', 'the broken backend is stored'))


def _try(site, installation, cache):
    """Serve an installation while the backend is well, broken, repaired."""
    cache.client.flush_all(noreply=False)
    site.change('set_cache', cache.address)

    with Trial(site, installation, 'repair') as trial:
        # A thread that has never loaded a backend has none to keep.
        trial.use_all_threads(10)
        trial.started = time.time()
        trial.repeat('Broken', lambda: _have_tried(trial),
                     lambda: site.change('store_backend', BROKEN))
        broken = time.time()
        trial.wait(NUM_REQUESTS, 'Broken')
        repaired = time.time()
        trial.repeat('Repaired',
                     lambda: trial.is_configured([cache.address]),
                     lambda: site.change('set_cache', cache.address))
        after = time.time()
        trial.wait(NUM_REQUESTS, 'Repaired')

    trial.sort_errors(lambda request, text, path: BROKEN in text)
    trial.while_broken = trial.count(broken, repaired)
    trial.after_repair = trial.count(after)

    return trial


def _have_tried(server):
    """Return whether all processes have tried to load the broken backend."""
    return server.num_processes == len({
        record['pid'] for record in server.get_records()
        if BROKEN in record.get('logged', str(record.get('errors')))
    })
