"""The WSGI application that's served: Review Board's own, and a record of it.

gunicorn imports this under the Python of a Review Board release, 2.7 or 3.
Each process adds lines of JSON to one file: the forwarding module that it has
imported, what it logs, and for each request what can't be seen from outside.
"""

from __future__ import unicode_literals

import hashlib
import io
import json
import logging
import os
import socket
import sys
import threading
import time
import traceback


_record = os.open(os.environ['ACCEPTANCE_RECORDS'],
                  os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)


class _Current(threading.local):
    """What a thread's request has done: commands by port, and errors."""

    commands = {}
    errors = []


class _CountingSocket(socket.socket):
    """A socket that counts the commands to each cache server."""

    def connect(self, address):
        super(_CountingSocket, self).connect(address)
        self._port = '%s' % (address[1],)

    def sendall(self, *args):
        port = getattr(self, '_port', None)
        _current.commands[port] = _current.commands.get(port, 0) + 1

        return super(_CountingSocket, self).sendall(*args)


class _Handler(logging.Handler):
    """What records warnings and errors, with the end of their tracebacks."""

    def emit(self, record):
        text = logging.Formatter().format(record)
        _add(logged='%s ... %s' % (text[:200], text[-200:]))


class _Response(object):
    """A response that's recorded once it's closed."""

    def __init__(self, response, request):
        self.response = response
        self.request = request

    def __iter__(self):
        return iter(self.response)

    def close(self):
        try:
            if hasattr(self.response, 'close'):
                self.response.close()
        except Exception:
            _add_error('after the response')
            raise
        finally:
            _add(end=time.time(), errors=_current.errors,
                 commands=_current.commands, **self.request)


def application(environ, start_response):
    """Serve a request with Review Board, and record it."""
    location = settings.CACHES.get('forwarded_backend', {}).get('LOCATION')
    _current.errors = []
    _current.commands = {}
    request = {
        'start': time.time(),
        'thread': threading.current_thread().ident,
        'path': environ['PATH_INFO'],
        'configured': location if isinstance(location, list) else [location],
        'status': None,
    }

    def start(status, *args, **kwargs):
        request['status'] = int(status.split()[0])

        return start_response(status, *args, **kwargs)

    try:
        return _Response(_review_board['application'](environ, start),
                         request)
    except Exception:
        _add_error('outside of the view')
        _Response([], request).close()
        raise


def _add(**record):
    """Add a record, in one piece."""
    os.write(_record, (json.dumps(dict(record, pid=os.getpid())) +
                       '\n').encode('utf-8'))


def _add_error(place='in the request', **kwargs):
    """Note the exception that's being handled."""
    exc_type, exc_value, tb = sys.exc_info()
    _current.errors.append({
        'place': place,
        'error': ('%s: %s' % (exc_type.__name__, exc_value))[:200],
        'in_module': traceback.extract_tb(tb)[-1][0].startswith(_module),
    })


_current = _Current()

# The clients look this up for every connection.
socket.socket = _CountingSocket

# This is the file that rb-site made for the web server.
_path = os.path.join(os.environ['REVIEWBOARD_SITEDIR'], 'htdocs',
                     'reviewboard.wsgi')
_review_board = {'__name__': str('reviewboard_wsgi')}

with open(_path) as fp:
    exec(compile(fp.read(), _path, 'exec'), _review_board)


from django.conf import settings  # noqa: E402
from django.core.signals import got_request_exception  # noqa: E402
from djblets.cache import forwarding_backend  # noqa: E402


_module = forwarding_backend.__file__.rpartition('.')[0] + '.py'
got_request_exception.connect(_add_error, weak=False)
logging.getLogger().addHandler(_Handler(level=logging.WARNING))

with io.open(_module, 'rb') as fp:
    _add(module=os.path.realpath(_module),
         sha256=hashlib.sha256(fp.read()).hexdigest())
