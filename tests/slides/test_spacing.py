"""No size is ever computed from a guessed or contradicted spacing."""

import math
from pathlib import Path

import pytest

from nodescan.domain.slide import SlideRef, SpacingSource
from nodescan.errors import UnmeasurableError
from nodescan.slides.spacing import ChosenSpacing, choose_spacing
from nodescan.slides.stated_spacing import FileSpacing, stated_spacing

FILE, TIFF = SpacingSource.FILE, SpacingSource.TIFF


def choose(
    x_um: float | None, y_um: float | None, *, given: float | None = None, override: bool = False
) -> ChosenSpacing:
    ref = SlideRef("a", Path("folder/a.svs"), mpp_um=given, override_mpp=override)
    return choose_spacing(FileSpacing(x_um, y_um, FILE), ref)


def test_a_plausible_value_in_the_file_is_used_with_x_and_y_apart():
    """0.25 by 0.26 stays 0.25 by 0.26."""
    chosen = choose(0.25, 0.26)
    assert (chosen.spacing.x, chosen.spacing.y, chosen.source, chosen.warnings) == (0.25, 0.26, "file", ())


@pytest.mark.parametrize("limit", [0.1, 1.2])
def test_the_limits_of_the_plausible_are_exact_on_both_sides(limit: float):
    """0.1 and 1.2 um/px are in, the next floats outside them are out."""
    outwards = math.nextafter(limit, 0 if limit < 1 else 2)
    assert choose(limit, limit).spacing.x == limit
    with pytest.raises(UnmeasurableError, match="absurd"):
        choose(outwards, outwards)


@pytest.mark.parametrize(
    "absurd", [(264.58, 264.58), (math.nan, 0.25), (math.inf, math.inf), (0.0, 0.0), (-0.25, -0.25), (0.2, 25.0)]
)
def test_an_absurd_value_makes_the_slide_unmeasurable_until_the_user_gives_one(absurd: tuple[float, float]):
    """96 dpi, not a number, zero, negative, one of both: refused alone, replaced with a warning."""
    with pytest.raises(UnmeasurableError, match=r"^a.svs: the file's pixel size of .* is absurd, .*--mpp UM$"):
        choose(*absurd)
    chosen = choose(*absurd, given=0.25)
    assert (chosen.spacing.x, chosen.spacing.y, chosen.source) == (0.25, 0.25, "user")
    assert [flag.code for flag in chosen.warnings] == ["spacing_absurd_in_file"]


REDUCED = "the file holds only reduced levels (1.944 um/px); the "
OVERRIDE = "--mpp needs --override-mpp here, and is right only if the file is wrong"


@pytest.mark.parametrize("given", [None, 0.486, 0.25])
def test_a_dicom_series_without_its_finest_level_is_not_measured_with_a_given_spacing(given: float | None):
    """Its spacing is true: 0.486 in its place would make every size a quarter."""
    stated = stated_spacing({"openslide.vendor": "dicom", "openslide.mpp-x": "1.944", "openslide.mpp-y": "1.944"})
    with pytest.raises(UnmeasurableError) as caught:
        choose_spacing(stated, SlideRef("a", Path("a.dcm"), mpp_um=given))
    assert str(caught.value) == (
        f"a.dcm: {REDUCED}file of the full resolution is missing; put it beside this one, or export the slide again; "
        f"{OVERRIDE}"
    )
    chosen = choose_spacing(stated, SlideRef("a", Path("a.dcm"), mpp_um=0.25, override_mpp=True))
    assert (chosen.spacing.x, chosen.source, chosen.warnings[0].code) == (0.25, "user-override", "spacing_overridden")


@pytest.mark.parametrize(("um", "reduced"), [(1.2000001, True), (50.0, True), (50.1, False), (486.0, False)])
def test_a_dicom_spacing_beyond_any_reduced_level_is_absurd(um: float, reduced: bool):
    """Such as um written as mm: a given one fills it."""
    stated = FileSpacing(um, um, FILE, of_pixels=True)
    assert stated.reduced_from(None) is stated.reduced_from(0.486) is reduced
    assert not FileSpacing(um, 1.2 * um, FILE, of_pixels=True).reduced_from(None)


