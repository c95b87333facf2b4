"""What users write, with the types they may rely on: read by mypy, never run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import HTTPBasicAuth
from typing_extensions import assert_type
from urllib3.util import Retry

from requests_tokenrefresh import (
    AuthorizationCodeGrant,
    AuthorizationServer,
    ClientCredentialsGrant,
    DeviceCodeGrant,
    FileTokenStore,
    InsecureTransportError,
    Installation,
    JSONRefresh,
    LoginRequiredError,
    MemoryTokenStore,
    RefreshFailedError,
    RefreshTimeoutError,
    RefreshTokenGrant,
    StoreLockTimeoutError,
    Token,
    TokenRefreshAdapter,
    TokenRefreshError,
    TokenSource,
    TokenStore,
    TokenStoreError,
    events,
    install,
    log_in,
    mount,
    open_login,
    uninstall,
)
from requests_tokenrefresh.refreshers import Refresher

API = "https://api.example.com"
TOKEN_URL = "https://auth.example.com/oauth/token"


def tokens_are_values() -> None:
    token = Token(
        "access", "refresh", "Bearer", expires_at=2.0, issued_at=1.0, extra={"scope": "a"}
    )
    assert_type(token.access_token, str)
    assert_type(token.refresh_token, str | None)
    assert_type(token.token_type, str)
    assert_type(token.expires_at, float | None)
    assert_type(token.issued_at, float | None)
    assert_type(token.lifetime, float | None)
    assert_type(token.extra, Mapping[str, Any])
    assert_type(token.authorization, str)
    assert_type(Token.from_mapping({"access_token": "a"}, received_at=1), Token)
    assert_type(Token.from_mapping({}, received_at=1.0, previous=token), Token)
    assert_type(token.to_mapping(), dict[str, Any])
    token.access_token = "another"  # type: ignore[misc]  # it is frozen


def a_grant_with_all_its_arguments() -> RefreshTokenGrant:
    return RefreshTokenGrant(
        TOKEN_URL,
        client_id="reports",
        client_secret="secret",
        auth=None,
        token_endpoint_auth_method="client_secret_post",
        scope="read write",
        data={"audience": API, "resource": [API, "https://other.example.com"]},
        headers={"X-Tenant": "a"},
        timeout=(5, 10.0),
        deadline=20,
        max_reply_bytes=1024,
        verify="/etc/ssl/ca.pem",
        cert=("client.pem", "client.key"),
        proxies={"https": "http://proxy.example.com:3128"},
        insecure=False,
        clock=lambda: 0.0,
    )


def grants_are_refreshers(token: Token | None) -> None:
    assert_type(a_grant_with_all_its_arguments()(token), Token)
    assert_type(RefreshTokenGrant(TOKEN_URL)(None), Token)
    by_certificate = ClientCredentialsGrant(TOKEN_URL, client_id="reports", cert="client.pem")
    assert_type(by_certificate(), Token)
    assert_type(by_certificate(token), Token)
    ClientCredentialsGrant(TOKEN_URL, auth=HTTPBasicAuth("reports", "secret"))
    ClientCredentialsGrant(TOKEN_URL, auth=lambda request: request)
    ClientCredentialsGrant(TOKEN_URL, auth=("reports", "secret"))  # type: ignore[arg-type]
    RefreshTokenGrant(TOKEN_URL, "reports")  # type: ignore[call-arg]  # by keyword only
    RefreshTokenGrant(TOKEN_URL, refused={"account_locked", 410}, token_type="JWT")
    RefreshTokenGrant(TOKEN_URL, refused=lambda response: response.status_code == 410)
    RefreshTokenGrant(TOKEN_URL, refused=410)  # type: ignore[arg-type]
    RefreshTokenGrant(
        TOKEN_URL,
        token_endpoint_auth_method="tls_client_auth",  # type: ignore[arg-type]
    )


def json_endpoints_are_refreshers(token: Token | None) -> None:
    assert_type(JSONRefresh(f"{API}/api/token/refresh/")(token), Token)
    JSONRefresh(
        f"{API}/refresh",
        refresh_token_in="header",
        sent_field="refresh",
        access_token_field="access_token",
        refresh_token_field="refresh_token",
        expires_in_field="expires_in",
        refused={401, 410},
        json={"device": 7},
        auth=HTTPBasicAuth("reports", "secret"),
        headers={"X-Tenant": "a"},
        timeout=(5.0, 10.0),
        deadline=20.0,
        max_reply_bytes=1024,
        verify=True,
        cert="client.pem",
        proxies={},
        insecure=True,
        clock=lambda: 0.0,
    )
    JSONRefresh(API, refused=[401, "account_locked"], access_token_field="data.access")
    JSONRefresh(API, refresh_token_in="cookie")  # type: ignore[arg-type]


def any_function_is_a_refresher() -> None:
    def gives_a_token(token: Token | None) -> Token:
        return Token("access")

    def gives_a_reply(token: Token | None) -> dict[str, object]:
        return {"access_token": "access", "expires_in": 60}

    def gives_a_string(token: Token | None) -> str:
        return "access"

    def gives_json(token: Token | None) -> Any:
        return requests.post(TOKEN_URL, timeout=10).json()

    def takes_a_token_only(token: Token) -> str:
        return "access"

    TokenSource(gives_a_token, origins=[API])
    TokenSource(gives_a_reply, origins=[API])
    TokenSource(gives_a_string, origins=[API])
    TokenSource(gives_json, origins=[API])
    TokenSource(lambda token: "access", origins=(API,))
    TokenSource(takes_a_token_only, origins=[API])  # type: ignore[arg-type]  # there may be none
    TokenSource(lambda: "access", origins=[API])  # type: ignore[arg-type,misc]


def a_source_with_all_its_arguments() -> TokenSource:
    def listener(event: events.Event) -> None:
        assert_type(event.at, float)
        assert_type(event.thread, str)

    return TokenSource(
        a_grant_with_all_its_arguments(),
        origins={API},
        insecure_origins=["http://api:8000"],
        token={"access_token": "access", "refresh_token": "refresh"},
        store=FileTokenStore("~/.config/reports/token.json"),
        login=ClientCredentialsGrant(TOKEN_URL, client_id="reports", client_secret="secret"),
        leeway=10,
        early=300.0,
        wait_timeout=30,
        trial_timeout=0,
        min_refresh_interval=1,
        when_logged_out="detach",
        on_logout=print,
        listeners=[listener, print],
        clock=lambda: 0.0,
        monotonic=lambda: 0.0,
        random=lambda: 0.5,
    )


def sources_take_tokens_and_stores_in_several_forms() -> None:
    def refresh(token: Token | None) -> str:
        return "access"

    TokenSource(refresh, origins=[API], token="access", store="token.json")
    TokenSource(refresh, origins=[API], token=Token("access"), store=Path("token.json"))
    TokenSource(refresh, origins=[API], token=None, store=None, login=lambda: {"access_token": "a"})
    TokenSource(refresh, origins=[API], store=MemoryTokenStore())
    TokenSource(refresh, origins=[API], when_logged_out="ignore")  # type: ignore[arg-type]
    TokenSource(refresh, insecure_origins=["http://api:8000"])


def what_a_source_does(tokens: TokenSource) -> None:
    token = tokens.token()
    assert_type(token, Token)
    assert_type(tokens.refresh(token), Token)
    tokens.refresh(token.access_token)  # type: ignore[arg-type]  # the object, not its string
    tokens.login("access")
    tokens.login({"access_token": "access"})
    tokens.login(token)
    tokens.logout()


def what_an_adapter_of_ones_own_reports(tokens: TokenSource, token: Token) -> None:
    data = ("GET", "https://api.example.com", "/data")
    assert_type(tokens.learns_from(token), bool)
    tokens.accept(token, data)
    assert_type(tokens.is_own(token, data), bool)
    assert_type(tokens.reject(token, data), Token | None)
    assert_type(tokens.tries_again(token), bool)
    assert_type(tokens.refuse(token, data), bool)
    tokens.passes_on(data, "it says so")
    tokens.give_up(token)
    assert_type(tokens.on_trial(token), bool)
    assert_type(tokens.refreshing_here(), bool)
    assert_type(tokens.scheme(), str | None)
    tokens.say_once("a request passes through")
    tokens.tell(events.LoggedOut, reason="logged_out")


def adapters_are_mounted(tokens: TokenSource) -> None:
    def is_rejected(response: requests.Response) -> bool:
        return response.status_code in (401, 498)

    session = requests.Session()
    session.mount(API, TokenRefreshAdapter(tokens))
    session.mount(API, TokenRefreshAdapter(tokens, transport=session.get_adapter(API)))
    adapter = TokenRefreshAdapter(
        tokens,
        transport=HTTPAdapter(),
        is_rejected=is_rejected,
        spool_bodies=1024,
        attach="X-Auth-Token",
        replaces=["token"],
        pool_connections=1,
        pool_maxsize=50,
        max_retries=Retry(3),
        pool_block=True,
    )
    request = requests.Request("GET", API).prepare()
    assert_type(adapter.send(request), requests.Response)
    adapter.send(request, stream=True, timeout=(5, None), verify=False, cert=None, proxies={})
    adapter.close()

    def in_a_cookie(request: requests.PreparedRequest, token: Token) -> None:
        request.headers["Cookie"] = f"session={token.access_token}"

    def elsewhere(request: requests.PreparedRequest, token: Token) -> requests.PreparedRequest:
        return request.copy()

    TokenRefreshAdapter(tokens, attach=in_a_cookie, replaces={"token"})
    TokenRefreshAdapter(tokens, attach=elsewhere)
    TokenRefreshAdapter(tokens, attach=None)
    TokenRefreshAdapter(tokens, attach=b"X-Auth-Token")  # type: ignore[arg-type]
    TokenRefreshAdapter("access")  # type: ignore[arg-type]
    TokenRefreshAdapter(tokens, HTTPAdapter())  # type: ignore[call-arg]  # by keyword only


def sessions_that_are_there_already(session: requests.Session, tokens: TokenSource) -> None:
    assert_type(mount(session, tokens), dict[str, BaseAdapter])
    mount(
        session, tokens, is_rejected=lambda response: response.status_code == 498, spool_bodies=1024
    )
    mount(session, tokens, attach="X-Auth-Token", replaces=("token",))
    mount(tokens, session)  # type: ignore[arg-type]  # the session comes first
    install(tokens, attach="X-Auth-Token", replaces=("token",))
    with install(tokens) as installation:
        assert_type(installation, Installation)
    install(
        tokens, is_rejected=lambda response: response.status_code == 498, spool_bodies=1024
    ).uninstall()
    uninstall()


class StoreOfMyOwn:
    """A `TokenStore` without being told so."""

    shared = True

    def load(self) -> Token | None:
        return None

    def save(self, token: Token) -> None: ...

    def clear(self) -> None: ...

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        yield


def stores_are_alike(path: os.PathLike[str]) -> None:
    stores: list[TokenStore] = [FileTokenStore(path), MemoryTokenStore(), StoreOfMyOwn()]
    for store in stores:
        assert_type(store.shared, bool)
        assert_type(store.load(), Token | None)
        store.save(Token("access"))
        store.clear()
        turn: AbstractContextManager[object] = store.lock(1.0)
        with turn:
            pass
        TokenSource(lambda token: "access", origins=[API], store=store)
    assert_type(FileTokenStore("token.json").path, Path)
    TokenSource(lambda token: "access", origins=[API], store=object())  # type: ignore[arg-type]


def a_person_logs_in(server: AuthorizationServer, attempt: dict[str, str]) -> None:
    tokens = log_in("https://auth.example.com", client_id="c", origins=[API], store="t.json")
    assert_type(tokens, TokenSource)
    log_in(server, client_id="c", origins=[API], store=None, how="device", say=print)
    log_in(server, client_id="c", origins=[API], store=None, how="mail")  # type: ignore[arg-type]
    log_in(server, client_id="c", origins=[API])  # type: ignore[call-arg]
    assert_type(open_login("t.json", origins=[API], client_secret="s"), TokenSource)

    code = AuthorizationCodeGrant(server, client_id="c", params={"prompt": "login"})
    begun = code.begin("https://app.example.com/callback")
    assert_type(begun.url, str)
    assert_type(code.finish(begun, "?code=x"), Token)
    assert_type(code.finish(attempt, "?code=x"), Token)
    device = DeviceCodeGrant("https://auth.example.com/token", client_id="c")
    assert_type(device.begin().user_code, str)
    assert_type(device.finish(device.begin(), timeout=60), Token)
    refreshers: list[Refresher] = [code, device]
    TokenSource(refreshers[0], origins=[API])


def errors_are_those_of_requests() -> None:
    login_required = LoginRequiredError("gone", reason="gone", response=requests.Response())
    assert_type(login_required.reason, str)
    assert_type(login_required.response, requests.Response)
    refresh_failed = RefreshFailedError("later", retry_after=2)
    assert_type(refresh_failed.retry_after, float | None)
    of_http: list[requests.HTTPError] = [login_required]
    of_time: list[requests.Timeout] = [RefreshTimeoutError("slow"), StoreLockTimeoutError("busy")]
    of_stores: list[TokenStoreError] = [StoreLockTimeoutError("busy"), TokenStoreError("broken")]
    all_of_them: list[TokenRefreshError] = [
        login_required,
        refresh_failed,
        RefreshTimeoutError("slow"),
        *of_stores,
        InsecureTransportError("http"),
    ]
    of_requests: list[requests.RequestException] = [*of_http, *of_time, *all_of_them]
    raise of_requests[0]


def events_have_facts(event: events.Event) -> None:
    match event:
        case events.TokenRejected():
            assert_type(event.replay, bool)
        case events.RefreshStarted():
            assert_type(event.why, Literal["reactive", "preemptive", "early"])
        case events.RefreshEnded():
            failed: bool = event.outcome in ("permanent", "transient")
            assert_type(failed, bool)
        case events.WaitEnded():
            assert_type(event.seconds, float)
        case events.ReplayStarted():
            assert_type(event.trial, bool)
        case events.ReplayEnded():
            assert_type(event.verdict, Literal["accepted", "refused", "none"])
        case events.LoggedOut():
            assert_type(event.reason, str)
        case events.WaitStarted() | events.LoggedIn():
            pass


listener: events.Listener = events_have_facts


def only_names_that_there_are_can_be_imported() -> None:
    from requests_tokenrefresh import Grant  # type: ignore[attr-defined]  # noqa: F401
