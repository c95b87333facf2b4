"""Refreshers: what gets the next token. Any callable with the same promise will do as well."""

from typing import TYPE_CHECKING

from .._on_demand import on_demand
from ._protocol import Refresher

if TYPE_CHECKING:
    from ._authorization_server import AuthorizationServer
    from ._grants import ClientCredentialsGrant, RefreshTokenGrant
    from ._json import JSONRefresh
else:
    __getattr__ = on_demand(
        __name__,
        {
            "._authorization_server": ["AuthorizationServer"],
            "._grants": ["ClientCredentialsGrant", "RefreshTokenGrant"],
            "._json": ["JSONRefresh"],
        },
    )

__all__ = [
    "AuthorizationServer",
    "ClientCredentialsGrant",
    "JSONRefresh",
    "RefreshTokenGrant",
    "Refresher",
]
