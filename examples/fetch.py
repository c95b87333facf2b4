"""A command that logs its user in, once, and is logged in from then on.

    requests-tokenrefresh serve --port 8401
    python fetch.py login
    python fetch.py get /data
    python fetch.py logout

`login` opens a browser; on a machine without one it shows a code to enter on another.
"""

import argparse
import sys

import requests
from requests_tokenrefresh import (
    LoginRequiredError,
    RevocationFailedError,
    TokenRefreshAdapter,
    log_in,
    open_login,
)

ISSUER = API = "http://127.0.0.1:8401"
STORE = "~/.config/fetch/token.json"


def login() -> None:
    log_in(ISSUER, client_id="demo", origins=[API], store=STORE)
    print("Logged in.")


def get(path: str) -> None:
    with requests.Session() as session:
        session.mount(API, TokenRefreshAdapter(open_login(STORE, origins=[API])))
        response = session.get(API + path, timeout=10)
        response.raise_for_status()
        print(response.text.rstrip())


def logout() -> None:
    try:
        open_login(STORE, origins=[API]).logout(revoke=True)
    except RevocationFailedError as error:
        print(error, file=sys.stderr)  # it is over here all the same
    print("Logged out.")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch pages as yourself.")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("login").set_defaults(run=login)
    commands.add_parser("logout").set_defaults(run=logout)
    getting = commands.add_parser("get")
    getting.set_defaults(run=get)
    getting.add_argument("path")
    arguments = vars(parser.parse_args())
    try:
        arguments.pop("run")(**arguments)
    except LoginRequiredError as error:
        sys.exit(f"{error}\nTo log in: fetch.py login")
    except requests.RequestException as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
