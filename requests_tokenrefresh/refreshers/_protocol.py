"""What a refresher promises. Anything that keeps these promises can get the next token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .._token import Token

Refresher: TypeAlias = Callable[[Token | None], Token | Mapping[str, Any] | str]
"""A callable that takes the token to replace, or None if there is none, and returns the next.

What it returns is a `Token`, a token reply (RFC 6749 section 5.1) or an access token. It raises
`LoginRequiredError` if the refusal is permanent, `RefreshFailedError` if another attempt may
succeed. It makes one attempt: the caller decides about the next, and calls it on one thread at
a time.

One whose attribute ``unattended`` is true needs nobody to log in, and nothing of the old token, as
`ClientCredentialsGrant`: its refusal ends no login but is tried again after a pause, and a source
that keeps its tokens in memory pickles, without them.

One whose attribute ``any_thread`` is true may be called on a thread that lives for this call only:
then its answer is heard, and saved, although the thread that wants it is interrupted meanwhile.

One that has a method ``revoke``, which takes a `Token`, can end a login at the issuer: it returns
once nothing of it is good there, or raises `RevocationFailedError`. Where its attribute
``can_revoke`` is false, it does not know how.
"""
