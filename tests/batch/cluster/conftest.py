"""One cluster of real processes for the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.batch.cluster.fakes import Farm


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    farm = Farm(tmp_path_factory.mktemp("farm"))
    yield farm
    farm.end()
