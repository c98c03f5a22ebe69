"""The WSGI application that's served: Review Board's own, and a record of it.

gunicorn imports this under the Python of the Review Board release, 2.7 or 3.
Each request adds a line of JSON to a file of its process, with what can't be
seen from outside: its thread, the commands that this thread sent to each
memcached server, and the exceptions, including those after the response.
"""

from __future__ import unicode_literals

import io
import json
import os
import re
import socket
import sys
import threading
import time


cache_ports = [int(port) for port in os.environ['ACCEPTANCE_PORTS'].split()]


class _Current(threading.local):
    """What the current thread's request has done so far."""

    def __init__(self):
        self.clear()

    def clear(self):
        """Start over, for the next request."""
        self.commands = dict((port, 0) for port in cache_ports)
        self.exceptions = []

    def add_exception(self, place):
        """Add the exception that's being handled.

        Args:
            place (unicode):
                Where it was seen.
        """
        exc_type, exc_value = sys.exc_info()[:2]
        self.exceptions.append([
            place,
            exc_type.__name__,
            re.sub('0x[0-9a-f]+', '0x...', '%s' % exc_value)[:160],
        ])


_current = _Current()

# The server's and the local port of each connection to a memcached server, and
# the thread that it was made by.
_connections = []


class _CountingSocket(socket.socket):
    """A socket that counts the commands to the memcached servers."""

    _cache_port = None

    def connect(self, address):
        super(_CountingSocket, self).connect(address)

        if isinstance(address, tuple) and address[1] in cache_ports:
            self._cache_port = address[1]
            _connections.append([address[1], self.getsockname()[1],
                                 threading.current_thread().name])

    def sendall(self, *args):
        if self._cache_port is not None:
            _current.commands[self._cache_port] += 1

        return super(_CountingSocket, self).sendall(*args)


# The memcached clients look this up for every connection.
socket.socket = _CountingSocket

# This is the file that rb-site made for the web server.
_wsgi_file = os.path.join(os.environ['ACCEPTANCE_SITE'], 'htdocs',
                          'reviewboard.wsgi')
_wsgi = {'__name__': str('reviewboard_wsgi')}

with open(_wsgi_file) as fp:
    exec(compile(fp.read(), _wsgi_file, 'exec'), _wsgi)


from django.conf import settings  # noqa: E402
from django.core.signals import got_request_exception  # noqa: E402


def _on_exception(**kwargs):
    """Note an exception that becomes an HTTP 500.

    Args:
        **kwargs (dict):
            What the signal comes with.
    """
    _current.add_exception('in the request')


got_request_exception.connect(_on_exception, weak=False)

_record = io.open(
    os.path.join(os.environ['ACCEPTANCE_RECORDS'], '%d.jsonl' % os.getpid()),
    'a', encoding='utf-8')
_record_lock = threading.Lock()


def _get_configured_location():
    """Return the cache server, or servers, in this process's settings.

    Returns:
        unicode:
        The location of the backend that's forwarded to, as in the form.
    """
    location = settings.CACHES.get('forwarded_backend', {}).get('LOCATION')

    return ';'.join(location) if isinstance(location, list) else location


class _Response(object):
    """A response that's recorded once it's closed."""

    def __init__(self, response, request):
        self.response = response
        self.request = request

    def __iter__(self):
        return iter(self.response)

    def close(self):
        """Close the response, and record the request.

        Raises:
            Exception:
                Something went wrong after the response.
        """
        try:
            if hasattr(self.response, 'close'):
                self.response.close()
        except Exception:
            _current.add_exception('after the response')
            raise
        finally:
            self.request.update({
                'end': time.time(),
                'commands': _current.commands,
                'exceptions': _current.exceptions,
            })

            with _record_lock:
                self.request['connections'] = _connections[:]
                del _connections[:len(self.request['connections'])]
                _record.write('%s\n' % json.dumps(self.request))
                _record.flush()


def application(environ, start_response):
    """Serve a request with Review Board, and record it.

    Args:
        environ (dict):
            The WSGI environment.

        start_response (callable):
            The WSGI server's function for the status and headers.

    Returns:
        iterable:
        The response.
    """
    _current.clear()
    request = {
        'start': time.time(),
        'pid': os.getpid(),
        'thread': threading.current_thread().ident,
        'method': environ['REQUEST_METHOD'],
        'path': environ['PATH_INFO'],
        'configured': _get_configured_location(),
        'status': None,
    }

    def start(status, *args, **kwargs):
        request['status'] = int(status.split()[0])

        return start_response(status, *args, **kwargs)

    try:
        return _Response(_wsgi['application'](environ, start), request)
    except Exception:
        _current.add_exception('outside of the view')
        _Response([], request).close()
        raise
