#!/usr/bin/env python
"""Explores the schedules of threads that use a forwarding backend."""

from __future__ import print_function, unicode_literals

import argparse
import io
import logging
import os
import sys
import warnings
from xml.etree import ElementTree

import djblets
from django.conf import settings

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from scenarios import LATER_SCENARIOS, SCENARIOS, World  # noqa: E402
from scheduler import Scheduler  # noqa: E402
from variants import LATER_VARIANTS, VARIANTS, apply  # noqa: E402


def run_test(suite, name, source, scenario, preemptions, is_broken):
    """Explore, and add the test to an xunit suite. Return the schedules."""
    scheduler = Scheduler(source.encode('utf-8'), scenario.splits)
    problems = {}

    for count, world in enumerate(scheduler.explore(
            lambda: World(scheduler, scenario), preemptions), 1):
        for problem in world.check():
            problems.setdefault(problem, ', '.join(scheduler.trail))

        if problems and is_broken:
            break

    text = '%s (%d): %s' % (name, count, ', '.join(
        '%s (%s)' % item for item in sorted(problems.items())) or 'sound')
    case = ElementTree.SubElement(suite, 'testcase', classname='schedules',
                                  name=name)

    if bool(problems) != is_broken:
        text = 'FAILED ' + text
        ElementTree.SubElement(case, 'failure', message=text)

    print(text)

    return count


def main():
    """Run the tests, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--long', action='store_true',
                        help='three preemptions, or three threads')
    parser.add_argument('--broken', action='store_true',
                        help='have each scenario find something')
    parser.add_argument('--scenario', help='explore this scenario only')
    parser.add_argument('--xunit-file', help='a file to write results to',
                        default=os.devnull)
    options = parser.parse_args()

    # Django 1.6 has a warning for each use, which takes most of the time.
    warnings.simplefilter('ignore')
    logging.disable(logging.CRITICAL)
    settings.configure(CACHES={'default': {
        'BACKEND': 'django.core.cache.backends.dummy.DummyCache',
    }})
    suite = ElementTree.Element('testsuite', name='schedules')
    count = 0

    with io.open(os.path.join(djblets.__path__[0], 'cache',
                              'forwarding_backend.py'),
                 encoding='utf-8') as fp:
        source = fp.read()

    is_later = 'unicode_literals' not in source
    variants = LATER_VARIANTS if is_later else VARIANTS
    known = LATER_SCENARIOS if is_later else SCENARIOS
    scenarios = [
        scenario for scenario in known if scenario.name == options.scenario or
        not options.scenario and (options.long or len(scenario.threads) == 2)
    ]

    if not scenarios:
        parser.error('there is no scenario %s for this module'
                     % options.scenario)

    unknown = {name for variant in variants for name in variant.caught_by
               }.difference(scenario.name for scenario in known)

    if unknown:
        parser.error('variants are caught by %s, which is no scenario'
                     % ', '.join(unknown))

    for scenario in scenarios:
        count += run_test(
            suite, scenario.name, source, scenario,
            5 - len(scenario.threads) if options.long else 2, options.broken)

        # Python before 3.7 can't stop within a line.
        controls = [
            variant.name for variant in variants
            if scenario.name in variant.caught_by and not options.broken and
            not (scenario.splits and sys.version_info < (3, 7))
        ]

        for name in controls:
            run_test(suite, '%s in %s' % (scenario.name, name),
                     apply(name, source), scenario, 2, True)

    failed = len(suite.findall('*/failure'))
    print('%d schedules of the module; %d tests passed, %d failed'
          % (count, len(suite) - failed, failed))
    ElementTree.ElementTree(suite).write(options.xunit_file, 'utf-8')

    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
