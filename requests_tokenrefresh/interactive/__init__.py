"""What asks a person: a browser, another device, a terminal. Nothing else imports it."""

from typing import TYPE_CHECKING

from .._on_demand import on_demand

if TYPE_CHECKING:
    from ._log_in import log_in
    from ._open_login import open_login
else:
    __getattr__ = on_demand(__name__, {"._log_in": ["log_in"], "._open_login": ["open_login"]})

__all__ = ["log_in", "open_login"]
