"""Delivers the forwarding cache backend's fix to released Djblets.

This holds the revision of the series, which is kept here alone.
"""

#: The revision of the series, which is part of the patched wheels' version.
REVISION = 1

#: The date of the revision, which is used for all that has to have a date.
REVISION_DATE = '2026-11-23'
