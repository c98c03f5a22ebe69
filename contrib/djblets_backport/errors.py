"""The errors that a user can do something about."""


class BackportError(Exception):
    """An error that's shown to the user as one line."""


class NotVerified(BackportError):
    """Something was made, but couldn't be tried out on this machine."""
