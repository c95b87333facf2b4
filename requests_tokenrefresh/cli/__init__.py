"""The command `requests-tokenrefresh`. Needs the extra `cli`; nothing else imports it."""
