"""A process of a site, which does what it's told on its standard input.

Each line is a command, and is answered by a line of JSON:

``create``
    Create the tables, and a site configuration.

``store TIMEOUT``
    Store a cache backend with another time-out in the site configuration.

``request``
    Do what a site does for a request, and tell the time-outs of the cache in
    the thread of the request and in another thread that goes on living.

This is run by the Python that Djblets is run with, 2.7 or any later one.
"""

from __future__ import print_function, unicode_literals

import json
import sys
import threading

try:
    from queue import Queue
except ImportError:
    # Python 2.
    from Queue import Queue


def configure_django(database, port):
    """Configure Django for a site that caches in memcached.

    Args:
        database (unicode):
            The path of the database, which all processes share.

        port (unicode):
            The port of memcached, which they share as well.
    """
    import django
    from django.conf import settings

    settings.configure(
        CACHES={
            'default': {
                'BACKEND': 'djblets.cache.forwarding_backend.'
                           'ForwardingCacheBackend',
                'LOCATION': 'forwarded_backend',
            },
            'forwarded_backend': get_backend(port, 300),
        },
        DATABASES={
            'default': {
                'ENGINE': 'django.db.backends.sqlite3',
                'NAME': database,
            },
        },
        DEFAULT_AUTO_FIELD='django.db.models.AutoField',
        INSTALLED_APPS=[
            'django.contrib.contenttypes',
            'django.contrib.sites',
            'djblets.siteconfig',
        ],
        SECRET_KEY='for-tests-only',
        SITE_ID=1)

    if hasattr(django, 'setup'):
        django.setup()


def get_backend(port, timeout):
    """Return the configuration of a cache backend.

    Args:
        port (unicode):
            The port of memcached.

        timeout (int):
            The default time-out, in seconds.

    Returns:
        dict:
        The configuration.
    """
    import django

    return {
        'BACKEND': 'django.core.cache.backends.memcached.%s' % (
            'PyMemcacheCache' if django.VERSION >= (3, 2)
            else 'MemcachedCache'),
        'LOCATION': '127.0.0.1:%s' % port,
        'TIMEOUT': timeout,
    }


class OtherThread(threading.Thread):
    """A thread that goes on living, and tells what it sees."""

    def __init__(self):
        """Start the thread."""
        super(OtherThread, self).__init__()

        self.daemon = True
        self.questions = Queue()
        self.answers = Queue()
        self.start()

    def run(self):
        """Answer questions for the time-out of the cache."""
        from django.core.cache import cache

        while True:
            self.questions.get()
            self.answers.put(cache.default_timeout)

    def get_timeout(self):
        """Return the time-out of the cache in the thread."""
        self.questions.put(None)

        return self.answers.get()


def main():
    """Do what's told."""
    site, database, port = sys.argv[1:]
    sys.path[0] = site
    configure_django(database, port)

    import django
    from django.contrib.sites.models import Site
    from django.core.cache import cache
    from django.core.management import call_command
    from django.core.signals import request_finished, request_started

    from djblets.siteconfig.django_settings import (apply_django_settings,
                                                    cache_settings_map)
    from djblets.siteconfig.models import SiteConfiguration

    other_thread = OtherThread()
    applied = None

    for line in iter(sys.stdin.readline, ''):
        words = line.split()
        answer = None

        if words[0] == 'create':
            if django.VERSION >= (1, 9):
                call_command('migrate', run_syncdb=True, verbosity=0)
            elif django.VERSION >= (1, 7):
                call_command('migrate', verbosity=0)
            else:
                call_command('syncdb', interactive=False, verbosity=0)

            site = Site.objects.get_or_create(
                pk=1, defaults={'domain': 'localhost', 'name': 'Site'})[0]
            siteconfig = SiteConfiguration(site=site, version='1.0')
            siteconfig.set('cache_backend', {
                'forwarded_backend': get_backend(port, 300),
            })
            siteconfig.save()
        elif words[0] == 'store':
            siteconfig = SiteConfiguration.objects.get_current()
            siteconfig.set('cache_backend', {
                'forwarded_backend': get_backend(port, int(words[1])),
            })
            siteconfig.save()
        else:
            request_started.send(sender=None)
            SiteConfiguration.objects.check_expired()
            siteconfig = SiteConfiguration.objects.get_current()

            if siteconfig is not applied:
                apply_django_settings(siteconfig, cache_settings_map)
                applied = siteconfig

            answer = [cache.default_timeout, other_thread.get_timeout()]
            request_finished.send(sender=None)

        print(json.dumps(answer))
        sys.stdout.flush()


if __name__ == '__main__':
    main()
