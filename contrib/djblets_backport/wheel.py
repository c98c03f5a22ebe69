"""Makes a patched wheel out of the files of a release.

It's the official wheel but for the changed files and a local version.
"""

import base64
import hashlib
import io
import re
import zipfile

from .releases import LOCAL, REVISION_DATE


def make_wheel(release, archive, changes):
    """Return the name and the contents of the patched wheel of a release.

    Without changes, that's the release's own wheel.
    """
    version, local = release.version, LOCAL if changes else ''
    old_info, = (name[:-len('WHEEL')] for name in archive.files
                 if name.endswith('.dist-info/WHEEL'))
    info = old_info.replace(version, version + local)

    # RECORD is made anew, and nothing reads the other two.
    left_out = [old_info + name
                for name in ('RECORD', 'metadata.json', 'pydist.json')]
    contents = {name.replace(old_info, info): data
                for name, data in archive.files.items()
                if name not in left_out}
    modes = {name.replace(old_info, info): mode
             for name, mode in archive.modes.items()}

    for change in changes:
        contents.update(change.files)

    line = b'\nVersion: ' + version.encode()
    contents[info + 'METADATA'] = contents[info + 'METADATA'].replace(
        line, line + local.encode(), 1)
    pythons = '.'.join(re.findall(r'(?m)^Tag: (\w+)',
                                  contents[info + 'WHEEL'].decode('ascii')))

    # The metadata comes last, as tools that write wheels have it.
    names = sorted(contents, key=lambda name: (name.startswith(info), name))
    record = ''

    for name in names:
        digest = hashlib.sha256(contents[name]).digest()
        record += '%s,sha256=%s,%d\n' % (
            name, base64.urlsafe_b64encode(digest).decode().rstrip('='),
            len(contents[name]))

    contents[info + 'RECORD'] = (record + info + 'RECORD,,\n').encode('utf-8')
    result = io.BytesIO()

    with zipfile.ZipFile(result, 'w') as archive:
        for name in names + [info + 'RECORD']:
            member = zipfile.ZipInfo(name, REVISION_DATE.timetuple()[:6])
            member.create_system = 3
            # One file is a script, which Djblets runs.
            member.external_attr = modes.get(name, 0o100644) << 16
            archive.writestr(member, contents[name], zipfile.ZIP_DEFLATED, 9)

    return ('%s-%s-none-any.whl' % (info[:-len('.dist-info/')], pythons),
            result.getvalue())
