"""Makes a patched wheel out of the files of a release.

It's the official wheel but for the changed files and a local version.
"""

import base64
import hashlib
import io
import re
import zipfile

from .releases import LOCAL, REVISION_DATE


#: What is made anew, and drafts of metadata that nothing reads.
_LEFT_OUT = ('RECORD', 'metadata.json', 'pydist.json')


def make_wheel(version, files, changes):
    """Return the name and the contents of the patched wheel of a release."""
    local_version = version + LOCAL
    old_info, = (name[:-len('WHEEL')] for name in files
                 if name.endswith('.dist-info/WHEEL'))
    info = old_info.replace(version, local_version)
    contents = {name.replace(old_info, info): data
                for name, data in files.items()
                if name not in [old_info + left for left in _LEFT_OUT]}

    for change in changes:
        contents.update(change.files)

    contents[info + 'METADATA'] = re.sub(
        br'(?m)^(Version: ).*?(\r?)$',
        br'\g<1>%s\2' % local_version.encode('ascii'),
        contents[info + 'METADATA'], 1)
    pythons = re.findall(r'(?m)^Tag: (\w+)',
                         contents[info + 'WHEEL'].decode('ascii'))

    # The metadata comes last, as tools that write wheels have it.
    names = sorted(contents, key=lambda name: (name.startswith(info), name))
    hashes = (base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest())
              .decode('ascii').rstrip('=') for name in names)
    contents[info + 'RECORD'] = ''.join(
        ['%s,sha256=%s,%d\n' % (name, digest, len(contents[name]))
         for name, digest in zip(names, hashes)] +
        [info + 'RECORD,,\n']).encode('utf-8')
    result = io.BytesIO()
    date = [int(part) for part in REVISION_DATE.split('-')] + [0, 0, 0]

    with zipfile.ZipFile(result, 'w') as archive:
        for name in names + [info + 'RECORD']:
            member = zipfile.ZipInfo(name, date)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            member.external_attr = 0o100644 << 16
            archive.writestr(member, contents[name], compresslevel=9)

    return ('%s-%s-none-any.whl' % (info[:-len('.dist-info/')],
                                    '.'.join(pythons)), result.getvalue())
