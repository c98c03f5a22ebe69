"""A Review Board site: made, populated and configured."""

import os
import shutil
from pathlib import Path

from acceptance_site import processes


#: What a site is populated with.
NUM_USERS = 16
NUM_REVIEW_REQUESTS = 40

PASSWORD = 'only-on-loopback'

#: The memcached backend that each release's settings form would choose.
MEMCACHED_BACKENDS = {
    '2.0.16': 'django.core.cache.backends.memcached.MemcachedCache',
    '8.1': 'django.core.cache.backends.memcached.PyMemcacheCache',
}

# No mail may leave for anywhere. With SQLite, a thread otherwise gives up when
# it has waited for another for five seconds.
LOCAL_SETTINGS = """

EMAIL_BACKEND = 'django.core.mail.backends.dummy.EmailBackend'
DATABASES['default']['OPTIONS'] = {'timeout': 30}
"""

# An error outside of a view would be known only from the mail about it.
LOGGING_SETTINGS = """
LOGGING = {
    'version': 1,
    'disable_existing_loggers': False,
    'handlers': {'stderr': {'class': 'logging.StreamHandler'}},
    'loggers': {
        'django.request': {
            'handlers': ['stderr'],
            'level': 'ERROR',
            'propagate': False,
        },
    },
}
"""


class Site:
    """A site of a Review Board release."""

    def __init__(self, installation, directory, logs):
        """Initialize the site, without making it.

        Args:
            installation (acceptance_site.installation.Installation):
                The installed release.

            directory (pathlib.Path):
                The directory to make it in.

            logs (pathlib.Path):
                The directory for the logs.
        """
        self.installation = installation
        self.directory = directory
        self.log = logs / ('site-%s.log' % installation.release)
        self.review_board_log = self.directory / 'logs' / 'reviewboard.log'
        self.env = dict(
            os.environ,
            DJANGO_SETTINGS_MODULE='reviewboard.settings',
            HOME=str(self.directory / 'data'),
            PYTHONDONTWRITEBYTECODE='1',
            PYTHONPATH=os.pathsep.join([str(Path(__file__).parents[1]),
                                        str(self.directory / 'conf')]),
            REVIEWBOARD_SITEDIR=str(self.directory),
            VIRTUAL_ENV=str(installation.directory))

    def make(self, memcached):
        """Make the site anew, and populate it.

        Args:
            memcached (acceptance_site.memcached.Memcached):
                The cache server.
        """
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.parent.mkdir(parents=True, exist_ok=True)

        argv = [
            self.installation.directory / 'bin' / 'rb-site', 'install',
            '--noinput', '--opt-out-support-data',
            # The list of sites would be in /etc otherwise.
            '--sitelist=%s' % (self.directory.parent / 'sitelist'),
            '--company=Acceptance', '--domain-name=127.0.0.1',
            '--site-root=/', '--static-url=static/', '--media-url=media/',
            '--db-type=sqlite3',
            '--db-name=%s' % (self.directory / 'data' / 'reviewboard.db'),
            '--cache-type=memcached', '--cache-info=%s' % memcached.location,
            '--admin-user=admin', '--admin-password=%s' % PASSWORD,
            '--admin-email=admin@example.com',
        ]

        local_settings = LOCAL_SETTINGS

        if self.installation.release == '2.0.16':
            local_settings += LOGGING_SETTINGS
            argv += ['--web-server-type=apache', '--python-loader=wsgi']

        processes.run(argv + [self.directory], self.log, timeout=180)

        with open(self.directory / 'conf' / 'settings_local.py', 'a') as fp:
            fp.write(local_settings)

        self.run_module('populate', NUM_USERS, NUM_REVIEW_REQUESTS, PASSWORD)

    def run_module(self, name, *args):
        """Run one of our modules with the site's Python and settings.

        Args:
            name (str):
                The name of the module.

            *args (tuple):
                Its arguments.
        """
        processes.run([self.installation.python, '-m',
                       'acceptance_site.%s' % name, *args],
                      self.log, timeout=180, env=self.env)

    def use_memcached(self, *memcacheds):
        """Have the site use one or more cache servers.

        Args:
            *memcacheds (tuple of acceptance_site.memcached.Memcached):
                The cache servers.
        """
        self.run_module('set_cache',
                        MEMCACHED_BACKENDS[self.installation.release],
                        get_location(memcacheds))


def get_location(memcacheds):
    """Return the location of cache servers.

    Args:
        memcacheds (iterable of acceptance_site.memcached.Memcached):
            The cache servers.

    Returns:
        str:
        The location, as in the settings form.
    """
    return ';'.join(memcached.location for memcached in memcacheds)
