"""Runs Django's own cache tests from the source archive of a Django.

Only the source archives have the tests. This takes that of the Django which
an environment has, with the environment's own pip.
"""

import glob
import os
import shutil
import subprocess
import sys
import tarfile


HERE = os.path.dirname(os.path.abspath(__file__))

sys.path.insert(0, os.path.join(HERE, '..', '..', 'contrib'))


from djblets_backport.bootstrap import ensure_made  # noqa: E402


def ensure_archive(python):
    """Return the directory that Django's source archive is unpacked to.

    Args:
        python (str):
            The path of the environment's Python.

    Returns:
        str:
        The path of the directory.
    """
    version = subprocess.check_output(
        [python, '-c', 'import django; print(django.get_version())'],
        encoding='ascii').strip()

    def _make(path):
        download_dir = path + '.download'

        try:
            subprocess.check_call(
                [python, '-m', 'pip', '--disable-pip-version-check',
                 'download', '--quiet', '--no-deps', '--no-binary', ':all:',
                 '--dest', download_dir, 'Django==%s' % version],
                stdout=subprocess.DEVNULL)
            archive_path, = glob.glob(os.path.join(download_dir, '*.tar.gz'))

            with tarfile.open(archive_path) as archive:
                archive.extractall(path)
        finally:
            shutil.rmtree(download_dir, ignore_errors=True)

    path = ensure_made('django', version, [version], _make)

    return glob.glob(os.path.join(path, '[Dd]jango-*'))[0]


def main():
    """Run the tests.

    The arguments are the environment's Python, the directory with the djblets
    package, the path for the results, and the names of the tests.
    """
    python, site, xunit = sys.argv[1:4]
    archive_dir = ensure_archive(python)

    sys.exit(subprocess.call(
        [python, os.path.join(HERE, 'run_django_suite.py'), site, xunit] +
        sys.argv[4:],
        cwd=os.path.join(archive_dir, 'tests'),
        # Django's tests use the Django that they come with.
        env=dict(os.environ, PYTHONPATH=archive_dir)))


if __name__ == '__main__':
    main()
