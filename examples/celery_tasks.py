"""Celery workers that share a login in Redis, with each other and with whoever logs in.

    requests-tokenrefresh serve --port 8401
    redis-server
    pip install celery "requests-tokenrefresh[redis]"
    python celery_tasks.py
    celery -A celery_tasks worker --loglevel INFO --pool prefork --concurrency 2

Run as a program it asks a person to log in, unless that has been done, and orders a report.
"""

import celery
import requests
from requests_tokenrefresh import (
    LoginRequiredError,
    RedisTokenStore,
    RefreshTokenGrant,
    TokenRefreshAdapter,
    TokenRefreshError,
    TokenSource,
    log_in,
)

REDIS = "redis://127.0.0.1:6379/0"
ISSUER = API = "http://127.0.0.1:8401"

app = celery.Celery("celery_tasks", broker=REDIS)

store = RedisTokenStore(REDIS, key="reports")
tokens = TokenSource(
    RefreshTokenGrant(f"{ISSUER}/oauth/token", client_id="demo"), origins=[API], store=store
)
session = requests.Session()
session.mount(API, TokenRefreshAdapter(tokens))


@app.task(bind=True, max_retries=10)
def fetch(self, report):
    try:
        answer = session.get(f"{API}/data", params={"report": report}, timeout=10)
    except LoginRequiredError:
        raise  # waiting does not help: somebody has to log in
    except TokenRefreshError as error:
        raise self.retry(countdown=getattr(error, "retry_after", None) or 5, exc=error) from error
    answer.raise_for_status()
    return answer.json()


if __name__ == "__main__":
    log_in(ISSUER, client_id="demo", origins=[API], store=store)
    fetch.delay("january")
