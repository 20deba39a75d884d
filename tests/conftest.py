"""What tests of more than one folder use."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.service import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A whole service with an empty store, the sandbox, and time in the test's hand."""
    opened = await World.open(tmp_path)
    yield opened
    await opened.close()
