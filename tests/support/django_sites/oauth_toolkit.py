"""django-oauth-toolkit, whose refresh tokens rotate, and which detects their reuse.

The OAuth is its own, and so are its tables. Here is what it leaves to its users: the settings, and
the pages that are protected.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, JsonResponse
from django.test import RequestFactory
from django.urls import path
from django.utils import timezone
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from oauth2_provider.decorators import protected_resource
from oauth2_provider.models import AccessToken, Application, Grant
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.views import TokenView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.support.django_sites import in_database, make_site

USER = "alice"

_REDIRECT_URI = "https://reports.example.com/"


@dataclass(frozen=True)
class Client:
    """A registered client; without a secret it is a public one."""

    client_id: str
    client_secret: str | None = None


class DjangoOAuthServer:
    """``POST /token/`` refreshes; ``GET /data`` and ``GET /view`` are protected.

    ``/data`` is a page of Django REST framework, which answers 401. ``/view`` is protected by
    django-oauth-toolkit's own decorator, which answers 403 and does not say why.

    A refresh deletes the old access token. A refresh token that comes again ends the login: all its
    tokens are revoked.

    Args:
        clients: Who may refresh.
        lifetime: Whole seconds an access token lives.
        grace_period: Whole seconds for which a refresh token that comes again is answered as it
            was at first.
        database: The path of its SQLite file.

    Attributes:
        app: The WSGI application.
    """

    def __init__(
        self, *clients: Client, lifetime: int, grace_period: int = 0, database: Path
    ) -> None:
        settings.OAUTH2_PROVIDER = {
            "ACCESS_TOKEN_EXPIRE_SECONDS": lifetime,
            "ALWAYS_RELOAD_OAUTHLIB_CORE": True,  # its views keep these settings otherwise
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": grace_period,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "ROTATE_REFRESH_TOKEN": True,
        }
        oauth2_settings.reload()
        self._token = TokenView.as_view()
        self.app = make_site(
            [path("token/", self._token), path("data", _Data.as_view()), path("view", _view)],
            database,
        )
        self._register(clients)

    @in_database
    def log_in(self, client: Client) -> Mapping[str, Any]:
        """Begin a login, by the code that a browser would bring; return its token reply."""
        verifier = secrets.token_urlsafe(32)
        digest = hashlib.sha256(verifier.encode()).digest()
        grant = Grant.objects.create(
            user=User.objects.get(),
            application=Application.objects.get(client_id=client.client_id),
            code=secrets.token_urlsafe(),
            code_challenge=base64.urlsafe_b64encode(digest).decode().rstrip("="),
            code_challenge_method="S256",
            expires=timezone.now() + timedelta(minutes=1),
            redirect_uri=_REDIRECT_URI,
            scope="read",
        )
        form = {
            "grant_type": "authorization_code",
            "code": grant.code,
            "code_verifier": verifier,
            "redirect_uri": _REDIRECT_URI,
            "client_id": client.client_id,
            "client_secret": client.client_secret or "",
        }
        reply = self._token(RequestFactory().post("/token/", form))
        assert reply.status_code == 200, reply.content
        return json.loads(reply.content)

    @in_database
    def expire_access_tokens(self) -> None:
        """Expire all access tokens issued so far; their refresh tokens live on."""
        AccessToken.objects.update(expires=timezone.now())

    @in_database
    def _register(self, clients: tuple[Client, ...]) -> None:
        User.objects.create_user(USER)
        for client in clients:
            Application.objects.create(
                client_id=client.client_id,
                client_secret=client.client_secret or "",
                client_type="public" if client.client_secret is None else "confidential",
                authorization_grant_type="authorization-code",
                redirect_uris=_REDIRECT_URI,
            )


class _Data(APIView):
    authentication_classes = (OAuth2Authentication,)
    permission_classes = (IsAuthenticated,)

    def get(self, request: Request) -> Response:
        return Response({"user": request.user.get_username()})


@protected_resource()
def _view(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": USER})
