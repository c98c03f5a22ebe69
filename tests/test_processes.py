"""Tests of processes, on the Djblets in use.

They are run by run_suite.py. A process of the site is this file, too: it's
told on its standard input what to do.
"""

from __future__ import print_function

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

from django.conf import settings

try:
    from queue import Queue
except ImportError:
    # Python 2.7.
    from Queue import Queue


class ProcessesTests(unittest.TestCase):
    """Tests of a site's processes."""

    def start(self, directory):
        """Start a process of the site."""
        process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), directory],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)

        return process

    def tell(self, process, command):
        """Have a process do something, and return what it says."""
        process.stdin.write(('%s\n' % command).encode('ascii'))
        process.stdin.flush()

        return process.stdout.readline().decode('ascii').strip()

    def test_two_processes(self):
        """Testing two processes of a site with a changed configuration"""
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)

        processes = [self.start(directory) for i in range(2)]
        self.assertEqual(self.tell(processes[0], 'create'), 'done')
        self.assertEqual(
            [self.tell(process, 'request') for process in processes],
            ['300 300', '300 300'])

        self.assertEqual(self.tell(processes[0], 'store'), 'done')
        self.assertEqual(
            [self.tell(process, 'request') for process in processes],
            ['77 77', '77 77'])


def get_backend(timeout):
    """Return the configuration of a cache that all processes share."""
    return {
        'forwarded_backend': {
            'BACKEND': 'django.core.cache.backends.filebased.FileBasedCache',
            'LOCATION': os.path.join(sys.argv[1], 'cache'),
            'TIMEOUT': timeout,
        },
    }


def serve():
    """Be a process of the site."""
    from run_suite import configure_django

    configure_django(os.path.join(sys.argv[1], 'site.db'))
    settings.CACHES.update(get_backend(300))

    import django
    from django.contrib.sites.models import Site
    from django.core.cache import cache
    from django.core.management import call_command

    from djblets.siteconfig.django_settings import (apply_django_settings,
                                                    cache_settings_map)
    from djblets.siteconfig.models import SiteConfiguration

    def _live():
        # A thread that goes on living has a backend of its own.
        while True:
            questions.get()
            answers.put(cache.default_timeout)

    questions, answers = Queue(), Queue()
    thread = threading.Thread(target=_live)
    thread.daemon = True
    thread.start()
    applied = None

    for command in iter(sys.stdin.readline, ''):
        if command == 'create\n':
            if django.VERSION >= (1, 7):
                call_command('migrate', run_syncdb=True, verbosity=0)
            else:
                call_command('syncdb', interactive=False, verbosity=0)

            site = Site.objects.get_or_create(pk=1)[0]
            siteconfig = SiteConfiguration(site=site, version='1.0')

        if command == 'request\n':
            SiteConfiguration.objects.check_expired()
            siteconfig = SiteConfiguration.objects.get_current()

            if siteconfig is not applied:
                apply_django_settings(siteconfig, cache_settings_map)
                applied = siteconfig

            questions.put(None)
            print(cache.default_timeout, answers.get())
        else:
            siteconfig.settings['cache_backend'] = get_backend(
                300 if command == 'create\n' else 77)
            siteconfig.save()
            print('done')

        sys.stdout.flush()


if __name__ == '__main__':
    serve()
