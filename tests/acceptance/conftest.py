"""Fixtures for tests from the outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty folder, and the command line in it."""
    made = Project(tmp_path)
    yield made
    made.close()
