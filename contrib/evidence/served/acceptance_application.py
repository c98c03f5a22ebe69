"""The WSGI application that's served: Review Board's own, and a record of it.

gunicorn imports this under the Python of a Review Board release, 2.7 or 3.
Each process adds lines of JSON to one file: the forwarding module that it has
imported, what it logs, and for each request what can't be seen from outside.
"""

from __future__ import unicode_literals

import collections
import hashlib
import json
import logging
import os
import socket
import sys
import threading
import time
import traceback


_records = open(os.environ['ACCEPTANCE_RECORDS'], 'ab', 0)

# What a thread's request has done: the ports it used, and its errors.
_ports = collections.defaultdict(set)
_errors = collections.defaultdict(list)


class _NotingSocket(socket.socket):
    """A socket that notes the ports of the servers that it talks to."""

    def connect(self, address):
        super(_NotingSocket, self).connect(address)
        self._port = address[1]

    def sendall(self, *args):
        _ports[_get_thread()].add(getattr(self, '_port', None))

        return super(_NotingSocket, self).sendall(*args)


class _Handler(logging.Handler):
    """What records warnings and errors, with the end of their tracebacks."""

    def emit(self, record):
        text = logging.Formatter().format(record)
        _add(logged='%s ... %s' % (text[:200], text[-200:]))


def application(environ, start_response):
    """Serve a request with Review Board, and record it."""
    thread = _get_thread()
    _ports.pop(thread, None)
    record = {
        'start': time.time(),
        'thread': thread,
        'path': environ['PATH_INFO'],
        'configured': settings.CACHES['forwarded_backend']['LOCATION'],
        'status': 500,
    }

    try:
        response = _review_board['application'](environ, start_response)
        record['status'] = response.status_code

        try:
            for chunk in response:
                yield chunk
        finally:
            # This is what request_finished is sent by.
            response.close()
    except Exception:
        _add_error()
        raise
    finally:
        _add(ports=list(_ports[thread]), errors=_errors.pop(thread, []),
             **record)


def _get_thread():
    """Return what tells a thread from those of all processes."""
    return '%d-%d' % (os.getpid(), threading.current_thread().ident)


def _add(**record):
    """Add a record, in one piece."""
    line = json.dumps(dict(record, pid=os.getpid())) + '\n'
    _records.write(line.encode('utf-8'))


def _add_error(**kwargs):
    """Note the exception that's being handled, and the file it comes from."""
    exc_type, exc_value, tb = sys.exc_info()
    _errors[_get_thread()].append([
        '%s: %.200s' % (exc_type.__name__, exc_value),
        traceback.extract_tb(tb)[-1][0]])


# The clients look this up for every connection.
socket.socket = _NotingSocket

# This is the file that rb-site made for the web server.
_path = os.path.join(os.environ['REVIEWBOARD_SITEDIR'], 'htdocs',
                     'reviewboard.wsgi')
_review_board = {'__name__': str('reviewboard_wsgi')}

with open(_path) as fp:
    exec(compile(fp.read(), _path, 'exec'), _review_board)


from django.conf import settings  # noqa: E402
from django.core.signals import got_request_exception  # noqa: E402
from djblets.cache import forwarding_backend  # noqa: E402


got_request_exception.connect(_add_error, weak=False)
logging.getLogger().addHandler(_Handler(level=logging.WARNING))
_path = os.path.realpath(forwarding_backend.__file__.replace('.pyc', '.py'))

with open(_path, 'rb') as fp:
    _add(module=[_path, hashlib.sha256(fp.read()).hexdigest()])
