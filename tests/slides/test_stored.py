"""What a file says of itself is told in full, in um where it can be measured, and not believed where it is absurd."""

from dataclasses import replace
from pathlib import Path

import pytest

from nodescan.domain.slide import BoundsUm, SlideInfo, SlideRef
from nodescan.domain.units import MicronsPerPixel, Spacing
from nodescan.errors import NotASlideError
from nodescan.slides.stored import StoredSlide, slide_facts, slide_info
from tests.slides.made_files import write_directories

SPACING = Spacing(MicronsPerPixel(0.5), MicronsPerPixel(0.48))
SAID = {"openslide.vendor": "x", "openslide.mpp-x": "0.5", "openslide.mpp-y": "0.48"}


@pytest.fixture
def ref(tmp_path: Path) -> SlideRef:
    """A file that isn't cut off."""
    (tmp_path / "s.x").touch()
    return SlideRef("s", tmp_path / "s.x")


def stored(width: int = 800, height: int = 1200, **said: str) -> StoredSlide:
    """Of two levels. said: by OpenSlide's names, without their first word; a missing one is ""."""
    named = SAID | {f"openslide.{name.replace('_', '-')}": text for name, text in said.items()}
    told = {name: text for name, text in named.items() if text}
    return StoredSlide(told, ((width, height), (width // 4, height // 4)), (1.0, 4.0))


def info_of(slide: StoredSlide, ref: SlideRef) -> SlideInfo:
    return slide_info(slide, ref, reader="r", chosen=slide.spacing(ref))


def test_a_slide_as_long_as_the_largest_glass_is_taken_and_a_longer_one_is_not(ref: SlideRef) -> None:
    """Of 210 mm by one side, whatever the other; each side by its own pixel."""
    assert info_of(stored(420_000, 437_500), ref).width_px == 420_000
    for width, height in ((422_000, 10), (10, 440_000), (420_001, 10)):
        with pytest.raises(NotASlideError, match=rf"^s\.x: its header states {width:,} x {height:,} px of 0\.4899 um,"):
            info_of(stored(width, height), ref)
    with pytest.raises(
        NotASlideError, match=r"which is 211 mm; no slide is longer than 210 mm; copy it again .* --mpp"
    ):
        info_of(stored(10, 440_000), ref)


def test_a_report_and_the_facts_name_the_same(ref: SlideRef) -> None:
    """Facts have the power of the lens besides."""
    slide = stored(objective_power="20")
    info, facts = info_of(slide, ref), slide_facts(slide, ref, reader="r")
    assert (info.format, info.reader, info.width_px, info.height_px) == ("x", "r", 800, 1200)
    assert (info.spacing, info.spacing_source) == (SPACING, "file")
    assert (facts.format, facts.reader, facts.info) == ("x", "r", info)
    assert (facts.objective_power, facts.unmeasurable) == (20.0, "")
    assert facts.sizes_px == ((800, 1200), (200, 300))
    assert info.warnings == facts.warnings == ()


def test_without_a_spacing_there_are_no_sizes_in_um(ref: SlideRef) -> None:
    """And why is said, with what helps."""
    facts = slide_facts(stored(mpp_x="", vendor=""), ref, reader="r")
    assert (facts.format, facts.info) == ("unknown", None)
    reason, remedy = facts.unmeasurable.split("; ", 1)
    assert "how large its pixels are" in reason
    assert "--mpp UM" in remedy


@pytest.mark.parametrize(
    ("said", "power"),
    [("20", 20.0), ("0.5", 0.5), ("0", None), ("-20", None), ("nan", None), ("inf", None), ("20x", None), ("", None)],
)
def test_a_lens_has_a_positive_power_or_none_is_told(ref: SlideRef, said: str, power: float | None) -> None:
    assert slide_facts(stored(objective_power=said), ref, reader="r").objective_power == power


@pytest.mark.parametrize("missing", [None, "x", "y", "width", "height"])
def test_the_scanned_part_is_what_is_named_in_full_or_the_canvas(ref: SlideRef, missing: str | None) -> None:
    """Across by x's pixel, down by y's."""
    named = {"x": "10", "y": "20", "width": "300", "height": "400"}
    said = {f"bounds_{side}": text for side, text in named.items() if side != missing}
    bounds = BoundsUm(0.0, 0.0, 400.0, 576.0) if missing else BoundsUm(5.0, 9.6, 150.0, 192.0)
    assert info_of(stored(**said), ref).bounds_um == bounds


@pytest.mark.parametrize(
    ("wide", "high", "factors"),
    [
        ("256", "400", [1.0, 4.0]),
        ("400", "256", [1.0]),
        ("256", "", [1.0]),
        ("", "400", [1.0]),
        ("256", "0", [1.0]),
        ("0", "400", [1.0]),
        ("256.0", "400", [1.0]),
        ("256", "-400", [1.0]),
    ],
)
def test_the_size_of_a_levels_tiles_tells_how_it_was_padded(wide: str, high: str, factors: list[float]) -> None:
    """7,600 x 6,000 px reduced by 4, then to whole tiles; of the second level's own tiles."""
    said = {"openslide.level[1].tile-width": wide, "openslide.level[1].tile-height": high}
    said |= {"openslide.level[0].tile-width": "240", "openslide.level[0].tile-height": "240"}
    slide = StoredSlide(SAID | said, ((7600, 6000), (2048, 1600)), (1.0, 3.73))
    assert [level.factor_x for level in slide.levels()] == factors


def test_where_there_may_be_other_scans_a_level_is_a_whole_number_smaller() -> None:
    """In DICOM, and beside pictures that are no levels; else it may have been squeezed."""
    squeezed = StoredSlide(SAID, ((1000, 800), (360, 288)), (1.0, 2.78))
    assert len(squeezed.levels()) == 2
    assert len(replace(squeezed, pictures_px=((9, 9),)).levels()) == 1
    assert len(replace(squeezed, properties=SAID | {"openslide.vendor": "dicom"}).levels()) == 1


def test_what_is_no_level_and_what_is_missing_is_said(tmp_path: Path) -> None:
    """Levels that show something else, then further pictures; the end of a TIFF, in bytes."""
    path = write_directories(tmp_path / "s.tif", {324: [8], 325: [3000]}, size=1000)
    slide = StoredSlide(SAID, ((1000, 800), (500, 400), (300, 20)), (1.0, 2.0, 3.0), ((70, 60), (1500, 40), (7, 7)))
    told = (
        "The file's last 2,008 bytes or more are missing. Copy the file again.",
        "A picture of another shape or of unclear scale in the file was ignored (300 x 20 px, 70 x 60 px, "
        "1,500 x 40 px and 1 more). Check that the overview shows all sections of the slide.",
    )
    for warnings in (
        info_of(slide, SlideRef("s", path)).warnings,
        slide_facts(slide, SlideRef("s", path), reader="r").warnings,
    ):
        assert [flag.code for flag in warnings] == ["file_cut_off", "level_ignored"]
        assert tuple(flag.message for flag in warnings) == told


def test_a_spacing_that_was_given_against_the_files_is_said(ref: SlideRef) -> None:
    """Before all that is said of the file."""
    slide, given = replace(stored(), pictures_px=((7, 7),)), replace(ref, mpp_um=1.0, override_mpp=True)
    for warnings in (info_of(slide, given).warnings, slide_facts(slide, given, reader="r").warnings):
        assert [flag.code for flag in warnings] == ["spacing_overridden", "level_ignored"]
