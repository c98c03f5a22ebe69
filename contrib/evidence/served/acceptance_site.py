"""Changes to a site, as an administrator would make them in a shell.

Run by the Python of a Review Board release, 2.7 or 3, with the name of a
function and its arguments.
"""

from __future__ import unicode_literals

import os
import sys

import django

if hasattr(django, 'setup'):
    django.setup()

from django.conf import settings
from django.contrib.auth.models import User
from djblets.siteconfig.models import SiteConfiguration
from reviewboard import initialize
from reviewboard.reviews.models import (Group, Review, ReviewRequest,
                                        ReviewRequestDraft)
from reviewboard.scmtools.models import Repository, Tool


def populate(num_users, num_review_requests, password):
    """Add users, a group, and review requests with a review each."""
    _store(logging_enabled=True,
           logging_directory=os.path.join(settings.LOCAL_ROOT, 'logs'))
    users = [
        User.objects.create_user('user%d' % i, 'user%d@example.com' % i,
                                 password)
        for i in range(1, int(num_users) + 1)
    ]
    group = Group.objects.create(name='group1', display_name='Group 1')
    group.users.add(*users)

    for i in range(int(num_review_requests)):
        i %= len(users)
        user = users[i]
        review_request = ReviewRequest.objects.create(user, None)
        draft = ReviewRequestDraft.create(review_request)
        draft.summary = 'Change of %s.' % user.username
        draft.description = 'What this changes, and why. ' * 20
        draft.save()
        draft.target_groups.add(group)
        review_request.publish(user)
        Review.objects.create(
            review_request=review_request, user=users[i - 1],
            body_top='One more thing. ' * 10).publish(users[i - 1])

    # The first start adds the tables of extensions that come along.
    initialize()


def set_cache(backend, *location):
    """Store a cache backend, without the checks of the settings form."""
    _store(cache_backend={
        'forwarded_backend': {
            'BACKEND': backend,
            'LOCATION': list(location),
        },
    })


def add_repository(path):
    """Add a git repository."""
    initialize()
    Repository.objects.create(name='Djblets', path=path,
                              tool=Tool.objects.get(name='Git'))


def _store(**values):
    """Store values in the site's configuration."""
    siteconfig = SiteConfiguration.objects.get_current()

    for name, value in values.items():
        siteconfig.set(name, value)

    siteconfig.save()


if __name__ == '__main__':
    globals()[sys.argv[1]](*('%s' % arg for arg in sys.argv[2:]))
