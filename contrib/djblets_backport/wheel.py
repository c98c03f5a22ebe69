"""Makes a patched wheel out of the files of a release.

It's the official wheel but for the changed files and a local version.
"""

import base64
import hashlib
import io
import re
import zipfile

from .releases import LOCAL, REVISION_DATE


def make_wheel(version, files, changes):
    """Return the name and the contents of the patched wheel of a release."""
    old_info, = (name[:-len('WHEEL')] for name in files
                 if name.endswith('.dist-info/WHEEL'))
    info = old_info.replace(version, version + LOCAL)

    # RECORD is made anew, and nothing reads the other two.
    left_out = [old_info + name
                for name in ('RECORD', 'metadata.json', 'pydist.json')]
    contents = {name.replace(old_info, info): data
                for name, data in files.items() if name not in left_out}

    for change in changes:
        contents.update(change.files)

    line = b'\nVersion: ' + version.encode()
    contents[info + 'METADATA'] = contents[info + 'METADATA'].replace(
        line, line + LOCAL.encode(), 1)
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
            member.external_attr = 0o100644 << 16
            archive.writestr(member, contents[name], zipfile.ZIP_DEFLATED, 9)

    return ('%s-%s-none-any.whl' % (info[:-len('.dist-info/')], pythons),
            result.getvalue())
