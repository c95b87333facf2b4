"""Refreshers: what gets the next token. Any callable with the same promise will do as well."""

from typing import TYPE_CHECKING

from .._on_demand import on_demand
from ._protocol import Refresher

if TYPE_CHECKING:
    from ._authorization_code import AuthorizationCodeGrant
    from ._authorization_server import AuthorizationServer
    from ._device_code import DeviceCodeGrant
    from ._grants import ClientCredentialsGrant, RefreshTokenGrant
    from ._json import JSONRefresh
else:
    __getattr__ = on_demand(
        __name__,
        {
            "._authorization_code": ["AuthorizationCodeGrant"],
            "._authorization_server": ["AuthorizationServer"],
            "._device_code": ["DeviceCodeGrant"],
            "._grants": ["ClientCredentialsGrant", "RefreshTokenGrant"],
            "._json": ["JSONRefresh"],
        },
    )

__all__ = [
    "AuthorizationCodeGrant",
    "AuthorizationServer",
    "ClientCredentialsGrant",
    "DeviceCodeGrant",
    "JSONRefresh",
    "RefreshTokenGrant",
    "Refresher",
]
