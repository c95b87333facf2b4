"""What recorders of HTTP write into their cassettes, without the tokens that went over the wire.

What stands in the place of a token is still one, so that what is recorded can be played.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from .._expiry import jwt_claims

RECORDED = "recorded"
"""What stands in the place of a secret."""

_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-auth-token"}
    | {"x-vault-token", "private-token", "x-api-key"}
)
_FIELDS = frozenset(  # RFC 6749, 7521, 7523, 7636, 8628, 8693, OpenID Connect
    {"access_token", "refresh_token", "id_token", "client_secret", "client_assertion", "assertion"}
    | {"code_verifier", "device_code", "subject_token", "actor_token", "id_token_hint", "password"}
)
# What means something else as often, a country or the right to read: if it is as long as a token.
_LONG_FIELDS = frozenset({"access", "refresh", "token", "code"})
_LONG = 16  # characters, and no blank

_PAIR = re.compile(r"(^|[?&#;])([^=&#?;]+)=([^&#;]*)")  # of a form, a query or a fragment
_FORM = re.compile(r"[^\s=&{\[<]+=[^\s&]*(&[^\s=&]+=[^\s&]*)*")


def vcr_without_tokens(
    *, headers: Iterable[str] = (), fields: Iterable[str] = ()
) -> dict[str, Any]:
    """Return options for vcrpy that keep tokens out of a cassette: ``vcr.VCR(**...)``, or what the
    fixture ``vcr_config`` of pytest-recording returns.

    Taken out are the headers that hold tokens and cookies; and in URLs, forms and JSON, compressed
    or not, the fields that OAuth has for secrets, and whatever is a JWT. A program that records
    goes on with the real ones.

    Args:
        headers: The names of more headers, such as that of `attach=`.
        fields: The names of more fields.
    """
    without = _Without(headers, fields)

    def request(recorded: Any) -> Any:
        filtered = copy.copy(recorded)
        filtered.uri = without.url(recorded.uri)
        filtered.headers = without.headers(recorded.headers)
        if isinstance(recorded.body, bytes):
            filtered.body = without.body(recorded.body)
        return filtered

    def response(recorded: dict[str, Any]) -> dict[str, Any]:
        content, fields = without.answer(recorded["body"]["string"], recorded["headers"])
        return {**recorded, "body": {"string": content}, "headers": fields}

    return {"before_record_request": request, "before_record_response": response}


def betamax_without_tokens(*, headers: Iterable[str] = (), fields: Iterable[str] = ()) -> str:
    """Return the name of a serializer for betamax that keeps tokens out of a cassette:
    ``recorder.use_cassette("...", serialize_with=betamax_without_tokens())``. It writes JSON.

    Otherwise as `vcr_without_tokens`. betamax compares the URLs of requests as they are: where a
    token stands in the query, pass ``match_requests_on=["method", "path"]`` as well.

    Args:
        headers: The names of more headers, such as that of `attach=`.
        fields: The names of more fields.

    Raises:
        ImportError: betamax is not installed.
    """
    import betamax  # type: ignore[import-untyped, import-not-found, unused-ignore]

    without = _Without(headers, fields)

    class Serializer(betamax.serializers.JSONSerializer):  # type: ignore[misc] # it has no types
        # Registered for all cassettes of the process, so those with other words have another name.
        name = " ".join(["json without tokens", *without.words])

        def serialize(self, cassette_data: Mapping[str, Any]) -> Any:
            kept = copy.deepcopy(dict(cassette_data))  # what was recorded may still be played
            for interaction in kept["http_interactions"]:
                _filter_interaction(interaction, without)
            return super().serialize(kept)

    betamax.Betamax.register_serializer(Serializer)
    return Serializer.name


def _filter_interaction(interaction: dict[str, Any], without: _Without) -> None:
    request, response = interaction["request"], interaction["response"]
    request["uri"] = without.url(request["uri"])
    request["headers"] = without.headers(request["headers"])
    _put_body(request, without.body(_body_of(request)))
    response["url"] = without.url(response["url"])
    content, response["headers"] = without.answer(_body_of(response), response["headers"])
    _put_body(response, content)


def _body_of(message: Mapping[str, Any]) -> bytes:
    body = message["body"]
    if "base64_string" in body:
        return base64.b64decode(body["base64_string"])
    return str(body["string"]).encode(body["encoding"] or "utf-8")


def _put_body(message: Mapping[str, Any], content: bytes) -> None:
    body = message["body"]
    if content == _body_of(message):
        return
    if "base64_string" in body:
        body["base64_string"] = base64.b64encode(content).decode()
    else:
        body["string"] = content.decode(body["encoding"] or "utf-8")


class _Without:
    """Takes secrets out of the parts of a message. What has none is returned as it is.

    Attributes:
        words: What it takes out beside the usual.
    """

    def __init__(self, headers: Iterable[str], fields: Iterable[str]) -> None:
        more_headers = {name.lower() for name in headers}
        more_fields = set(fields)
        self.words = sorted(more_headers | more_fields)
        self._headers = _HEADERS | more_headers
        self._fields = _FIELDS | more_fields

    def url(self, url: str) -> str:
        """Filter a query and a fragment."""
        return _PAIR.sub(self._pair, url)

    def headers(self, headers: Mapping[str, Any]) -> dict[str, Any]:
        """Filter headers, whose values may be lists."""
        kept = {name: headers[name] for name in headers if name.lower() not in self._headers}
        for name, value in kept.items():
            if name.lower() == "location":
                kept[name] = [*map(self.url, value)] if isinstance(value, list) else self.url(value)
        return kept

    def answer(self, content: bytes, headers: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
        """Filter the body and the headers of an answer. A body with a secret in it is no longer
        compressed then, nor as long as it was."""
        kept = self.headers(headers)
        plain = _unpacked(content, headers)
        filtered = self.body(plain)
        if filtered == plain:
            return content, kept
        for name in list(kept):
            if name.lower() == "content-encoding":
                del kept[name]
            elif name.lower() == "content-length":
                length = str(len(filtered))
                kept[name] = [length] if isinstance(kept[name], list) else length
        return filtered, kept

    def body(self, content: bytes) -> bytes:
        """Filter JSON, or a form."""
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return content
        try:
            document = json.loads(text)
            filtered = self._value("", document)
        except (ValueError, RecursionError):
            return _PAIR.sub(self._pair, text).encode() if _FORM.fullmatch(text) else content
        return content if filtered == document else json.dumps(filtered).encode()

    def _pair(self, pair: re.Match[str]) -> str:
        before, name, value = pair.groups()
        is_secret = self._is_secret(unquote_plus(name), unquote_plus(value))
        return f"{before}{name}={RECORDED}" if is_secret else pair[0]

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {inner: self._value(inner, one) for inner, one in value.items()}
        if isinstance(value, list):
            return [self._value(name, one) for one in value]
        return RECORDED if isinstance(value, str) and self._is_secret(name, value) else value

    def _is_secret(self, name: str, value: str) -> bool:
        if name in self._fields:
            return bool(value)
        is_long = len(value) >= _LONG and " " not in value
        return (is_long and name in _LONG_FIELDS) or bool(jwt_claims(value))


def _unpacked(content: bytes, headers: Mapping[str, Any]) -> bytes:
    """Return *content* as whoever has sent the request reads it."""
    packed = [value for name, value in headers.items() if name.lower() == "content-encoding"]
    if not packed:
        return content
    coding = packed[0] if isinstance(packed[0], str) else ", ".join(packed[0])
    try:
        fields = {"Content-Encoding": coding}
        answer = HTTPResponse(io.BytesIO(content), headers=fields, preload_content=False)
        return bytes(answer.read(decode_content=True))
    except HTTPError:
        return content
