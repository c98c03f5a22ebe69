"""Populate a site, as a management shell would.

Run by the Python of the Review Board release, 2.7 or 3::

    python -m acceptance_site.populate USERS REVIEW_REQUESTS PASSWORD
"""

from __future__ import print_function, unicode_literals

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


def populate(num_users, num_review_requests, password):
    """Add users, groups, review requests and reviews to a site.

    Args:
        num_users (int):
            The number of users.

        num_review_requests (int):
            The number of review requests, with two reviews each.

        password (unicode):
            The password of all users.
    """
    siteconfig = SiteConfiguration.objects.get_current()
    siteconfig.set('logging_enabled', True)
    siteconfig.set('logging_directory',
                   os.path.join(settings.LOCAL_ROOT, 'logs'))
    siteconfig.save()

    users = [
        User.objects.create_user('user%d' % i, 'user%d@example.com' % i,
                                 password)
        for i in range(1, num_users + 1)
    ]
    groups = []

    for i in (1, 2):
        group = Group.objects.create(name='group%d' % i,
                                     display_name='Group %d' % i)
        group.users.add(*users[i::2])
        groups.append(group)

    for i in range(num_review_requests):
        user, reviewer, other = (users[(i + j) % num_users] for j in range(3))
        review_request = ReviewRequest.objects.create(user, None)

        draft = ReviewRequestDraft.create(review_request)
        draft.summary = 'Change number %d.' % (i + 1)
        draft.description = 'What this changes, and why. ' * 20
        draft.testing_done = 'Ran all of the tests.'
        draft.save()
        draft.target_people.add(reviewer)
        draft.target_groups.add(groups[i % 2])
        review_request.publish(user)

        for author in (reviewer, other):
            review = Review.objects.create(review_request=review_request,
                                           user=author,
                                           body_top='One more thing. ' * 10)
            review.publish(author)

    # The first start adds the tables of extensions that come along.
    initialize()


if __name__ == '__main__':
    populate(int(sys.argv[1]), int(sys.argv[2]), '%s' % sys.argv[3])
