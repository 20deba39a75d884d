"""What tests of more than one folder use."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from tests.postgres import Cluster, PostgresMissing, is_ci
from tests.service import World


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that runs in this process sets up its logs; the next test must not find them so."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server. Without its programs tests are skipped, but in CI they fail."""
    try:
        made = Cluster.make()
    except PostgresMissing as missing:
        if is_ci():
            raise
        pytest.skip(str(missing))
    yield made
    made.remove()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A whole service with an empty store, the sandbox, and time in the test's hand."""
    opened = await World.open(tmp_path)
    yield opened
    await opened.close()
