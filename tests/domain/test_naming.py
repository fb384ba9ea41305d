"""Names in a sentence."""

from nodescan.domain.naming import few, percent_above


def test_no_name_is_left_out_in_silence() -> None:
    """What isn't named is counted."""
    assert few(["a", "b", "c"], 3) == "a, b, c"
    assert few(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert few([], 2) == ""


def test_a_share_above_a_limit_never_reads_as_the_limit() -> None:
    """2.04 % is not told as the 2 % that are allowed."""
    told = [percent_above(share, 0.02) for share in (1.0, 0.031, 0.025, 0.0204, 0.02000001)]
    assert told == ["100%", "3%", "2.5%", "2.04%", "2.000001%"]
