"""Two thousand small changes to what decides, and whether the tests notice each."""
