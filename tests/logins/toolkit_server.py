"""django-oauth-toolkit with its own pages: a form to log in, and one to agree.

`python -m tests.logins.toolkit_server PORT DATABASE` in a process of its own, whose settings these
are.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.logins.waiting import wait_for
from tests.support.ports import free_port

USER, PASSWORD = "alice", "password-of-alice"
CLIENT = {"client_id": "desktop"}

_LOGIN = """<title>Log in</title><form method="post">{% csrf_token %}{{ form }}
<button type="submit">Log in</button></form>"""


@contextlib.contextmanager
def toolkit(folder: Path) -> Iterator[str]:
    """Serve, with a database in *folder*; return its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", __name__, str(port), str(folder / "database")],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(f"{url}/.well-known/oauth-authorization-server")
        yield url
    finally:
        server.terminate()
        server.wait(20)


def _configure(database: str) -> None:
    from django.conf import settings

    apps = ["auth", "contenttypes", "sessions", "messages"]
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[*(f"django.contrib.{app}" for app in apps), "oauth2_provider"],
        LOGIN_URL="/login",
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        OAUTH2_PROVIDER={
            "PKCE_REQUIRED": True,
            "ROTATE_REFRESH_TOKEN": True,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "SCOPES": {"read": "Read"},
        },
        ROOT_URLCONF=__name__,
        SECRET_KEY="a secret that is long enough for HS256",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ],
                    "loaders": [
                        (
                            "django.template.loaders.locmem.Loader",
                            {"registration/login.html": _LOGIN},
                        ),
                        "django.template.loaders.app_directories.Loader",
                    ],
                },
            }
        ],
        USE_TZ=True,
    )


def _metadata(request: Any) -> Any:
    from django.http import JsonResponse

    url = f"http://{request.get_host()}"
    return JsonResponse(
        {
            "issuer": url,
            "authorization_endpoint": f"{url}/o/authorize/",
            "token_endpoint": f"{url}/o/token/",
            "revocation_endpoint": f"{url}/o/revoke_token/",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        }
    )


def _data(request: Any) -> Any:
    from django.http import JsonResponse
    from oauth2_provider.oauth2_backends import get_oauthlib_core

    valid, found = get_oauthlib_core().verify_request(request, scopes=["read"])
    if valid:
        return JsonResponse({"user": found.user.get_username()})
    return JsonResponse({}, status=401)


def main(port: int, database: str) -> None:
    """Serve until the process is ended."""
    _configure(database)
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.contrib.auth.views import LoginView
    from django.core.management import call_command
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application
    from django.urls import include, path
    from oauth2_provider.models import Application

    global urlpatterns
    urlpatterns = [
        path("login", LoginView.as_view()),
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
        path(".well-known/oauth-authorization-server", _metadata),
        path("data", _data),
    ]
    call_command("migrate", verbosity=0)
    User.objects.create_user(USER, password=PASSWORD)
    Application.objects.create(
        client_id=CLIENT["client_id"],
        client_type="public",
        authorization_grant_type="authorization-code",
        # Without a port: its server allows for any, as RFC 8252 section 7.3 wants it.
        redirect_uris="http://127.0.0.1/callback",
    )
    server = ThreadedWSGIServer(("127.0.0.1", port), WSGIRequestHandler)
    server.daemon_threads = True
    server.set_app(get_wsgi_application())
    threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    sys.modules[__spec__.name] = sys.modules["__main__"]
    main(int(sys.argv[1]), sys.argv[2])
