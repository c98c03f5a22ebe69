"""Settings for the nose suite of Djblets 0.8.

Djblets has these in its tests directory, which isn't in the archives of its
releases before 5.2.
"""

from __future__ import unicode_literals

import os
import tempfile


HERE = os.path.dirname(os.path.abspath(__file__))

# The suite writes to these.
TEMP_DIR = tempfile.mkdtemp(prefix='djblets-own-suite-')
MEDIA_ROOT = os.path.join(TEMP_DIR, 'media')
STATIC_ROOT = os.path.join(TEMP_DIR, 'static')
STATIC_URL = '/static/'

DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.sqlite3',
        'NAME': ':memory:',
    },
}

INSTALLED_APPS = [
    'django.contrib.admin',
    'django.contrib.auth',
    'django.contrib.contenttypes',
    'django.contrib.messages',
    'django.contrib.sessions',
    'django.contrib.sites',
    'django.contrib.staticfiles',
    'django_evolution',
    'pipeline',
    'djblets.configforms',
    'djblets.datagrid',
    'djblets.extensions',
    'djblets.feedview',
    'djblets.gravatars',
    'djblets.log',
    'djblets.pipeline',
    'djblets.siteconfig',
    'djblets.testing',
    'djblets.util',
    'djblets.webapi',
]

ROOT_URLCONF = 'djblets.testing.urls'
SECRET_KEY = 'for-tests-only'
SITE_ID = 1

TEMPLATE_CONTEXT_PROCESSORS = [
    'django.contrib.auth.context_processors.auth',
    'django.contrib.messages.context_processors.messages',
    'django.core.context_processors.debug',
    'django.core.context_processors.i18n',
    'django.core.context_processors.media',
    'django.core.context_processors.static',
    'djblets.siteconfig.context_processors.siteconfig',
]

# The pages of djblets.feedview extend a site's base.html.
TEMPLATE_DIRS = [
    os.path.join(HERE, 'templates'),
]
