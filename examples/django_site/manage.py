"""A Django site with a command of its own, which acts with the login that is in a file.

    requests-tokenrefresh serve --port 8401
    requests-tokenrefresh login --issuer http://127.0.0.1:8401 --client-id demo --store token.json
    pip install django
    python manage.py fetch_report

The command is in reports/management/commands/fetch_report.py. A site of yours has its settings in a
module, and there these two.
"""

import sys

from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(
    INSTALLED_APPS=["reports"],
    REPORTS_API="http://127.0.0.1:8401",
    REPORTS_LOGIN="token.json",
)

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