def test_a_given_spacing_may_be_two_percent_off_the_files_and_no_more():
    """The file's own is then used; beyond, it is said by how much every size would differ."""
    assert (choose(0.25, 0.25, given=0.255).spacing.x, choose(0.25, 0.25, given=0.255).source) == (0.25, "file")
    assert choose(0.25, 0.25, given=0.245).source == "file"
    with pytest.raises(UnmeasurableError, match=r"they differ by 100%, .* --override-mpp"):
        choose(0.25, 0.25, given=0.5)
    with pytest.raises(
        UnmeasurableError, match=r"0\.2449 was given with --mpp; they differ by 2\.04%, and so would every size"
    ):
        choose(0.25, 0.25, given=0.2449)
    with pytest.raises(UnmeasurableError, match="they differ by 3%"):
        choose(0.25, 0.25, given=0.2575)


def test_elsewhere_a_given_spacing_times_a_power_of_two_shows_a_reduced_picture():
    """1.944 is 4 times 0.486; other values may be print settings, and 72 dpi is 352.8. No file beside it would help."""
    with pytest.raises(UnmeasurableError) as caught:
        choose(1.944, 1.944, given=0.486)
    assert str(caught.value) == (
        f"a.svs: {REDUCED}full resolution is missing; export the slide again with it; {OVERRIDE}"
    )
    assert choose(1.944, 1.944, given=0.486, override=True).source == "user-override"
    for um, given in ((1.944, 0.3), (352.8, 0.5), (84.7, 0.25), (264.6, 0.2584), (10_000, 0.5), (25.0, 0.25)):
        assert choose(um, um, given=given).source == "user"


@pytest.mark.parametrize(
    ("um", "given", "reduced"),
    [
        (1.944, 0.972, True),
        (1.944, 0.243, True),
        (1.944, 0.1215, True),
        (32.0, 0.25, True),
        (1.99, 0.5, True),
        (2.01, 0.5, True),
        (2.05, 0.5, False),
        (1.21, 1.2, False),
        (25.6, 0.1, False),
    ],
)
def test_powers_of_two_from_two_to_128_are_a_pyramids_reductions(um: float, given: float, reduced: bool):
    """But for 2 % of rounding; the spacing itself, or 256 times it, is no reduced picture's."""
    assert FileSpacing(um, um, FILE).reduced_from(given) is reduced


def test_both_sides_of_a_reduced_picture_count():
    """Of 1.9 and 1.99 um the mean is 4 times 0.486; of a side that isn't told nothing is known."""
    assert FileSpacing(1.9, 1.99, FILE).reduced_from(0.486)
    assert not FileSpacing(1.9, 1.99, FILE).reduced_from(0.465)
    for x_um, y_um in ((None, 1.944), (1.944, None)):
        half = FileSpacing(x_um, y_um, FILE, of_pixels=True)
        assert not half.reduced_from(0.486)
        assert half.may_be_filled(0.486)


def test_x_and_y_too_far_apart_are_not_settled_by_one_number():
    """0.5 by 0.6: a square value makes one axis wrong by up to 20 %, so it is refused unless it overrides the file."""
    for given in (None, 0.5, 0.55, 0.6):
        with pytest.raises(UnmeasurableError) as caught:
            choose(0.5, 0.6, given=given)
        assert str(caught.value) == (
            "a.svs: the file states 0.5 x 0.6 um/px; x and y differ by more than a scanner's do, so no single number "
            "fits both; fix the resolution in the file's tags or export the slide again; --mpp needs --override-mpp "
            "here, and is right only if the pixels are square"
        )
    chosen = choose(0.5, 0.6, given=0.5, override=True)
    assert (chosen.spacing.x, chosen.spacing.y, chosen.source) == (0.5, 0.5, "user-override")
    assert [flag.code for flag in chosen.warnings] == ["spacing_overridden"]


def test_a_tenth_between_x_and_y_is_the_limit():
    """1.1 times is in, the next float is out."""
    assert choose(1.0, 1.1).spacing.y == 1.1
    with pytest.raises(UnmeasurableError, match="x and y differ"):
        choose(1.0, math.nextafter(1.1, 2))


