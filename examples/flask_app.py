"""A Flask application whose visitors log in, each with a browser and a login of their own.

    requests-tokenrefresh serve --port 8401
    pip install flask
    flask --app flask_app run --port 5000

Then open http://127.0.0.1:5000/. Its workers on one machine share these logins, however many there
are; set the same SECRET_KEY for all.
"""

import functools
import os
import secrets
from pathlib import Path

import flask
import requests
from requests_tokenrefresh import (
    AuthorizationCodeGrant,
    AuthorizationServer,
    FileTokenStore,
    LoginFailedError,
    LoginRequiredError,
    RevocationFailedError,
    TokenRefreshAdapter,
    TokenSource,
)

ISSUER = API = "http://127.0.0.1:8401"
LOGINS = Path("~/.local/state/flask_app").expanduser()

app = flask.Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_hex()
app.config["SESSION_COOKIE_SAMESITE"] = "Lax"


@functools.cache
def grant() -> AuthorizationCodeGrant:
    """Ask the issuer for its endpoints, when the first visitor is there."""
    return AuthorizationCodeGrant(AuthorizationServer.discover(ISSUER), client_id="demo")


@functools.lru_cache(maxsize=1000)
def login_of(visitor: str) -> TokenSource:
    """One for each visitor: all requests of theirs are to share it."""
    return TokenSource(grant(), origins=[API], store=FileTokenStore(LOGINS / f"{visitor}.json"))


@app.get("/")
def data():
    visitor = flask.session.get("visitor")
    if visitor is None:
        return flask.redirect("/login")
    with requests.Session() as session:
        session.mount(API, TokenRefreshAdapter(login_of(visitor)))
        return session.get(f"{API}/data", timeout=10).json()


@app.get("/login")
def login():
    flask.session["attempt"] = grant().begin(flask.url_for("callback", _external=True))
    return flask.redirect(flask.session["attempt"]["url"])


@app.get("/callback")
def callback():
    attempt = flask.session.pop("attempt", None)
    if attempt is None:
        return flask.redirect("/login")  # it serves once: somebody has loaded this page again
    token = grant().finish(attempt, flask.request.url)
    flask.session["visitor"] = secrets.token_hex()
    login_of(flask.session["visitor"]).login(token)
    return flask.redirect("/")


@app.post("/logout")
def logout():
    visitor = flask.session.pop("visitor", None)
    if visitor is not None:
        try:
            login_of(visitor).logout(revoke=True)
        except RevocationFailedError as error:
            app.logger.warning("%s", error)  # it is over here all the same
    return "Logged out."


@app.errorhandler(LoginRequiredError)
def ask_for_a_login(_error):
    flask.session.pop("visitor", None)
    return flask.redirect("/login")


@app.errorhandler(LoginFailedError)
def say_why(error):
    return flask.Response(f"You are not logged in: {error}", 403, mimetype="text/plain")
