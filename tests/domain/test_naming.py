"""Names in a sentence."""

from nodescan.domain.naming import few


def test_no_name_is_left_out_in_silence() -> None:
    """What isn't named is counted."""
    assert few(["a", "b", "c"], 3) == "a, b, c"
    assert few(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert few([], 2) == ""
