"""What a deposit knows of itself."""

import pytest

from tests.domain.test_verdict import deposit


@pytest.mark.parametrize(
    ("diameter_um", "uncertainty_um", "expected"),
    [(190.0, 9.9, False), (190.0, 10.0, True), (2015.0, 20.0, True), (900.0, 100.0, False)],
)
def test_deposit_is_borderline_when_its_interval_holds_a_limit(diameter_um, uncertainty_um, expected):
    """190 +- 10 um may be above 0.2 mm, 190 +- 9.9 um may not."""
    assert deposit(diameter_um, uncertainty_um=uncertainty_um).borderline is expected
