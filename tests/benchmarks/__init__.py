"""What the adapter costs and saves, measured on this machine: `python -m tests.benchmarks`.

Prints tables; asserts nothing and is no part of the test run. Beside what the tests need it wants
``singleflight-auth`` from PyPI, to compare with.
"""
