"""Refreshers: what gets the next token. Any callable with the same promise will do as well."""

from ._grants import ClientCredentialsGrant, RefreshTokenGrant
from ._json import JSONRefresh
from ._protocol import Refresher

__all__ = ["ClientCredentialsGrant", "JSONRefresh", "RefreshTokenGrant", "Refresher"]
