"""A client that authenticates by an assertion that it signs (RFC 7523 section 2.2)."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlencode

import requests
from requests.auth import AuthBase

try:
    import jwt
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
except ImportError as error:
    raise ImportError(
        "a client assertion needs PyJWT and cryptography: pip install 'requests-tokenrefresh[jwt]'"
    ) from error

_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SECONDS = 60  # that an assertion is good for
_SMALLEST = 2048  # bits of an RSA key: RFC 7518 section 3.3

_OF_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_OF_CURVES = {
    "secp256r1": ("ES256",),
    "secp384r1": ("ES384",),
    "secp521r1": ("ES512",),
    "secp256k1": ("ES256K",),
}
# The shortest secret for each, in bytes: RFC 7518 section 3.2.
_OF_SECRETS = {"HS256": 32, "HS384": 48, "HS512": 64}

_AS_TEXT = "pass the text of a PEM file, or a JWK"

PrivateKey: TypeAlias = "str | bytes | Mapping[str, Any]"
"""The text of a PEM file, or a JWK (RFC 7517)."""


class ClientAssertion(AuthBase):
    """Puts an assertion into each form that is sent.

    Args:
        make: Returns one that has not been sent yet.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        fields = {"client_assertion_type": _TYPE, "client_assertion": self._make()}
        body = r.body.decode() if isinstance(r.body, bytes) else r.body or ""
        r.body = f"{body}&{urlencode(fields)}"
        return r


@dataclass(frozen=True, repr=False)
class Signer:
    """Makes assertions. Safe from any thread; pickles, the key included.

    Args:
        client_id: Whose they are.
        audience: Who they are for: the issuer alone, and no list, so that no other server can use
            one (draft-ietf-oauth-rfc7523bis section 4).
        key: What signs them.
        password: Of a PEM file that is encrypted.
        key_id: What the server calls the key.
        alg: By which algorithm (RFC 7518 section 3.1); None: what suits the key.

    Raises:
        TypeError, ValueError: The key is none, or not one for *alg*. Nothing of it is repeated.
    """

    client_id: str
    audience: str
    key: PrivateKey
    password: str | None = None
    key_id: str | None = None
    alg: str | None = None

    def __post_init__(self) -> None:
        self()  # what is wrong with the key is said where it is passed

    def __call__(self) -> str:
        """Return an assertion that is good for a minute, once."""
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "jti": secrets.token_urlsafe(32),
            "iat": now,
            "exp": now + _SECONDS,
        }
        key, alg, key_id = self._resolved()
        headers = {} if key_id is None else {"kid": key_id}
        return jwt.encode(claims, key, algorithm=alg, headers=headers)

    def _resolved(self) -> tuple[Any, str, str | None]:
        """Return the key, its algorithm, and what the server calls it."""
        found = _text_or_jwk(self.key)
        if isinstance(found, str | bytes):
            key = _from_pem(found, self.password)
            return key, _alg_for(key, self.alg), self.key_id
        key = _from_jwk(found)
        return key, _alg_for(key, self.alg or found.get("alg")), self.key_id or found.get("kid")


@dataclass(frozen=True, repr=False)
class SecretSigner(Signer):
    """Makes them with the client's secret, which is the *key*."""

    def _resolved(self) -> tuple[Any, str, str | None]:
        alg = self.alg or "HS256"
        if alg not in _OF_SECRETS:
            raise ValueError(f"signing_alg for a secret is {_any_of(_OF_SECRETS)}, got {alg!r}")
        key = str(self.key).encode()
        if len(key) < _OF_SECRETS[alg]:
            raise ValueError(
                f"client_secret is too short for {alg}, which takes {_OF_SECRETS[alg]} bytes (RFC "
                "7518 section 3.2): have the server make a longer one"
            )
        return key, alg, self.key_id


def _text_or_jwk(key: PrivateKey) -> PrivateKey:
    if isinstance(key, Mapping):
        return key
    if not isinstance(key, str | bytes):
        raise TypeError(f"private_key is a string, bytes or a mapping, got {type(key).__name__}")
    if key.lstrip()[:1] not in ("{", b"{"):
        return key
    try:
        found = json.loads(key)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"private_key begins as a JWK, and is no JSON object: {_AS_TEXT}")
    return found


# In both, the error is raised where what was caught, which may have the key in it, is gone.
def _from_pem(key: str | bytes, password: str | None) -> Any:
    text = key.encode() if isinstance(key, str) else key
    try:
        return load_pem_private_key(text, None if password is None else password.encode())
    except TypeError:
        problem = "encrypted, and private_key_password is missing"
        if password is not None:
            problem = "not encrypted: leave private_key_password out"
    except Exception:
        problem = f"no private key in PEM: {_AS_TEXT}"
        if b"ENCRYPTED" in text and password is not None:
            problem = "encrypted with another password than private_key_password"
        elif b"PUBLIC KEY" in text or b"CERTIFICATE" in text:
            problem = "public: pass the private key that belongs to it"
    raise ValueError(f"private_key is {problem}")


def _from_jwk(jwk: Mapping[str, Any]) -> Any:
    if jwk.get("kty") == "oct":
        raise ValueError(
            "private_key is a secret (kty oct): pass client_secret, with "
            "token_endpoint_auth_method='client_secret_jwt'"
        )
    if "d" not in jwk:
        raise ValueError("private_key is public: pass the private key that belongs to it (d)")
    known = {name: value for name, value in jwk.items() if name != "alg"}
    try:
        return jwt.PyJWK.from_dict(known).key
    except Exception:
        problem = "no JWK that can be read (RFC 7517)"
    raise ValueError(f"private_key is {problem}: {_AS_TEXT}")


def _alg_for(key: Any, alg: str | None) -> str:
    """Return *alg*, or the usual one of *key*.

    Raises:
        ValueError: It is not one for this key.
    """
    if isinstance(key, RSAPrivateKey):
        if key.key_size < _SMALLEST:
            raise ValueError(
                f"private_key has {key.key_size} bits, and RSA takes {_SMALLEST} at least (RFC "
                "7518 section 3.3): make a longer one"
            )
        algs: tuple[str, ...] = _OF_RSA
    elif isinstance(key, EllipticCurvePrivateKey):
        algs = _OF_CURVES.get(key.curve.name, ())
    else:
        algs = ("EdDSA",) if isinstance(key, Ed25519PrivateKey | Ed448PrivateKey) else ()
    if not algs:
        raise ValueError("private_key is of a kind that signs no JWT: RSA, EC P-256, or Ed25519")
    if alg is not None and alg not in algs:
        raise ValueError(f"signing_alg of this private_key is {_any_of(algs)}, got {alg!r}")
    return alg or algs[0]


def _any_of(names: Any) -> str:
    return " or ".join(names)
