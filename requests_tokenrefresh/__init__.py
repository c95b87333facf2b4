"""One token refresh for all threads and processes: an adapter for `requests`."""

from typing import TYPE_CHECKING

from . import events
from ._adapter import TokenRefreshAdapter
from ._errors import (
    InsecureTransportError,
    LoginFailedError,
    LoginRequiredError,
    RefreshFailedError,
    RefreshTimeoutError,
    RevocationFailedError,
    StoreContentError,
    StoreDataLostError,
    StoreLockLostError,
    StoreLockTimeoutError,
    StoreUnavailableError,
    TokenRefreshError,
    TokenStoreError,
)
from ._on_demand import on_demand
from ._source import TokenSource
from ._token import Token
from .stores import (
    ChecksSaving,
    Cipher,
    KeepsPause,
    MemoryTokenStore,
    StoredPause,
    TokenStore,
)

if TYPE_CHECKING:
    from ._install import Installation, install, uninstall
    from ._mount import mount
    from .interactive import log_in, open_login
    from .refreshers import (
        AuthorizationCodeGrant,
        AuthorizationServer,
        ClientCredentialsGrant,
        DeviceCodeGrant,
        JSONRefresh,
        RefreshTokenGrant,
    )
    from .stores import FileTokenStore, KeyringTokenStore, RedisTokenStore, SQLTokenStore
else:
    __getattr__ = on_demand(
        __name__,
        {
            "._install": ["Installation", "install", "uninstall"],
            "._mount": ["mount"],
            ".interactive": ["log_in", "open_login"],
            ".refreshers": [
                "AuthorizationCodeGrant",
                "AuthorizationServer",
                "ClientCredentialsGrant",
                "DeviceCodeGrant",
                "JSONRefresh",
                "RefreshTokenGrant",
            ],
            ".stores": [
                "FileTokenStore",
                "KeyringTokenStore",
                "RedisTokenStore",
                "SQLTokenStore",
            ],
        },
    )

__all__ = [
    "AuthorizationCodeGrant",
    "AuthorizationServer",
    "ChecksSaving",
    "Cipher",
    "ClientCredentialsGrant",
    "DeviceCodeGrant",
    "FileTokenStore",
    "InsecureTransportError",
    "Installation",
    "JSONRefresh",
    "KeepsPause",
    "KeyringTokenStore",
    "LoginFailedError",
    "LoginRequiredError",
    "MemoryTokenStore",
    "RedisTokenStore",
    "RefreshFailedError",
    "RefreshTimeoutError",
    "RefreshTokenGrant",
    "RevocationFailedError",
    "SQLTokenStore",
    "StoreContentError",
    "StoreDataLostError",
    "StoreLockLostError",
    "StoreLockTimeoutError",
    "StoreUnavailableError",
    "StoredPause",
    "Token",
    "TokenRefreshAdapter",
    "TokenRefreshError",
    "TokenSource",
    "TokenStore",
    "TokenStoreError",
    "events",
    "install",
    "log_in",
    "mount",
    "open_login",
    "uninstall",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
