"""A script: fetch pages by eight threads, with the login that is in a file.

    requests-tokenrefresh serve --port 8401
    requests-tokenrefresh login --issuer http://127.0.0.1:8401 --client-id demo --store token.json
    python fetch_pages.py

The exit code is 3 if somebody has to log in, 4 if it is worth another attempt later.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import requests
from requests_tokenrefresh import (
    LoginRequiredError,
    TokenRefreshAdapter,
    TokenRefreshError,
    open_login,
)

API = "http://127.0.0.1:8401"
THREADS = 8


def fetch(session: requests.Session, page: int) -> str:
    response = session.get(f"{API}/data", params={"page": page}, timeout=10)
    response.raise_for_status()
    return response.json()["message"]


def main() -> int:
    try:
        tokens = open_login("token.json", origins=[API])
        with requests.Session() as session, ThreadPoolExecutor(THREADS) as threads:
            session.mount(API, TokenRefreshAdapter(tokens, pool_maxsize=THREADS))
            for message in threads.map(lambda page: fetch(session, page), range(100)):
                print(message)
    except LoginRequiredError as error:
        print(error, file=sys.stderr)
        return 3
    except TokenRefreshError as error:
        print(error, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