def test_a_missing_value_is_filled_by_the_user_without_a_warning_and_never_guessed():
    """Missing in one direction is missing."""
    assert choose(None, None, given=0.25) == choose(0.25, None, given=0.25) == choose(None, 0.25, given=0.25)
    assert (choose(None, None, given=0.25).source, choose(None, None, given=0.25).warnings) == ("user", ())
    with pytest.raises(UnmeasurableError, match="doesn't say how large its pixels are"):
        choose(None, 0.25)
    with pytest.raises(UnmeasurableError) as caught:
        choose(0.25, None)
    assert str(caught.value) == (
        "a.svs: the file doesn't say how large its pixels are, so nothing can be measured; "
        "give the um/px of the full resolution with --mpp UM"
    )


def test_a_given_value_within_two_per_cent_agrees_and_the_files_is_used():
    """0.51 given for 0.5 is the same scanner, rounded; what is measured with is the file's."""
    for given in (0.49, 0.51):
        assert (choose(0.5, 0.5, given=given).spacing.x, choose(0.5, 0.5, given=given).source) == (0.5, "file")


def test_a_given_value_beyond_two_per_cent_is_refused_and_names_the_way_out():
    """Both values stand in the text, where the given one came from, and what settles it there."""
    said = "a.svs: the file states a pixel size of 0.5 um/px, but 0.25 "
    off = "; they differ by 50%, and so would every size; "
    for listed, text in (
        (False, f"was given with --mpp{off}leave out --mpp, or add --override-mpp if the file is wrong"),
        (
            True,
            f"stands in the manifest's column mpp{off}empty this slide's mpp; if the file is wrong, empty it and give "
            "--mpp 0.25 --override-mpp, which rules every slide without an mpp of its own",
        ),
    ):
        with pytest.raises(UnmeasurableError) as caught:
            choose_spacing(FileSpacing(0.5, 0.5, "file"), given_in(listed=listed))
        assert str(caught.value) == f"{said}{text}"


@pytest.mark.parametrize(
    "stated",
    [
        FileSpacing(0.25, 0.25, "file", place="OME-XML", against=FileSpacing(0.5, 0.5, "tiff", place="tags")),
        FileSpacing(0.25, 0.5, "file"),
        FileSpacing(2.0, 2.0, "file", of_pixels=True),
    ],
)
def test_where_only_an_override_helps_a_manifests_own_value_must_go(stated: FileSpacing):
    """Two sizes in the file, x unlike y, a reduced copy: the option speaks of --mpp alone."""
    with pytest.raises(UnmeasurableError) as caught:
        choose_spacing(stated, given_in(listed=False))
    with pytest.raises(UnmeasurableError) as listed:
        choose_spacing(stated, given_in(listed=True))
    assert "--override-mpp" in str(caught.value)
    assert str(listed.value) == f"{caught.value}; for --override-mpp, empty this slide's mpp in the manifest"


def given_in(*, listed: bool) -> SlideRef:
    """A slide for which 0.25 um/px was given, in a manifest or with --mpp."""
    return SlideRef("a", Path("folder/a.svs"), mpp_um=0.25, mpp_listed=listed)


def test_an_override_is_used_and_flagged():
    """The flag names both values."""
    chosen = choose(0.5, 0.5, given=0.25, override=True)
    assert (chosen.spacing.x, chosen.source) == (0.25, "user-override")
    (flag,) = chosen.warnings
    assert flag.code == "spacing_overridden"
    assert "0.25" in flag.message
    assert "0.5 um/px" in flag.message


@pytest.mark.parametrize("given", [0.05, 25.0, math.nan, math.inf, -1.0, 0.0])
def test_a_given_value_that_no_scanner_has_is_refused_even_as_an_override(given: float):
    """25 for 0.25 is a slip of the finger that would make every deposit macro."""
    with pytest.raises(UnmeasurableError, match="given pixel size"):
        choose(None, None, given=given, override=True)


