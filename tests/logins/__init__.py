"""Logins by a real Chromium, headless: pages without a form, and servers that have forms."""
