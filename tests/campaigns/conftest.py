"""How long the campaigns are: `pytest tests/campaigns --rounds 5000 --seed 7` for a longer one."""

import pytest


@pytest.fixture
def campaign_seed(request):
    """The seed of what is done to files."""
    return request.config.getoption("--seed")


@pytest.fixture
def campaign_rounds(request):
    """How often something is done to each file."""
    return request.config.getoption("--rounds")
