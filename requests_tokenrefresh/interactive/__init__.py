"""What asks a person: a browser, another device, a terminal. Nothing else imports it."""

from ._log_in import log_in
from ._open_login import open_login

__all__ = ["log_in", "open_login"]
