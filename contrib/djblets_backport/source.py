"""Finds what a release's series and wheel are made from.

That's the official archives from the package registry, or archives and trees
that the user has given.
"""

import os
import re

from packaging.version import InvalidVersion, Version

from .archive import check_sha256, get_blob_id, get_sha256, read_files
from .catalogue import (MODULE_PATH, find_content_versions, find_release,
                        get_tests_path, load)
from .errors import BackportError
from .series import check_module


class Given(object):
    """An archive or tree that the user has given."""

    def __init__(self, path):
        """Initialize this.

        Args:
            path (str):
                The path of the archive or tree.

        Raises:
            djblets_backport.errors.BackportError:
                It can't be read, isn't official though its name is, or has no
                module that could be patched.
        """
        self.path = path
        self.files = None
        self.sha256 = None

        #: The release that it's of, if that's known.
        self.version = None

        if os.path.isdir(path):
            self._read_tree()
        elif os.path.exists(path):
            self._read_archive()
        else:
            raise BackportError('%s does not exist' % path)

        check_module(self.module, path)

        if self.version is None:
            versions = find_content_versions(get_blob_id(self.module))

            if len(versions) == 1:
                self.version = versions[0]

    def _read_tree(self):
        """Read what's needed of a tree."""
        names = [
            name
            for name in (MODULE_PATH, 'djblets/cache/tests/__init__.py')
            if os.path.isfile(os.path.join(self.path, *name.split('/')))
        ]

        if MODULE_PATH not in names:
            raise BackportError(
                '%s has no %s: Djblets before 0.8.12 has nothing to fix'
                % (self.path, MODULE_PATH))

        try:
            with open(os.path.join(self.path, *MODULE_PATH.split('/')),
                      'rb') as fp:
                self.module = fp.read()
        except OSError as e:
            raise BackportError('%s cannot be read: %s' % (self.path, e))

        self.tests_path = get_tests_path(names)

    def _read_archive(self):
        """Read an archive, and see whether it's an official one."""
        filename = os.path.basename(self.path)

        try:
            self.sha256 = get_sha256(self.path)
        except OSError as e:
            raise BackportError('%s cannot be read: %s' % (self.path, e))

        for release in load().values():
            for archive in (release.sdist, release.wheel):
                if archive and filename == archive.filename:
                    check_sha256(self.path, self.path, archive.sha256)

                if archive and self.sha256 == archive.sha256:
                    self.version = release.version

        self.files = read_files(self.path)

        if self.version is None:
            match = re.search(br'^Version: (\S+)',
                              self.files.get('PKG-INFO', b''), re.MULTILINE)

            if match:
                version = match.group(1).decode('ascii', 'replace')

                try:
                    Version(version)
                except InvalidVersion:
                    pass
                else:
                    self.version = find_release(version).version

        if MODULE_PATH not in self.files:
            raise BackportError(
                '%s has no %s: it is not Djblets, or one before 0.8.12, which '
                'has nothing to fix' % (self.path, MODULE_PATH))

        self.module = self.files[MODULE_PATH]
        self.tests_path = get_tests_path(self.files)


class Sources(object):
    """What all series and wheels are made from."""

    def __init__(self, registry, paths, progress):
        """Initialize the sources.

        Args:
            registry (djblets_backport.archive.Registry):
                The package registry.

            paths (list of str):
                The archives and trees that the user has given, if any.

            progress (djblets_backport.progress.Progress):
                What shows the progress.
        """
        self.registry = registry
        self.progress = progress
        self.given = [Given(path) for path in paths]

    def get_versions(self, versions):
        """Return the releases to make something for.

        Args:
            versions (list of str):
                The releases that the user has asked for, if any.

        Returns:
            list of str:
            The releases.

        Raises:
            djblets_backport.errors.BackportError:
                There's no such release, or it's not known which one a given
                tree is of.
        """
        for version in versions:
            find_release(version)

        if versions or not self.given:
            return versions

        for given in self.given:
            if given.version is None:
                raise BackportError(
                    '%s does not tell its release: add it to the command '
                    '(its module is that of %s)'
                    % (given.path, ', '.join(find_content_versions(
                        get_blob_id(given.module)))))

        return sorted({given.version for given in self.given}, key=Version)

    def get_module(self, release):
        """Return the module of a release.

        Args:
            release (djblets_backport.catalogue.Release):
                The release.

        Returns:
            tuple:
            A 3-tuple of the contents of the module (bytes), the path that the
            tests go to, and where it was found.

        Raises:
            djblets_backport.errors.BackportError:
                It could not be had, or is that of another release.
        """
        for given in self.given:
            if given.version in (None, release.version):
                blob = get_blob_id(given.module)

                if blob != release.blob:
                    raise BackportError(
                        '%s is not Djblets %s: its module is that of %s'
                        % (given.path, release.version,
                           ', '.join(find_content_versions(blob))))

                return given.module, given.tests_path, given.path

        files, where = self._get_official(release, release.sdist)

        return files[MODULE_PATH], get_tests_path(files), where

    def get_wheel_files(self, release):
        """Return the files that the patched wheel of a release is made from.

        Args:
            release (djblets_backport.catalogue.Release):
                The release.

        Returns:
            tuple:
            A 2-tuple of the contents of the files (dict), and where they were
            found.

        Raises:
            djblets_backport.errors.BackportError:
                They could not be had.
        """
        return self._get_official(release, release.wheel or release.sdist)

    def get_sdist_files(self, release):
        """Return the files of the official sdist of a release.

        Args:
            release (djblets_backport.catalogue.Release):
                The release.

        Returns:
            dict:
            The contents of the files.

        Raises:
            djblets_backport.errors.BackportError:
                They could not be had.
        """
        return self._get_official(release, release.sdist)[0]

    def _get_official(self, release, archive):
        """Return the files of an official archive.

        Args:
            release (djblets_backport.catalogue.Release):
                The release.

            archive (djblets_backport.catalogue.Archive):
                The archive.

        Returns:
            tuple:
            A 2-tuple of the contents of the files (dict), and where they were
            found.
        """
        for given in self.given:
            if given.sha256 == archive.sha256:
                return given.files, given.path

        if self.given:
            raise BackportError(
                'Djblets %s needs the official %s for this: give that with '
                '--from as well' % (release.version, archive.filename))

        path = self.registry.fetch(archive.filename, archive.sha256,
                                   self.progress)

        return read_files(path), archive.filename
