"""One token refresh for all threads and processes: an adapter for `requests`."""

from . import events
from ._adapter import TokenRefreshAdapter
from ._errors import (
    InsecureTransportError,
    LoginRequiredError,
    RefreshFailedError,
    RefreshTimeoutError,
    StoreContentError,
    StoreDataLostError,
    StoreLockLostError,
    StoreLockTimeoutError,
    StoreUnavailableError,
    TokenRefreshError,
    TokenStoreError,
)
from ._install import Installation, install, uninstall
from ._mount import mount
from ._source import TokenSource
from ._token import Token
from .refreshers import ClientCredentialsGrant, JSONRefresh, RefreshTokenGrant
from .stores import (
    Cipher,
    FileTokenStore,
    KeyringTokenStore,
    MemoryTokenStore,
    RedisTokenStore,
    SQLTokenStore,
    TokenStore,
)

__all__ = [
    "Cipher",
    "ClientCredentialsGrant",
    "FileTokenStore",
    "InsecureTransportError",
    "Installation",
    "JSONRefresh",
    "KeyringTokenStore",
    "LoginRequiredError",
    "MemoryTokenStore",
    "RedisTokenStore",
    "RefreshFailedError",
    "RefreshTimeoutError",
    "RefreshTokenGrant",
    "SQLTokenStore",
    "StoreContentError",
    "StoreDataLostError",
    "StoreLockLostError",
    "StoreLockTimeoutError",
    "StoreUnavailableError",
    "Token",
    "TokenRefreshAdapter",
    "TokenRefreshError",
    "TokenSource",
    "TokenStore",
    "TokenStoreError",
    "events",
    "install",
    "mount",
    "uninstall",
]