def test_what_the_file_says_is_read_from_openslides_properties_then_from_a_plain_tiffs_tags():
    """Tags count in inches unless they say centimetres, only for generic TIFFs, and not without a unit."""
    assert stated_spacing({"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.26"}) == FileSpacing(0.25, 0.26, FILE)
    tags = {"openslide.vendor": "generic-tiff", "tiff.XResolution": "40000", "tiff.YResolution": "20000"}
    assert stated_spacing(tags | {"tiff.ResolutionUnit": "centimeter"}) == FileSpacing(0.25, 0.5, TIFF)
    assert stated_spacing(tags) == FileSpacing(0.635, 1.27, TIFF)
    assert stated_spacing(tags | TAGS_0486) == FileSpacing(0.486, 0.486, FILE)
    for half in ("openslide.mpp-x", "openslide.mpp-y"):
        assert stated_spacing(tags | {half: "0.486"}) == FileSpacing(0.635, 1.27, TIFF)
    assert stated_spacing(tags | {"tiff.ResolutionUnit": "none"}).missing
    for side in ("tiff.XResolution", "tiff.YResolution"):
        assert stated_spacing(tags | {side: "0"}).missing
        assert stated_spacing({name: said for name, said in tags.items() if name != side}).missing
    assert stated_spacing(tags | {"openslide.vendor": "aperio"}).missing
    words = stated_spacing({"openslide.mpp-x": "a", "openslide.mpp-y": "b"})
    assert (words.plausible, words.missing) == (None, False)


def ome(size: str, **tags: str) -> dict[str, str]:
    """Properties of a generic TIFF with such an OME-XML."""
    pixels = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image><Pixels {size}/></Image></OME>'
    return {"openslide.vendor": "generic-tiff", "tiff.ImageDescription": pixels} | tags


TAGS_0486 = {"openslide.mpp-x": "0.486", "openslide.mpp-y": "0.486"}


@pytest.mark.parametrize(
    ("size", "um"),
    [
        ('PhysicalSizeX="486" PhysicalSizeXUnit="nm" PhysicalSizeY="490" PhysicalSizeYUnit="nm"', (0.486, 0.49)),
        ('PhysicalSizeX="0.5" PhysicalSizeY="0.00049" PhysicalSizeYUnit="mm"', (0.5, 0.49)),
        ('PhysicalSizeX="0.5" PhysicalSizeXUnit="\u03bcm" PhysicalSizeY="0.5" PhysicalSizeYUnit="um"', (0.5, 0.5)),
    ],
)
def test_what_ome_xml_says_is_taken_where_tags_say_nothing_true(size: str, um: tuple[float, float]):
    """In each unit of length; a print setting in the tags doesn't count."""
    for tags in ({}, {"openslide.mpp-x": "264.58", "openslide.mpp-y": "264.58"}):
        stated = stated_spacing(ome(size, **tags))
        assert (stated.x_um, stated.y_um, stated.source) == (*map(pytest.approx, um), "file")


@pytest.mark.parametrize(
    "size",
    ["", 'PhysicalSizeX="0.2"', 'PhysicalSizeX="1" PhysicalSizeXUnit="pixel" PhysicalSizeY="1"', "<"]
    + [f'PhysicalSizeX="{um}" PhysicalSizeY="{um}"' for um in ("0", "-1", "nan", "a", "300", "0.48", "0.495")],
)
def test_tags_stand_where_ome_xml_says_nothing_else_that_may_be_true(size: str):
    """Damaged, half, not a length, absurd, or the same but for rounding."""
    stated = stated_spacing(ome(size, **TAGS_0486))
    assert (stated.x_um, stated.y_um, stated.against) == (0.486, 0.486, None)


@pytest.mark.parametrize("first", ["label", "scan"])
def test_the_pixel_size_is_that_of_the_picture_and_not_of_what_is_described_first(first: str):
    """A program may describe the label first. A scan that is larger than all pictures is the reduced one's."""
    said = {
        "label": '<Image Name="label"><Pixels SizeX="200" SizeY="150" PhysicalSizeX="1" PhysicalSizeY="1"/></Image>',
        "scan": '<Image><Pixels SizeX="1024" SizeY="768" PhysicalSizeX="0.25" PhysicalSizeY="0.25"/></Image>',
    }
    images = "".join(said[name] for name in sorted(said, key=lambda name: name != first))
    xml = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{images}</OME>'
    generic = {"openslide.vendor": "generic-tiff", "tiff.ImageDescription": xml}
    sides = {"openslide.level[0].width": "1024", "openslide.level[0].height": "768"}
    assert stated_spacing({**generic, **sides}).x_um == 0.25
    halved = stated_spacing({**generic, "openslide.level[0].width": "512", "openslide.level[0].height": "384"})
    assert halved.against is not None
    assert halved.against.x_um == 0.5


