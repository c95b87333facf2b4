"""Clients that authenticate by an assertion that they sign (RFC 7523 section 2.2)."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import responses
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from requests_tokenrefresh import (
    AuthorizationServer,
    ClientCredentialsGrant,
    DeviceCodeGrant,
    RefreshTokenGrant,
    Token,
)

ISSUER = "https://auth.example.com"
SERVER = AuthorizationServer(
    issuer=ISSUER,
    token_endpoint=f"{ISSUER}/token",
    device_authorization_endpoint=f"{ISSUER}/device",
    revocation_endpoint=f"{ISSUER}/revoke",
)
SECRET = "a secret of 32 bytes, or of 48 bytes, or some more"

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any, password: str | None = None) -> str:
    how = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


def jwk(key: Any, **others: str) -> dict[str, Any]:
    algorithms = {"RSA": jwt.algorithms.RSAAlgorithm, "EC": jwt.algorithms.ECAlgorithm}
    kind = "RSA" if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) else "EC"
    return {**json.loads(algorithms[kind].to_jwk(key)), **others}


@pytest.fixture
def endpoint():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.post(f"{ISSUER}/token", json={"access_token": "a", "refresh_token": "r"})
        mock.post(f"{ISSUER}/revoke", status=200)
        begun = {"device_code": "d", "user_code": "u", "verification_uri": f"{ISSUER}/enter"}
        mock.post(f"{ISSUER}/device", json={**begun, "expires_in": 600, "interval": 1})
        yield mock


def grant(**arguments: Any) -> RefreshTokenGrant:
    usual = {"client_id": "reports", "private_key": pem(RSA)}
    return RefreshTokenGrant(arguments.pop("server", SERVER), **{**usual, **arguments})


def forms(endpoint: responses.RequestsMock) -> list[dict[str, str]]:
    found = []
    for call in endpoint.calls:
        assert call.request.headers["Content-Length"] == str(len(call.request.body))
        assert "Authorization" not in call.request.headers
        found.append({name: one for name, [one] in parse_qs(call.request.body).items()})
    return found


def claims(form: dict[str, str], key: Any = RSA, audience: str = ISSUER) -> dict[str, Any]:
    """Return what is in the assertion, which *key* must have signed."""
    assertion = form["client_assertion"]
    public = key if isinstance(key, str) else key.public_key()
    alg = jwt.get_unverified_header(assertion)["alg"]
    return jwt.decode(assertion, public, algorithms=[alg], audience=audience)


def test_each_request_has_an_assertion_of_its_own_for_the_issuer_alone(endpoint):
    """draft-ietf-oauth-rfc7523bis section 4; RFC 7523 section 3."""
    began = int(time.time())
    made = grant(key_id="k-1")
    made(Token("a", "r"))
    made.revoke(Token("a", "r"))
    DeviceCodeGrant(SERVER, client_id="reports", private_key=pem(RSA), key_id="k-1").begin()
    sent = forms(endpoint)
    assert len(sent) == 4
    assert {form["client_id"] for form in sent} == {"reports"}
    assert {form["client_assertion_type"] for form in sent} == {
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    }
    told = [claims(form) for form in sent]
    for one in told:
        assert (one["iss"], one["sub"], one["aud"]) == ("reports", "reports", ISSUER)
        assert one["exp"] - one["iat"] == 60
        assert began <= one["iat"] <= time.time()
    assert len({one["jti"] for one in told}) == 4
    assert {jwt.get_unverified_header(form["client_assertion"])["kid"] for form in sent} == {"k-1"}


@pytest.mark.parametrize(
    ("arguments", "audience"),
    [
        ({"server": f"{ISSUER}/token"}, f"{ISSUER}/token"),
        ({"assertion_audience": f"{ISSUER}/token"}, f"{ISSUER}/token"),
        ({"server": f"{ISSUER}/token", "assertion_audience": ISSUER}, ISSUER),
    ],
)
def test_a_server_that_wants_another_audience_gets_it(endpoint, arguments, audience):
    """As Okta does."""
    grant(**arguments)(Token("a", "r"))
    assert claims(forms(endpoint)[0], audience=audience)["aud"] == audience


P256, P384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()

KEYS = {
    "RSA": (RSA, {"private_key": pem(RSA)}, "RS256"),
    "RSA in bytes": (RSA, {"private_key": pem(RSA).encode()}, "RS256"),
    "RSA by PS256": (RSA, {"private_key": pem(RSA), "signing_alg": "PS256"}, "PS256"),
    "encrypted": (
        RSA,
        {"private_key": pem(RSA, "hunter2"), "private_key_password": "hunter2"},
        "RS256",
    ),
    "P-256": (P256, {"private_key": pem(P256)}, "ES256"),
    "P-384": (P384, {"private_key": pem(P384)}, "ES384"),
    "Ed25519": (ED25519, {"private_key": pem(ED25519)}, "EdDSA"),
    "a JWK": (P256, {"private_key": jwk(P256)}, "ES256"),
    "a JWK that says how": (RSA, {"private_key": jwk(RSA, alg="PS384")}, "PS384"),
    "a JWK as text": (P256, {"private_key": json.dumps(jwk(P256))}, "ES256"),
}


@pytest.mark.parametrize(("key", "arguments", "alg"), KEYS.values(), ids=KEYS)
def test_a_key_is_used_as_it_can_be(endpoint, key, arguments, alg):
    """RFC 7518 section 3.1."""
    made = pickle.loads(pickle.dumps(grant(**arguments)))
    made(Token("a", "r"))
    [form] = forms(endpoint)
    assert claims(form, key)["sub"] == "reports"
    assert jwt.get_unverified_header(form["client_assertion"])["alg"] == alg


def test_a_jwk_says_what_the_server_calls_it(endpoint):
    grant(private_key=jwk(RSA, kid="k-2"))(Token("a", "r"))
    [form] = forms(endpoint)
    assert jwt.get_unverified_header(form["client_assertion"])["kid"] == "k-2"


SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)
PUBLIC = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
BAD_KEYS = {
    "no key": ({"private_key": "hunter2"}, "no private key in PEM"),
    "half a key": ({"private_key": pem(RSA)[:800]}, "no private key in PEM"),
    "a path": ({"private_key": "/etc/reports/hunter2.pem"}, "no private key in PEM"),
    "no text": ({"private_key": 7}, "is a string, bytes or a mapping"),
    "encrypted": ({"private_key": pem(RSA, "hunter2")}, "private_key_password is missing"),
    "encrypted otherwise": (
        {"private_key": pem(RSA, "hunter2"), "private_key_password": "hunter3"},
        "another password than private_key_password",
    ),
    "not encrypted": ({"private_key_password": "hunter2"}, "leave private_key_password out"),
    "public": ({"private_key": PUBLIC}, "is public"),
    "public, as a JWK": ({"private_key": jwk(RSA.public_key())}, "is public"),
    "EC for RS256": ({"private_key": pem(P256), "signing_alg": "RS256"}, "is ES256, got 'RS256'"),
    "RSA for ES256": ({"signing_alg": "ES256"}, "RS256 or "),
    "RSA for a secret's": ({"signing_alg": "HS256"}, "RS256 or "),
    "RSA for none": ({"signing_alg": "none"}, "RS256 or "),
    "too small": ({"private_key": pem(SMALL)}, "has 1024 bits"),
    "DSA": (
        {"private_key": pem(dsa.generate_private_key(1024))},
        "of a kind that signs no JWT",
    ),
    "a JWK that is a secret": (
        {"private_key": {"kty": "oct", "k": "hunter2"}},
        "client_secret_jwt",
    ),
    "a JWK of no kind": ({"private_key": {"kty": "x", "d": "hunter2"}}, "no JWK that can be read"),
    "half a JWK": ({"private_key": '{"kty": "EC", "d": "hunter2"'}, "no JSON object"),
    "a short secret": (
        {
            "private_key": None,
            "client_secret": "hunter2",
            "token_endpoint_auth_method": "client_secret_jwt",
        },
        "too short for HS256",
    ),
    "a secret for RS256": (
        {
            "private_key": None,
            "client_secret": "hunter2" * 5,
            "token_endpoint_auth_method": "client_secret_jwt",
            "signing_alg": "RS256",
        },
        "is HS256 or HS384 or HS512, got 'RS256'",
    ),
}


@pytest.mark.parametrize(("arguments", "words"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_key_that_cannot_sign_is_told_where_it_is_passed(arguments, words):
    """RFC 7518 sections 3.2 and 3.3; and nothing of it is repeated."""
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        grant(**arguments)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter" not in str(error)
        assert "PRIVATE KEY" not in str(error)
        error = error.__cause__ or error.__context__


def test_a_secret_can_sign(endpoint):
    """OpenID Connect Core section 9."""
    made = grant(
        private_key=None,
        client_secret=SECRET,
        token_endpoint_auth_method="client_secret_jwt",
        key_id="k-1",
        signing_alg="HS384",
    )
    made(Token("a", "r"))
    [form] = forms(endpoint)
    assert claims(form, SECRET)["iss"] == "reports"
    header = jwt.get_unverified_header(form["client_assertion"])
    assert (header["kid"], header["alg"]) == ("k-1", "HS384")
    assert "client_secret" not in form


def test_an_assertion_can_be_somebody_elses(endpoint):
    """As where a platform gives one to each workload."""
    made = iter(["one", "two"])
    source = ClientCredentialsGrant(
        SERVER, client_id="reports", client_assertion=lambda: next(made)
    )
    source()
    source()
    assert [form["client_assertion"] for form in forms(endpoint)] == ["one", "two"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"client_secret": SECRET},
        {"auth": lambda request: request},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"private_key": None, "token_endpoint_auth_method": "private_key_jwt"},
        {"private_key": None, "token_endpoint_auth_method": "client_secret_jwt"},
        {"private_key": None, "client_secret": SECRET, "token_endpoint_auth_method": "none"},
        {"client_id": None},
    ],
)
def test_what_contradicts_itself_is_refused_at_the_door(arguments):
    with pytest.raises(ValueError, match=r"pass|takes"):
        grant(**arguments)


def test_a_client_without_a_secret_can_say_so(endpoint):
    grant(private_key=None, token_endpoint_auth_method="none")(Token("a", "r"))
    [form] = forms(endpoint)
    assert form == {"client_id": "reports", "grant_type": "refresh_token", "refresh_token": "r"}


def test_neither_the_key_nor_an_assertion_is_shown(endpoint):
    endpoint.remove(responses.POST, f"{ISSUER}/token")
    made = grant()
    endpoint.add_callback(
        "POST", f"{ISSUER}/token", lambda request: (400, {}, json.dumps({"error": request.body}))
    )
    with pytest.raises(Exception, match="the token endpoint") as caught:
        made(Token("a", "r"))
    assert forms(endpoint)[0]["client_assertion"] not in str(caught.value)
    assert "PRIVATE KEY" not in repr(vars(made))


def test_the_extra_is_named_if_it_is_not_there():
    program = """
import sys
sys.modules["jwt"] = None
from requests_tokenrefresh import RefreshTokenGrant
try:
    RefreshTokenGrant("https://a.example", client_id="c", private_key="x")
except ImportError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.endswith("pip install 'requests-tokenrefresh[jwt]'\n")
