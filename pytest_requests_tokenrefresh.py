"""The fixtures of requests-tokenrefresh, for every test suite that it is installed for.

pytest imports this whenever it starts, also for suites that have nothing to do with it. So it is no
part of the package, which would be imported with it, before coverage is measured; and nothing but
pytest is imported before a test asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from requests_tokenrefresh.testing import FakeTokenSource


@pytest.fixture
def fake_tokens() -> FakeTokenSource:
    """A `requests_tokenrefresh.testing.FakeTokenSource` for ``https://api.example.com``."""
    from requests_tokenrefresh.testing import FakeTokenSource

    return FakeTokenSource()
