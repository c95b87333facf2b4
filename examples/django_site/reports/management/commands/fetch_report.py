"""`python manage.py fetch_report`: fetch a page with the login of the site.

The exit code is 3 if somebody has to log in, 4 if it is worth another attempt later.
"""

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from requests_tokenrefresh import (
    LoginRequiredError,
    TokenRefreshAdapter,
    TokenRefreshError,
    open_login,
)


class Command(BaseCommand):
    help = "Fetch the report."

    def handle(self, *args, **options):
        api = settings.REPORTS_API
        try:
            tokens = open_login(settings.REPORTS_LOGIN, origins=[api])
            with requests.Session() as session:
                session.mount(api, TokenRefreshAdapter(tokens))
                response = session.get(f"{api}/data", timeout=10)
        except LoginRequiredError as error:
            raise CommandError(str(error), returncode=3) from error
        except TokenRefreshError as error:
            raise CommandError(str(error), returncode=4) from error
        response.raise_for_status()
        self.stdout.write(response.json()["message"])
