"""Puts the forwarding cache backend's fix into released Djblets."""


class BackportError(Exception):
    """Something failed, though what was asked for was right."""


class BadInput(BackportError):
    """What was asked for can't be done, and the message says what can."""
