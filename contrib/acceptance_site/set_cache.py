"""Put a cache backend in a site's database, as a management shell would.

Run by the Python of the Review Board release, 2.7 or 3::

    python -m acceptance_site.set_cache BACKEND LOCATION
"""

from __future__ import unicode_literals

import sys

import django

if hasattr(django, 'setup'):
    django.setup()

from djblets.siteconfig.models import SiteConfiguration


def set_cache(backend, location):
    """Store a cache backend, without checking it as the form would.

    Args:
        backend (unicode):
            The path of the class.

        location (unicode):
            Its location, or locations with semicolons in between.
    """
    siteconfig = SiteConfiguration.objects.get_current()
    siteconfig.set('cache_backend', {
        'forwarded_backend': {
            'BACKEND': backend,
            'LOCATION': location.split(';'),
        },
    })
    siteconfig.save()


if __name__ == '__main__':
    set_cache(*('%s' % arg for arg in sys.argv[1:]))
