"""Changes to a site, as an administrator would make them in a shell.

Run by the Python of a Review Board release, 2.7 or 3, with the name of a
function and its arguments.
"""

from __future__ import unicode_literals

import sys

import django

if hasattr(django, 'setup'):
    django.setup()

from django.contrib.auth.models import User
from djblets.siteconfig.models import SiteConfiguration
from reviewboard import initialize
from reviewboard.reviews.models import ReviewRequest, ReviewRequestDraft


def populate(num_users, num_review_requests, password):
    """Add users, and review requests of theirs."""
    users = [
        User.objects.create_user('user%d' % i, 'user%d@example.com' % i,
                                 password)
        for i in range(1, int(num_users) + 1)
    ]

    for i in range(int(num_review_requests)):
        user = users[i % len(users)]
        review_request = ReviewRequest.objects.create(user, None)
        draft = ReviewRequestDraft.create(review_request)
        draft.summary = draft.description = 'Change of %s. ' % user.username
        draft.save()
        draft.target_people.add(users[i % len(users) - 1])
        review_request.publish(user)

    # The first start adds the tables of extensions that come along.
    initialize()


def set_cache(*addresses):
    """Store the addresses of the cache servers."""
    store_backend(
        'django.core.cache.backends.memcached.%s' % (
            'PyMemcacheCache' if django.VERSION >= (3, 2) else
            'MemcachedCache'),
        *addresses)


def store_backend(backend, *location):
    """Store a cache backend, without the checks of the settings form."""
    siteconfig = SiteConfiguration.objects.get_current()
    siteconfig.set('cache_backend', {
        'forwarded_backend': {
            'BACKEND': backend,
            'LOCATION': list(location),
        },
    })
    siteconfig.save()


if __name__ == '__main__':
    globals()[sys.argv[1]](*('%s' % arg for arg in sys.argv[2:]))
