"""What the parts of an acceptance run share."""

import fcntl
from pathlib import Path

from djblets_backport.bootstrap import get_cache_dir
from djblets_backport.errors import BackportError

from acceptance_site.installation import Installation, Modules, get_title
from acceptance_site.memcached import Memcached
from acceptance_site.review_board import Site
from acceptance_site.server import Server


class Run:
    """An acceptance run.

    This is a context manager, which keeps other runs away meanwhile. They
    would change the module in the same environments.

    Attributes:
        directory (pathlib.Path):
            The directory for all that's made. It's kept, to look into.

        options (argparse.Namespace):
            The options from the command line.

        progress (djblets_backport.progress.Progress):
            What shows the progress.
    """

    def __init__(self, options, progress):
        """Initialize the run.

        Args:
            options (argparse.Namespace):
                The options from the command line.

            progress (djblets_backport.progress.Progress):
                What shows the progress.
        """
        self.options = options
        self.progress = progress
        self.directory = Path(get_cache_dir()) / 'acceptance'
        self.logs = self.directory / 'logs'
        self.modules = Modules(progress)

    def __enter__(self):
        self.logs.mkdir(parents=True, exist_ok=True)
        self.lock = open(self.directory / 'lock', 'w')

        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock.close()

            raise BackportError('Another acceptance run is under way in %s'
                                % self.directory)

        return self

    def __exit__(self, *args):
        self.lock.close()

    def get_site(self, release):
        """Return a site of a release, which is installed if needed.

        Args:
            release (str):
                The Review Board release.

        Returns:
            acceptance_site.review_board.Site:
            The site, which still has to be made.
        """
        installation = Installation(release, self.options.pythons[release],
                                    self.logs, self.progress)

        return Site(installation, self.directory / 'sites' / release,
                    self.logs)

    def start_memcached(self):
        """Return a cache server to be started.

        Returns:
            acceptance_site.memcached.Memcached:
            The server, as a context manager.
        """
        return Memcached(self.options.memcached, self.logs / 'memcached.log')

    def make_site(self, site, memcached):
        """Make a site anew, and populate it.

        Args:
            site (acceptance_site.review_board.Site):
                The site.

            memcached (acceptance_site.memcached.Memcached):
                The cache server.
        """
        self.progress.step('Making a site of Review Board %s'
                           % site.installation.release)
        site.make(memcached)

    def start_server(self, site, module, name, memcacheds, num_processes,
                     num_threads):
        """Put a module in place, and return a web server to be started.

        Args:
            site (acceptance_site.review_board.Site):
                The site.

            module (str):
                The name of the module.

            name (str):
                A name for what's done with it.

            memcacheds (list of acceptance_site.memcached.Memcached):
                The cache servers to count commands to.

            num_processes (int):
                The number of processes.

            num_threads (int):
                The number of threads in each process.

        Returns:
            acceptance_site.server.Server:
            The server, as a context manager.
        """
        self.progress.step(
            '%s: Review Board %s, %d x %d threads, the module of %s'
            % (name, site.installation.release, num_processes, num_threads,
               get_title(module)))
        site.installation.use_module(self.modules.get_text(module))

        return Server(site, memcacheds, '%s-%s' % (name, module),
                      num_processes, num_threads)

    def show(self, what):
        """Return a function that shows how many requests were answered.

        Args:
            what (str):
                What the requests are.

        Returns:
            callable:
            The function, given the number so far and in all.
        """
        def _show(number, total):
            self.progress.update('%s: %d of %d requests'
                                 % (what, number, total))

        return _show
