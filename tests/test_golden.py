"""Findings are those that were kept with the result version."""

from pathlib import Path

import pytest

from nodescan.domain.report import RESULT_VERSION
from tests.golden import findings, kept


def test_nothing_alters_a_finding_unless_the_result_version_says_so(tmp_path: Path) -> None:
    """Class, flags, sizes, places and counts on the phantom: to 1 um and a cell, which rounding elsewhere may take.

    What is meant to alter one counts RESULT_VERSION up and keeps the new findings: python -m tests.golden.
    """
    found, before = findings(tmp_path), kept()
    assert before["result_version"] == RESULT_VERSION
    for exact in ("card_sha256", "metastasis", "flags"):
        assert found[exact] == before[exact], exact
    assert found["tissue_area_mm2"] == pytest.approx(before["tissue_area_mm2"], rel=0.005)
    assert found["tumour_probability"] == pytest.approx(before["tumour_probability"], abs=0.005)
    assert [one["class"] for one in found["deposits"]] == [one["class"] for one in before["deposits"]]
    for now, then in zip(found["deposits"], before["deposits"], strict=True):
        assert now["diameter_um"] == pytest.approx(then["diameter_um"], abs=1)
        assert now["diameter_uncertainty_um"] == pytest.approx(then["diameter_uncertainty_um"], abs=1)
        assert now["area_um2"] == pytest.approx(then["area_um2"], rel=0.01)
        assert now["centre_um"] == pytest.approx(then["centre_um"], abs=2)
        assert (now["cell_count"] is None) == (then["cell_count"] is None)
        assert now["cell_count"] == pytest.approx(then["cell_count"], abs=1) if now["cell_count"] else True