def test_what_is_between_the_pictures_of_a_long_description_does_not_count():
    """Nor how deep a picture stands in it."""
    sizes = 'PhysicalSizeX="0.25" PhysicalSizeY="0.25"'
    plain = ome(sizes)["tiff.ImageDescription"]
    others = "<A>" * 1000 + plain + "</A>" * 1000 + "<B/>" * 100_000
    padded = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{others}</OME>'
    assert stated_spacing(ome(sizes) | {"tiff.ImageDescription": padded}) == stated_spacing(ome(sizes))
    assert stated_spacing(ome(sizes) | {"tiff.ImageDescription": padded + "<"}).missing


def test_one_micrometre_in_ome_xml_is_no_size():
    """Programs write it where they know none, and tags after it; other tags contradict it."""
    said = 'PhysicalSizeX="1.0" PhysicalSizeY="1.0"'
    stated = stated_spacing(ome(said))
    with pytest.raises(UnmeasurableError, match="is what programs write when they don't know it"):
        choose_spacing(stated, SlideRef("s", Path("s.tif")))
    chosen = choose_spacing(stated, SlideRef("s", Path("s.tif"), mpp_um=0.5))
    assert (chosen.spacing.x, [flag.code for flag in chosen.warnings]) == (0.5, ["spacing_absurd_in_file"])
    for um in ("1", "352.8"):
        assert stated_spacing(ome(said, **{"openslide.mpp-x": um, "openslide.mpp-y": um})) == stated
    confirmed = choose_spacing(stated, SlideRef("s", Path("s.tif"), mpp_um=1.0))
    assert confirmed.spacing.x == 1.0
    assert stated_spacing(ome(said, **TAGS_0486)).against is not None
    assert stated_spacing(ome('PhysicalSizeX="1.0" PhysicalSizeY="0.99"')).plausible is not None


@pytest.mark.parametrize(
    ("width", "height", "reduced"),
    [
        ("23000", "16457", True),
        ("11500", "8228", True),
        ("23050", "16492", True),
        ("23150", "16565", False),
        ("46000", "32914", False),
        ("20000", "14310", False),
    ],
)
def test_a_reduced_aperio_copy_whose_tags_were_copied_along_is_told_by_its_size(width: str, height: str, reduced: bool):
    """By a whole number, within half a percent: a part of a scan may be of any size."""
    properties = {"openslide.vendor": "aperio", "openslide.mpp-x": "0.25", "openslide.mpp-y": "0.25"}
    properties |= {"tiff.ImageDescription": "Aperio Image Library\r\n46920x33014 [0,100 46000x32914] (256x256) JPEG"}
    properties |= {"tiff.XResolution": "40000", "tiff.YResolution": "40000", "tiff.ResolutionUnit": "centimeter"}
    stated = stated_spacing({**properties, "openslide.level[0].width": width, "openslide.level[0].height": height})
    assert (stated.against is not None) == reduced
    assert (stated.plausible is None) == reduced


def test_sizes_of_hundreds_of_digits_are_none():
    """A crafted file states them; they would be no size that a program can compute with."""
    many = "9" * 5000
    assert stated_spacing(ome(f'SizeX="{many}" SizeY="{many}" PhysicalSizeX="0.25" PhysicalSizeY="0.25"')).x_um == 0.25
    aperio = {"openslide.vendor": "aperio", "openslide.mpp-x": "0.25", "openslide.mpp-y": "0.25"}
    aperio |= {"openslide.level[0].width": "1024", "openslide.level[0].height": "768"}
    assert (
        stated_spacing({**aperio, "tiff.ImageDescription": f"Aperio\n{many}x{many} (240x240)|MPP = 0.25"}).x_um == 0.25
    )


