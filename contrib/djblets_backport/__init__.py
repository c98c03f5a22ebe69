"""Puts the forwarding cache backend's fix into released Djblets."""

import os


HERE = os.path.dirname(os.path.abspath(__file__))

#: The checkout that this is in, if any. Where it's installed, setup.py has put
#: our modules for Djblets inside of the package.
CHECKOUT, PAYLOAD = None, os.path.join(HERE, 'payload')

if not os.path.exists(PAYLOAD):
    CHECKOUT = os.path.dirname(os.path.dirname(HERE))
    PAYLOAD = os.path.join(CHECKOUT, 'djblets', 'cache')


class BackportError(Exception):
    """Something failed, though what was asked for was right."""


class BadInput(BackportError):
    """What was asked for can't be done, and the message says what can."""
