"""The part of Djblets that the series replaces or adds.

This file is not part of the series. It lets the modules in this checkout stand
in front of an installed Djblets, which supplies all the others. Without one,
the forwarding backend can still be imported.
"""

from __future__ import unicode_literals

import pkgutil


__path__ = pkgutil.extend_path(__path__, __name__)