def assert_only_one_can_be_right(stated: FileSpacing, name: str, said: str, *, given: tuple[float, float]) -> None:
    """Whether or not one of both is given, without saying that the file is wrong."""
    for um in (None, *given):
        with pytest.raises(UnmeasurableError) as caught:
            choose_spacing(stated, SlideRef("a", Path(name), mpp_um=um))
        assert str(caught.value) == (
            f"{name}: the file states {said}; only one can be right, and every size depends on it; find out which is "
            "right, and give it with --mpp UM --override-mpp"
        )


def test_ome_xml_and_tags_that_contradict_are_settled_by_the_user_alone():
    """0.243 and 0.486: the message names both, and neither counts by itself."""
    stated = stated_spacing(ome('PhysicalSizeX="0.243" PhysicalSizeY="0.243"', **TAGS_0486))
    said = "0.243 um/px (OME-XML) and 0.486 um/px (resolution tags)"
    assert_only_one_can_be_right(stated, "a.tif", said, given=(0.243, 0.486))
    chosen = choose_spacing(stated, SlideRef("a", Path("a.tif"), mpp_um=0.486, override_mpp=True))
    assert (chosen.spacing.x, chosen.source) == (0.486, "user-override")
    assert said in chosen.warnings[0].message


SIZES = 'SizeX="5120" SizeY="5632" PhysicalSizeX="0.25" PhysicalSizeY="0.25"'
QUARTER = {"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.25"}


def of_px(width: int, height: int) -> dict[str, str]:
    return {"openslide.level[0].width": str(width), "openslide.level[0].height": str(height)}


@pytest.mark.parametrize("tags", [{}, QUARTER, {"openslide.mpp-x": "25.4", "openslide.mpp-y": "25.4"}])
def test_ome_xml_is_not_believed_against_the_pictures_size(tags: dict[str, str]):
    """vips halves a picture and keeps description and tags: every size would be a half."""
    stated = stated_spacing(ome(SIZES, **tags, **of_px(2560, 2816)))
    said = "0.25 um/px (OME-XML) and 0.5 um/px (by the size that its description gives the scan)"
    assert_only_one_can_be_right(stated, "a.ome.tif", said, given=(0.25, 0.5))


@pytest.mark.parametrize("size", [(5120, 5632), (5119, 5631), (2560, 5632), (5120, 2816), (10_240, 11_264), (0, 0)])
def test_ome_xml_is_believed_of_its_own_picture_and_of_a_part_of_it(size: tuple[int, int]):
    """Whole, cut by a pixel, cropped on one side: none of these is the scan made smaller."""
    assert stated_spacing(ome(SIZES, **QUARTER, **of_px(*size))) == FileSpacing(0.25, 0.25, FILE)
    assert stated_spacing(ome(SIZES.replace("5120", "all"), **QUARTER, **of_px(2560, 2816))).plausible is not None


def test_ome_xml_counts_in_a_generic_tiff_alone():
    """What stands in another format's description is that format's; what OME-XML alone says is named, true or not."""
    said = ome('PhysicalSizeX="0.243" PhysicalSizeY="0.243"', **TAGS_0486)
    assert stated_spacing(said | {"openslide.vendor": "trestle"}) == FileSpacing(0.486, 0.486, FILE)
    assert stated_spacing(ome('PhysicalSizeX="300" PhysicalSizeY="300"')) == FileSpacing(300.0, 300.0, FILE)


def test_entities_in_ome_xml_are_not_expanded():
    """A description made to fill the memory is no description."""
    plain = ome('PhysicalSizeX="0.5" PhysicalSizeY="0.5"')
    bomb = '<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa">]>' + plain["tiff.ImageDescription"]
    assert not stated_spacing(plain).missing
    assert stated_spacing(plain | {"tiff.ImageDescription": bomb}).missing


@pytest.mark.parametrize(
    ("described", "tags", "contradict"),
    [
        ((0.486, 0.5), (0.486, 0.486), True),
        ((0.5, 0.486), (0.486, 0.486), True),
        ((0.486, 0.5), (0.486, 0.5), False),
        ((0.5, 0.486), (0.495, 0.48), False),
    ],
)
def test_x_is_held_against_x_and_y_against_y(
    described: tuple[float, float], tags: tuple[float, float], contradict: bool
):
    """OME-XML and tags contradict where either side differs by more than rounding, and not because x and y do."""
    sizes = 'PhysicalSizeX="{}" PhysicalSizeY="{}"'.format(*described)
    stated = stated_spacing(ome(sizes, **{"openslide.mpp-x": str(tags[0]), "openslide.mpp-y": str(tags[1])}))
    assert (stated.against is not None) is contradict


