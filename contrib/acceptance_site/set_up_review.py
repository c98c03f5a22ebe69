"""Prepare a site for posting changes, as an administrator would.

Run by the Python of the Review Board release::

    python -m acceptance_site.set_up_review ADDRESS REPOSITORY BROKER_URL
"""

import sys

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sites.models import Site  # noqa: E402
from reviewboard import initialize  # noqa: E402
from reviewboard.extensions.base import get_extension_manager  # noqa: E402
from reviewboard.scmtools.models import Repository, Tool  # noqa: E402


EXTENSION_ID = 'reviewbotext.extension.ReviewBotExtension'


def set_up_review(address, repository_path, broker_url):
    """Register a git repository, and enable Review Bot.

    Args:
        address (str):
            The host and port of the server, for URLs in what's sent.

        repository_path (str):
            The path of the repository.

        broker_url (str):
            The URL of the message broker.
    """
    initialize()

    Site.objects.update(domain=address)
    Repository.objects.create(
        name='Djblets', path=repository_path,
        tool=Tool.objects.get(name='Git'))

    extension = get_extension_manager().enable_extension(EXTENSION_ID)
    extension.settings['broker_url'] = broker_url
    # It registers its tools, and reviews what others post.
    extension.settings['user'] = User.objects.create_user(
        'reviewbot', 'reviewbot@example.com').pk
    extension.settings.save()


if __name__ == '__main__':
    set_up_review(*sys.argv[1:])
