"""djangorestframework-simplejwt, whose refresh tokens rotate, and are blacklisted after use.

The tokens and the blacklist are its own: JWTs, with `exp` in whole seconds. Here is what it leaves
to its users: the pages that are protected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.test import RequestFactory
from django.urls import path
from rest_framework.authentication import (
    BaseAuthentication,
    BasicAuthentication,
    SessionAuthentication,
)
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import ExpiredTokenError
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from tests.support.django_sites import in_database, make_site

USER, PASSWORD = "alice", "password-of-alice"


class SimpleJWTServer:
    """``POST /token/`` logs in, ``POST /token/refresh/`` refreshes; the others are protected.

    ``GET /data`` knows tokens only; ``/behind-basic`` and ``/behind-session`` know passwords and
    browser sessions as well, and ask for those first.

    An access token lives until it expires, whether it was refreshed or not. A refresh token that
    comes again is refused; nothing becomes of the login.

    Args:
        lifetime: Seconds an access token lives, or up to a second less: its `exp` is cut off.
        database: The path of its SQLite file.

    Attributes:
        app: The WSGI application.
    """

    def __init__(self, *, lifetime: int, database: Path) -> None:
        JWTAccessToken.lifetime = timedelta(seconds=lifetime)
        self._log_in = TokenObtainPairView.as_view(serializer_class=_LogInSerializer)
        self.app = make_site(
            [
                path("token/", self._log_in),
                path("token/refresh/", TokenRefreshView.as_view(serializer_class=_Serializer)),
                path("data", _page(JWTAuthentication)),
                path("behind-basic", _page(BasicAuthentication, JWTAuthentication)),
                path("behind-session", _page(SessionAuthentication, JWTAuthentication)),
            ],
            database,
        )
        in_database(User.objects.create_user)(USER, password=PASSWORD)

    @in_database
    def log_in(self) -> Mapping[str, Any]:
        """Begin a login; return its first token reply, by the names of RFC 6749."""
        form = {"username": USER, "password": PASSWORD}
        reply = self._log_in(RequestFactory().post("/token/", form)).data
        return {"access_token": reply["access"], "refresh_token": reply["refresh"]}

    def expire_access_tokens(self) -> None:
        """Expire all access tokens issued so far; their refresh tokens live on."""
        JWTAccessToken.generation += 1

    @in_database
    def close_account(self) -> None:
        """Deactivate the user, as somebody can do in Django's admin."""
        User.objects.update(is_active=False)


class JWTAccessToken(AccessToken):
    """An access token that can also be expired by a test; its name is in the settings."""

    generation = 0  # the tokens of the others have expired

    def __init__(self, token: Any = None, verify: bool = True) -> None:
        super().__init__(token, verify)
        if token is None:
            self["generation"] = self.generation

    def verify(self) -> None:
        super().verify()
        if self["generation"] != self.generation:
            raise ExpiredTokenError("Token is expired")


class _RefreshToken(RefreshToken):
    access_token_class = JWTAccessToken


class _LogInSerializer(TokenObtainPairSerializer):
    token_class = _RefreshToken


class _Serializer(TokenRefreshSerializer):
    token_class = _RefreshToken


def _page(*authentication: type[BaseAuthentication]) -> Callable[..., Any]:
    class Page(APIView):
        authentication_classes = authentication
        permission_classes = (IsAuthenticated,)

        def get(self, request: Request) -> Response:
            return Response({"user": request.user.get_username()})

    return Page.as_view()