def aperio(description: str, **more: str) -> dict[str, str]:
    """Properties of an Aperio slide of 0.25 um/px by its description, 5120 x 5632 px."""
    said = {"tiff.ImageDescription": f"Aperio Image Library v11\r\n{description}|AppMag = 40|MPP = 0.25"}
    size = {"openslide.level[0].width": "5120", "openslide.level[0].height": "5632"}
    return {"openslide.vendor": "aperio", "openslide.mpp-x": "0.25", "openslide.mpp-y": "0.25"} | said | size | more


CENTIMETRES = {"tiff.ResolutionUnit": "centimeter"}
WHOLE, HALF = "5220x5700 [0,100 5120x5632] (256x256) JPEG", "10240x11264 [0,0 10240x11264] (256x256) -> 5120x5632 JPEG"

ON_LARGER_GLASS = "20480x22528 [0,100 10240x11264] (256x256) JPEG"


def per_cm(number: str) -> dict[str, str]:
    return {"tiff.XResolution": number, "tiff.YResolution": number} | CENTIMETRES


@pytest.mark.parametrize(
    ("properties", "other"),
    [
        (aperio(WHOLE, **per_cm("20000")), "0.5 um/px (resolution tags)"),
        (aperio(HALF), "0.5 um/px (by the size that its description gives the scan)"),
        (aperio(HALF, **per_cm("40000")), "0.5 um/px (by the size that its description gives the scan)"),
        (aperio(ON_LARGER_GLASS), "0.5 um/px (by the size that its description gives the scan)"),
        (aperio("10240x11433 (256x256) JPEG"), "0.5038 um/px (by the size that its description gives the scan)"),
        (aperio("20480x22530 (256x256)", **per_cm("28")), "1 um/px (by the size that its description gives the scan)"),
    ],
)
def test_aperios_description_is_not_believed_against_tags_and_size(properties: dict[str, str], other: str):
    """A reduced copy of a scan keeps its description: every size would be a half or a quarter."""
    stated = stated_spacing(properties)
    said = f"0.25 um/px (MPP in its description) and {other}"
    assert_only_one_can_be_right(stated, "a.svs", said, given=(0.25, 0.5))
    chosen = choose_spacing(stated, SlideRef("a", Path("a.svs"), mpp_um=0.5, override_mpp=True))
    assert (chosen.spacing.x, chosen.source) == (0.5, "user-override")


@pytest.mark.parametrize(
    "properties",
    [
        aperio(WHOLE),
        aperio(WHOLE, **per_cm("40100")),
        aperio(WHOLE, **per_cm("28")),
        aperio("46000x32914 [42673,5576 5120x5632] (240x240) JPEG;Aperio v10\r\n46920x33014 [0,100 46000x32914] JPEG"),
        aperio("5620x6800 (256x256) JPEG"),
        aperio("5120x20000 (256x256) JPEG"),
        aperio("10240x11546 (256x256) JPEG"),
        aperio(""),
    ],
)
def test_aperios_description_is_believed_where_nothing_says_otherwise(properties: dict[str, str]):
    """Rounded tags, print settings, a part of a scan, padding, another shape, and no size."""
    assert stated_spacing(properties) == FileSpacing(0.25, 0.25, FILE)


@pytest.mark.parametrize("more", [{}, per_cm("28")])
def test_an_aperio_copy_reduced_by_no_whole_number_is_told_where_no_tag_says_its_size(more: dict[str, str]):
    """Of 12800 x 14080 px 5120 x 5632 are here, with no tags or a print setting: 0.25 um would be 0.625."""
    stated = stated_spacing(aperio("12800x14080 (256x256) JPEG", **more))
    assert stated.against is not None
    assert stated.against.x_um == 0.625
    assert stated.plausible is None
