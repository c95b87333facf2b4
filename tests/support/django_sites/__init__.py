"""Sites made with Django, whose settings are the process's: they are made here, and fit all sites.

Each site has URLs and a database of its own. The sites of a process take turns: making one ends the
one before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import connection
from django.urls import URLPattern

P = ParamSpec("P")
R = TypeVar("R")

_APPS = {
    "auth": "django.contrib.auth",
    "contenttypes": "django.contrib.contenttypes",
    "oauth2_provider": "oauth2_provider",
    "rest_framework": "rest_framework",
    "token_blacklist": "rest_framework_simplejwt.token_blacklist",
}

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            # A transaction takes its turn when it begins. By default it begins as a reader, and of
            # two readers that want to write one fails at once ("database is locked").
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=list(_APPS.values()),
    LOGGING_CONFIG=None,  # logging is the tests'
    MIDDLEWARE=[],
    MIGRATION_MODULES=dict.fromkeys(_APPS),  # straight to the newest tables
    OAUTH2_PROVIDER={},  # see `oauth_toolkit`
    # The default takes a quarter of a second to look at a client's secret, and is meant to.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    SECRET_KEY="a secret that is long enough for HS256",
    SIMPLE_JWT={
        "AUTH_TOKEN_CLASSES": ["tests.support.django_sites.simplejwt.JWTAccessToken"],
        "BLACKLIST_AFTER_ROTATION": True,
        "ROTATE_REFRESH_TOKENS": True,
    },
    USE_TZ=True,
)
django.setup()


def make_site(urls: Sequence[URLPattern], database: Path) -> WSGIHandler:
    """Return a WSGI application with *urls*, and a new SQLite file at *database*."""
    settings.ROOT_URLCONF = tuple(urls)
    # As Django's own test runner gives a database another name.
    connection.close()
    connection.settings_dict["NAME"] = str(database)
    in_database(call_command)("migrate", run_syncdb=True, verbosity=0)
    return WSGIHandler()


def in_database(function: Callable[P, R]) -> Callable[P, R]:
    """Return *function*, with its thread's connection closed after it, as after each request."""

    @functools.wraps(function)
    def closing(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        finally:
            connection.close()

    return closing
