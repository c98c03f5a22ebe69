"""Tests that processes of one site follow a changed cache configuration.

What carries a change from one process to another is Djblets' own
GenerationSynchronizer. What carries it to the threads is the forwarder.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest


from djblets_backport import verify
from djblets_backport.archive import Registry
from djblets_backport.errors import NotVerified
from djblets_backport.progress import Progress
from djblets_backport.source import Sources
from running.trees import ROOT_DIR, make_official_tree, make_patched_tree


class SiteProcess(object):
    """A process of a site."""

    def __init__(self, python, site, database, port):
        """Start the process.

        Args:
            python (str):
                The path of the Python to run it with.

            site (str):
                The directory with the djblets package.

            database (str):
                The path of the database.

            port (int):
                The port of memcached.
        """
        self.process = subprocess.Popen(
            [python,
             os.path.join(ROOT_DIR, 'tests', 'site_processes',
                          'site_process.py'),
             site, database, str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding='utf-8')

    def tell(self, command):
        """Have the process do something.

        Args:
            command (str):
                The command.

        Returns:
            object:
            The answer.
        """
        self.process.stdin.write('%s\n' % command)
        self.process.stdin.flush()

        return json.loads(self.process.stdout.readline())

    def stop(self):
        """Stop the process."""
        self.process.kill()
        self.process.communicate()


class SiteProcessesTests(unittest.TestCase):
    """Tests that processes of one site follow a changed configuration."""

    def setUp(self):
        super(SiteProcessesTests, self).setUp()

        program = shutil.which('memcached')

        if not program:
            raise unittest.SkipTest('This needs memcached')

        self.sources = Sources(Registry(), [], Progress(quiet=True))
        self.temp_dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.temp_dir)

        with socket.socket() as unused:
            unused.bind(('127.0.0.1', 0))
            self.port = unused.getsockname()[1]

        self.memcached = subprocess.Popen(
            [program, '-l', '127.0.0.1', '-p', str(self.port), '-U', '0'] +
            (['-u', 'root'] if os.getuid() == 0 else []))
        self.addCleanup(self.memcached.wait)
        self.addCleanup(self.memcached.kill)

        deadline = time.monotonic() + 30

        while True:
            try:
                socket.create_connection(('127.0.0.1', self.port)).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise

                time.sleep(0.05)

    def get_timeouts(self, version, environment, make_tree):
        """Return the time-outs that two processes see after a change.

        Args:
            version (str):
                The release to run.

            environment (str):
                The environment to run it in.

            make_tree (callable):
                The function that makes a tree of it.

        Returns:
            list:
            The time-outs that each process sees at its next request, in the
            thread of the request and in another one.
        """
        try:
            python = verify.ensure_test_environment(environment,
                                                    Progress(quiet=True))
        except NotVerified as e:
            raise unittest.SkipTest(str(e))

        site = make_tree(version, self.sources)
        database = os.path.join(self.temp_dir, 'site.db')
        processes = []

        for i in range(2):
            processes.append(SiteProcess(python, site, database, self.port))
            self.addCleanup(processes[-1].stop)

        processes[0].tell('create')

        for process in processes:
            self.assertEqual(process.tell('request'), [300, 300])

        processes[0].tell('store 77')

        return [process.tell('request') for process in processes]

    def test_with_0_8(self):
        """Testing processes of a site with 0.8.13"""
        self.assertEqual(
            self.get_timeouts('0.8.13', 'py27-django16', make_patched_tree),
            [[77, 77], [77, 77]])

    def test_with_2(self):
        """Testing processes of a site with 2.3.4"""
        self.assertEqual(
            self.get_timeouts('2.3.4', 'py27-django111', make_patched_tree),
            [[77, 77], [77, 77]])

    def test_with_2_unfixed(self):
        """Testing processes of a site with 2.3.4 without the series"""
        self.assertEqual(
            self.get_timeouts('2.3.4', 'py27-django111', make_official_tree),
            [[300, 300], [300, 300]])

    def test_with_4(self):
        """Testing processes of a site with 4.0"""
        self.assertEqual(
            self.get_timeouts('4.0', 'py38-django32', make_patched_tree),
            [[77, 77], [77, 77]])

    def test_with_6(self):
        """Testing processes of a site with 6.1"""
        self.assertEqual(
            self.get_timeouts('6.1', 'py311-django42', make_patched_tree),
            [[77, 77], [77, 77]])

    def test_with_6_unfixed(self):
        """Testing processes of a site with 6.1 without the series"""
        self.assertEqual(
            self.get_timeouts('6.1', 'py311-django42', make_official_tree),
            [[77, 300], [77, 300]])
