"""Commands that read faces share the networks that they load."""

import pytest


@pytest.fixture(autouse=True)
def _networks(networks_loaded_once: None) -> None:
    """The tests of tests/runtime load each anew."""
