"""For tests of your own: a fake login, cassettes without tokens, and the contract of a token store.

Needs pytest.
"""

try:
    import pytest
except ImportError as error:
    raise ImportError("requests_tokenrefresh.testing needs pytest: pip install pytest") from error

# A failing assert shows its values in the files of a test suite; elsewhere pytest has to be told,
# before the import.
pytest.register_assert_rewrite(f"{__name__}._store_contract", f"{__name__}._optional_contract")

from ._fake_login import FakeTokenSource  # noqa: E402 - see above
from ._recorders import betamax_without_tokens, vcr_without_tokens  # noqa: E402 - see above
from ._store_contract import TokenStoreContract  # noqa: E402 - see above

__all__ = [
    "FakeTokenSource",
    "TokenStoreContract",
    "betamax_without_tokens",
    "vcr_without_tokens",
]
