"""When the tests' evaluations are made."""

from datetime import UTC, datetime

from nodescan.evaluation.provenance import Occasion


def made_of(reference: str) -> Occasion:
    """One day, against a reference of this name."""
    return Occasion(datetime(2026, 11, 29, 21, 4, 5, tzinfo=UTC), reference, "0" * 64, "results")
