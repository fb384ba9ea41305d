"""A small data set of composite slides and its sampling index, made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.fakes import silent
from tests.training.made_bucket import Server, s3_server
from tests.training.made_slides import write_data_set
from training.camelyon.manifest import read_data_manifest
from training.slides.prepare import prepare


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Losses are compared to the last bit; and what tests come after these have as many threads as before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slides and outlines laid out as in the bucket, and manifest.csv."""
    folder = tmp_path_factory.mktemp("data")
    write_data_set(folder)
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One that speaks S3."""
    with s3_server() as made:
        yield made


@pytest.fixture(scope="session")
def index(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sampling index of the data set."""
    folder = tmp_path_factory.mktemp("index")
    prepare(read_data_manifest(data_set / "manifest.csv"), data_set, folder, tell=silent)
    return folder
