"""Mask and outline files, measured as the command `nodescan measure` does."""

import gzip
import json
import math
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, TiffImagePlugin

from nodescan.commands.measure import print_measurement
from nodescan.domain.classification import Metastasis
from nodescan.domain.units import Spacing
from nodescan.errors import AnnotationError, UsageError
from nodescan.evaluation.lesion_files import lesion_file
from nodescan.imaging.components import components
from nodescan.mask_images import STAND_IN_NOTE
from nodescan.measurement import CUT_NOT_STATED, check_measurable, measure_file
from nodescan.reports.geojson_report import write_geojson
from nodescan.reports.wording import size_words
from tests.annotations.test_annotations import SQUARE, asap, closed, feature, geojson
from tests.made_bmp import bmp_of_5_6_5
from tests.reports.factory import MICRO, ellipse, result

TWO_UM = Spacing.square(2.0)


def bar(value=255, dtype=np.uint8):
    """A bar of 100 x 10 px."""
    mask = np.zeros((40, 130), dtype=dtype)
    mask[10:20, 15:115] = value
    return mask


def saved(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def png_header(width, height):
    """The first bytes of a picture that says it is so large."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return start + struct.pack(">I", 1000) + b"IDAT" + b"\0" * 1000


def measured(path, mpp=TWO_UM, value=None, gap_um=0.0):
    return measure_file(path, mpp=mpp, value=value, joining_gap_um=gap_um)


@pytest.mark.parametrize(
    ("shape", "steps", "said"),
    [
        ((900, 900), (2, 2), r"in 202,500 pieces, more than the 200,000"),
        ((2001, 4000), (1, 4), r"in 2,001,000 stretches of pixels in its rows, more than the 2,000,000"),
    ],
)
def test_a_pattern_is_no_outlined_tumour(tmp_path, shape, steps, said):
    """A picture of 30 kB may hold one whose measuring takes hours, or all memory."""
    pattern = np.zeros(shape, dtype=np.uint8)
    pattern[:: steps[0], :: steps[1]] = 255
    with pytest.raises(AnnotationError, match=rf"a\.png: its tumour is {said} that are measured: a pattern or noise"):
        measured(saved(tmp_path / "a.png", pattern))


def test_a_mask_of_tens_of_thousands_of_specks_is_no_pattern():
    """As a network leaves them: it is measured in half a minute."""
    specks = np.kron(np.ones((250, 256), dtype=np.bool_), np.pad(np.ones((5, 5), dtype=np.bool_), 2))
    assert components(specks, corners=False)[1] == 64_000
    check_measurable("a.png", specks)


@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.bmp"])
@pytest.mark.parametrize(("value", "dtype"), [(255, np.uint8), (1, np.uint8), (True, np.bool_)])
def test_a_bar_measures_its_length_in_um(tmp_path, name, value, dtype):
    """100 x 10 px at 2 um/px are 201 um over the corners, a micrometastasis, whatever value marks it."""
    result = measured(saved(tmp_path / name, bar(value, dtype)))
    assert result.largest_deposit_um == pytest.approx(2 * math.hypot(100, 10))
    assert result.metastasis is Metastasis.MICRO
    assert (result.spacing, result.spacing_source, result.notes) == (TWO_UM, "user", ())


def test_disc_and_crescent_measure_within_their_uncertainty(tmp_path):
    """A disc of 400 um and a crescent of 1.6 mm, drawn on 4 um pixels."""
    y, x = (np.mgrid[:450, :450] + 0.5) * 4 - 900
    radius = np.hypot(x, y)
    for name, mask, truth in (
        ("disc", radius <= 200, 400),
        ("crescent", (radius <= 800) & (radius >= 650) & (y > 0), 1600),
    ):
        result = measured(saved(tmp_path / f"{name}.png", mask), mpp=Spacing.square(4.0))
        (deposit,) = result.deposits
        assert abs(deposit.diameter_um - truth) <= deposit.diameter_uncertainty_um
        assert result.metastasis is Metastasis.MICRO


def test_a_bmp_of_5_and_6_bits_is_refused_for_that(tmp_path):
    """It was said to hold colours of more than 8 bits."""
    path = tmp_path / "mask.bmp"
    path.write_bytes(bmp_of_5_6_5(40))
    with pytest.raises(AnnotationError, match="has colours of 5 and 6 bits, which change grey values; save it in grey"):
        measured(path)


def test_class_is_that_of_the_largest_deposit(tmp_path):
    """Sizes are not added up: 0.9 and 0.7 mm are a micrometastasis, two foci."""
    mask = np.zeros((20, 900), dtype=np.uint8)
    mask[5:8, 10:460] = mask[5:8, 500:850] = 1
    result = measured(saved(tmp_path / "m.png", mask))
    assert [round(d.diameter_um) for d in result.deposits] == [900, 700]
    assert result.metastasis is Metastasis.MICRO


def test_empty_mask_has_no_class_above_negative(tmp_path):
    """A mask without tumour has no deposits and no largest size."""
    result = measured(saved(tmp_path / "m.png", np.zeros((9, 9), dtype=np.uint8)))
    assert (result.deposits, result.metastasis, result.largest_deposit_um) == ((), Metastasis.NONE, None)


@pytest.mark.parametrize(
    ("corners", "said"),
    [
        ([], "0.014 mm2 that is not marked counts as tumour"),
        ([(30, 30)], "0.014 mm2 that is not marked counts as tumour; 1 separate piece lay in them"),
        ([(30, 30), (30, 50), (5, 5)], "0.014 mm2 that is not marked counts as tumour; 2 separate pieces lay in them"),
    ],
)
def test_what_filled_holes_of_a_mask_added_is_told(tmp_path, capsys, corners, said):
    """A frame of 80 x 80 px at 2 um/px, 10 px wide, with pieces of 9 x 9 px within, and one outside."""
    mask = np.zeros((110, 110), dtype=np.uint8)
    mask[20:100, 20:100] = 255
    mask[30:90, 30:90] = 0
    for row, column in corners:
        mask[row + 5 : row + 14, column + 5 : column + 14] = 255
    result = measured(saved(tmp_path / "frame.png", mask))
    (note,) = result.notes
    assert note.startswith(f"holes of the mask were filled: {said}")
    print_measurement(result, as_json=False)
    assert f"note: {note}\n" in capsys.readouterr().out
    print_measurement(result, as_json=True)
    assert note in json.loads(capsys.readouterr().out)["notes"]


def test_joining_gap_is_handed_on(tmp_path):
    """Two bars 20 um apart are one deposit across 20 um."""
    mask = np.zeros((30, 60), dtype=np.uint8)
    mask[10:20, 10:20] = mask[10:20, 30:40] = 1
    path = saved(tmp_path / "m.png", mask)
    assert len(measured(path).deposits) == 2
    assert len(measured(path, gap_um=20.0).deposits) == 1


def squares(path, side_px, gap_px, count=2):
    """Squares in a row at 2 um/px."""
    step = side_px + gap_px
    mask = np.zeros((side_px + 20, count * step + 20), dtype=np.uint8)
    for number in range(count):
        mask[10 : 10 + side_px, 10 + number * step : 10 + number * step + side_px] = 1
    return measured(saved(path, mask))


def test_what_size_alone_leaves_open_is_told(tmp_path, capsys):
    """Cells of an ITC of 0.1 to 0.2 mm could raise it, and so could joining foci 40 um apart; class and sizes stay."""
    result = squares(tmp_path / "m.png", 50, 20)
    assert (result.metastasis, len(result.deposits)) == (Metastasis.ITC, 2)
    said = {flag.code: flag.message for flag in result.flags}
    assert list(said) == ["cell_count_review", "joining_gap"]
    assert "2 small deposits, the largest 0.14 mm" in said["cell_count_review"]
    assert "25 µm: 0.14 mm, itc; 50 µm: 0.26 mm, micro" in said["joining_gap"]
    print_measurement(result, as_json=True)
    told = json.loads(capsys.readouterr().out)["flags"]
    assert {flag["code"]: flag["message"] for flag in told} == said
    print_measurement(result, as_json=False)
    told = capsys.readouterr().out
    assert all(f"note: {message}" in told for message in said.values())


def test_many_small_foci_in_a_mask_are_a_dispersed_pattern(tmp_path):
    """Twelve foci of 14 um over 2.2 mm: the size rule does not apply to dispersed cells (clinical-rules 3)."""
    told = squares(tmp_path / "m.png", 5, 95, 12).flags
    assert ["12 small foci over 2.2 mm" in flag.message for flag in told if flag.code == "dispersed_pattern"] == [True]


def test_nothing_is_left_open_of_clear_sizes(tmp_path):
    """No count lowers a micrometastasis, and it has nothing to be joined to; nothing raises a macrometastasis."""
    assert squares(tmp_path / "micro.png", 100, 10, 1).flags == ()
    assert squares(tmp_path / "macro.png", 800, 10, 2).flags == ()


def tiff_with(path, pixels, unit, per_unit):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[TiffImagePlugin.RESOLUTION_UNIT] = unit
    tags[TiffImagePlugin.X_RESOLUTION], tags[TiffImagePlugin.Y_RESOLUTION] = per_unit
    return saved(path, pixels, tiffinfo=tags)


@pytest.mark.parametrize(("unit", "um_per_unit"), [(3, 10_000), (2, 25_400)], ids=["cm", "inch"])
def test_spacing_comes_from_tiff_tags(tmp_path, unit, um_per_unit):
    """Pixels per centimetre and per inch give um/px, x and y apart."""
    path = tiff_with(tmp_path / "m.tif", bar(), unit, (um_per_unit / 2.0, um_per_unit / 2.1))
    result = measured(path, mpp=None)
    assert result.spacing_source == "tiff"
    assert result.largest_deposit_um == pytest.approx(math.hypot(200, 21), rel=1e-5)


def test_tiff_tags_whose_x_and_y_lie_too_far_apart_are_no_spacing(tmp_path):
    """Up to a tenth apart they may be a scanner's; more is refused, unless a spacing is given, and then told."""
    near, far = (
        tiff_with(tmp_path / name, bar(), 3, (10_000.0, 10_000 / um)) for name, um in (("n.tif", 1.1), ("f.tif", 1.11))
    )
    assert measured(near, mpp=None).spacing == Spacing(1.0, 1.1)
    with pytest.raises(UsageError) as caught:
        measured(far, mpp=None)
    assert str(caught.value) == (
        "f.tif: the file states 1 x 1.11 um/px; x and y differ by more than a scanner's do, so no single number fits "
        "both; fix the resolution in the file's tags or save the mask again, or give both with --mpp XxY if you "
        "know that they are right"
    )
    with pytest.raises(UsageError, match=r"the file states 5 x 0\.5 um/px; x and y differ"):
        measured(tiff_with(tmp_path / "m.tif", bar(), 3, (2000.0, 20_000.0)), mpp=None)
    given = measured(far, mpp=Spacing.square(1.0))
    assert given.largest_deposit_um == pytest.approx(math.hypot(100, 10))
    assert given.notes == ("the file says 1 x 1.11 um/px; measured with 1 x 1 as given",)


@pytest.mark.parametrize(("unit", "per_unit"), [(2, 30.0), (2, 1e6), (1, 5000.0), (3, 0.0), (3, 1e9)])
def test_absurd_tiff_tags_are_no_spacing(tmp_path, unit, per_unit):
    """A resolution without unit and a nonsense one are not believed: the user must say it."""
    path = tiff_with(tmp_path / "m.tif", bar(), unit, (per_unit, per_unit))
    with pytest.raises(UsageError, match=r"m\.tif: the file does not say how large a pixel is; give it with --mpp"):
        measured(path, mpp=None)


@pytest.mark.parametrize("dpi", [72, 300, 635, 720, 1200, 2400, 4800, 6400, 9600])
def test_a_print_setting_is_no_pixel_size(tmp_path, dpi):
    """Pillow's `dpi`, which plotting programs set: a disc in a plot of 1200 dpi was a macrometastasis of 12 mm."""
    path = saved(tmp_path / "m.tif", bar(), dpi=(dpi, dpi))
    with pytest.raises(UsageError) as caught:
        measured(path, mpp=None)
    said = f"m.tif: the file states {dpi} dots per inch, as for printing, not how large a pixel is; give it with --mpp"
    assert str(caught.value) == f"{said} UM"
    assert measured(path).notes == ()


@pytest.mark.parametrize(("unit", "per_unit", "dpi"), [(3, 472.44, 1200), (3, 1889.76, 4800), (2, 1199.99, 1200)])
def test_a_print_setting_is_told_however_it_is_written(tmp_path, unit, per_unit, dpi):
    """Rounded, or as dots per centimetre."""
    path = tiff_with(tmp_path / "m.tif", bar(), unit, (per_unit, per_unit))
    with pytest.raises(UsageError, match=f"the file states {dpi} dots per inch, as for printing"):
        measured(path, mpp=None)


@pytest.mark.parametrize(
    ("unit", "per_unit"),
    [
        (2, (1200.5, 1200.5)),
        (2, (1200.0, 1201.0)),
        (2, (12_700.0, 12_700.0)),
        (3, (1200.0,) * 2),
        (3, (1000.0,) * 2),
        (3, (500.0,) * 2),
    ],
)
def test_resolutions_that_print_settings_do_not_have_are_believed(tmp_path, unit, per_unit):
    """Broken or unequal dots per inch, finer ones, and whole numbers of micrometres in centimetres."""
    um = tuple({2: 25_400, 3: 10_000}[unit] / side for side in per_unit)
    found = measured(tiff_with(tmp_path / "m.tif", bar(), unit, per_unit), mpp=None).spacing
    assert (found.x, found.y) == pytest.approx(um)


@pytest.mark.parametrize(
    ("size", "unit", "told"), [(1.0, "µm", True), (1000.0, "nm", True), (1.01, "µm", False), (2.0, "µm", False)]
)
def test_ome_xml_of_exactly_1_um_is_measured_with_a_note(tmp_path, size, unit, told):
    """It may be true, as of a mask that was reduced to it; a given pixel size settles it."""
    sizes = {f"PhysicalSize{axis}{key}": value for axis in "XY" for key, value in (("", size), ("Unit", unit))}
    tifffile.imwrite(tmp_path / "m.ome.tif", bar(), ome=True, metadata={"axes": "YX", **sizes})
    found = measured(tmp_path / "m.ome.tif", mpp=None)
    assert found.spacing.x == pytest.approx(size / (1000 if unit == "nm" else 1))
    assert found.notes == ((STAND_IN_NOTE,) if told else ())
    assert STAND_IN_NOTE not in measured(tmp_path / "m.ome.tif").notes


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.geojson.gz", gzip.compress(b"{}", mtime=0), "is compressed by gzip; unpack it"),
        ("a.zip", b"PK\x03\x04" + bytes(200), "is a zip file; unpack it"),
        ("a.annotations", b"<Annotations/>", "is XML of a program whose outlines are not read; export them as GeoJSON"),
        ("a.annotations", b"\xef\xbb\xbf<Annotations/>", "is XML of a program whose outlines are not read"),
        ("a.dcm", bytes(128) + b"DICM", "is DICOM, which is not read as a mask; export it as PNG or TIFF, or its"),
        ("a.dat", b"PK", "not a mask image that can be read"),
    ],
)
def test_a_file_of_another_kind_is_told_with_the_way_out(tmp_path, name, content, said):
    """Outlines that are packed, or that another program wrote."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AnnotationError) as caught:
        measured(tmp_path / name)
    assert str(caught.value).startswith(f"{name}: {said}")


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        ('PhysicalSizeX="2" PhysicalSizeY="2.1"', (2.0, 2.1)),
        ('PhysicalSizeX="2000" PhysicalSizeXUnit="nm" PhysicalSizeY="0.0021" PhysicalSizeYUnit="mm"', (2.0, 2.1)),
        ('PhysicalSizeX="2" PhysicalSizeXUnit="pixel" PhysicalSizeY="2"', None),
        ('PhysicalSizeX="2"', None),
        ('PhysicalSizeX="two" PhysicalSizeY="2"', None),
        ('PhysicalSizeX="2" PhysicalSizeY="2" broken', None),
    ],
    ids=["um", "units", "unknown unit", "x alone", "no number", "no XML"],
)
def test_spacing_comes_from_ome_xml(tmp_path, pixels, expected):
    """As OME-TIFFs state it, before the resolution tags, which then say nothing or something else."""
    ome = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image><Pixels {pixels}/></Image></OME>'
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[TiffImagePlugin.IMAGEDESCRIPTION] = ome
    path = saved(tmp_path / "m.tif", bar(), tiffinfo=tags)
    if expected is None:
        with pytest.raises(UsageError, match="does not say how large a pixel is"):
            measured(path, mpp=None)
        return
    result = measured(path, mpp=None)
    assert (result.spacing.x, result.spacing.y) == pytest.approx(expected)
    assert result.largest_deposit_um == pytest.approx(math.hypot(200, 21), rel=1e-5)


def test_spacing_comes_from_an_ome_tiff_as_programs_write_it(tmp_path):
    """With its unit in UTF-8."""
    sizes = {"PhysicalSizeX": 2.0, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 2.1, "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(tmp_path / "m.ome.tif", bar(), ome=True, metadata={"axes": "YX", **sizes})
    result = measured(tmp_path / "m.ome.tif", mpp=None)
    assert (result.spacing, result.spacing_source) == (Spacing(2.0, 2.1), "file")


def test_ome_xml_that_the_resolution_tags_contradict_is_refused(tmp_path):
    """As of a slide: where each may be true, the user says which is. A print setting contradicts nothing."""
    sizes = {"PhysicalSizeX": 4.0, "PhysicalSizeY": 4.0}
    for name, um in (("m.ome.tif", 8.0), ("alike.ome.tif", 4.02), ("print.ome.tif", 10_000 / 28.35)):
        per_cm = (10_000 / um, 10_000 / um)
        metadata = {"axes": "YX", **sizes}
        tifffile.imwrite(
            tmp_path / name, bar(), ome=True, metadata=metadata, resolution=per_cm, resolutionunit="CENTIMETER"
        )
    with pytest.raises(UsageError) as caught:
        measured(tmp_path / "m.ome.tif", mpp=None)
    assert str(caught.value) == (
        "m.ome.tif: the file states 4 x 4 um/px (OME-XML) and 8 x 8 um/px (resolution tags); only one can be right, "
        "and every size depends on it; find out which is right, and give it with --mpp UM"
    )
    assert measured(tmp_path / "m.ome.tif", mpp=Spacing.square(8.0)).spacing == Spacing.square(8.0)
    for name in ("alike.ome.tif", "print.ome.tif"):
        assert measured(tmp_path / name, mpp=None).spacing == Spacing.square(4.0)


def test_a_reduced_mask_that_kept_its_ome_xml_is_refused(tmp_path):
    """Its pixels are twice as large as the description says: every size would come out halved."""
    ome = (
        '<OME><Image><Pixels SizeX="260" SizeY="80" PhysicalSizeX="2" PhysicalSizeY="2"/></Image></OME>',
        '<OME><Image><Pixels SizeX="130" SizeY="40" PhysicalSizeX="2" PhysicalSizeY="2"/></Image></OME>',
    )
    reduced, whole = (
        saved(tmp_path / f"{name}.tif", bar(), tiffinfo={270: text})
        for name, text in zip(("reduced", "whole"), ome, strict=True)
    )
    with pytest.raises(UsageError, match="its OME-XML states 260 x 80 px, but the mask has 130 x 40; it is a reduced"):
        measured(reduced, mpp=None)
    assert measured(whole, mpp=None).spacing == measured(reduced, mpp=TWO_UM).spacing == TWO_UM


def test_a_given_spacing_that_contradicts_the_file_is_remarked_upon(tmp_path):
    """The given spacing is used, and the notes say that the file has another."""
    path = tiff_with(tmp_path / "m.tif", bar(), 3, (5000.0, 5000.0))
    assert measured(path).notes == ()
    result = measured(path, mpp=Spacing.square(1.0))
    assert (result.spacing, result.spacing_source) == (Spacing.square(1.0), "user")
    assert result.largest_deposit_um == pytest.approx(math.hypot(100, 10))
    assert result.notes == ("the file says 2 x 2 um/px; measured with 1 x 1 as given",)


def test_png_and_outlines_need_a_spacing(tmp_path):
    """A PNG's dots per inch are no spacing, and outlines have none."""
    path = saved(tmp_path / "m.png", bar(), dpi=(12_700, 12_700))
    with pytest.raises(UsageError, match="--mpp"):
        measured(path, mpp=None)
    with pytest.raises(UsageError, match="--mpp"):
        measured(asap(tmp_path / "a.xml", ("_0", SQUARE)), mpp=None)


def test_value_picks_one_class_of_a_labelled_mask(tmp_path):
    """Value 2 is measured alone; without --value all but 0 counts, and the notes say so."""
    mask = bar(1)
    mask[30:35, 15:35] = 2
    path = saved(tmp_path / "m.png", mask)
    (picked,) = measured(path, value=2).deposits
    assert picked.diameter_um == pytest.approx(2 * math.hypot(20, 5))
    both = measured(path)
    assert len(both.deposits) == 2
    assert both.notes == ("the mask holds the values 0, 1, 2: all but 0 count as tumour; pick one with --value",)


def test_a_mask_with_blurred_edges_is_refused_and_labels_that_touch_are_not(tmp_path):
    """A PNG of what was JPEG, or of a turned mask, is as blurred as its source: 447 um came out as 463."""
    mask = np.zeros((300, 400), dtype=np.uint8)
    mask[100:200, 50:250] = 255
    saved(tmp_path / "a.jpg", mask, quality=75)
    with Image.open(tmp_path / "a.jpg") as lossy:
        lossy.save(tmp_path / "a.png")
    Image.fromarray(mask).rotate(13, resample=Image.Resampling.BICUBIC).save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        with pytest.raises(AnnotationError, match=r"at blurred edges .*; save it with only 0 and 255"):
            measured(tmp_path / name)
        assert measured(tmp_path / name, value=255).deposits
    labels = np.where(mask > 0, 1 + np.arange(400)[None, :] // 20 + np.zeros((300, 1)), 0).astype(np.uint8)
    (note,) = measured(saved(tmp_path / "c.png", labels)).notes
    assert "all but 0 count as tumour" in note


def test_a_value_that_no_pixel_has_is_refused(tmp_path):
    """A mistyped value must not read as "no tumour"."""
    with pytest.raises(AnnotationError, match="no pixel has the value 3; the file holds 0, 255"):
        measured(saved(tmp_path / "m.png", bar()), value=3)
    with pytest.raises(UsageError, match="--value"):
        measured(asap(tmp_path / "a.xml", ("_0", SQUARE)), value=1)


def test_grey_saved_as_colour_is_read_and_real_colour_is_refused(tmp_path):
    """Three equal channels are a mask; which colour is tumour is not guessed."""
    grey = np.dstack([bar()] * 3)
    assert len(measured(saved(tmp_path / "grey.png", grey)).deposits) == 1
    grey[12, 20] = (255, 0, 0)
    with pytest.raises(AnnotationError, match="colour image"):
        measured(saved(tmp_path / "colour.png", grey))


def png_of_16_bits(path, pixels, colour_type):
    """uint16 (H, W, channels): Pillow writes no such file."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_values_that_would_be_lost_are_refused(tmp_path):
    """Of 16-bit colours the lower half is dropped, of two channels the second, of what alpha 0 multiplied all."""
    mask = bar().astype(np.uint16)
    colours = np.dstack([mask] * 3)
    png_of_16_bits(tmp_path / "a.png", colours, 2)
    png_of_16_bits(tmp_path / "b.png", np.dstack([mask, mask]), 4)
    tifffile.imwrite(tmp_path / "c.tif", colours, photometric="rgb")
    tifffile.imwrite(tmp_path / "d.tif", np.moveaxis(colours, 2, 0), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "e.tif", np.dstack([0 * bar(), bar()]), photometric="minisblack", planarconfig="contig")
    shown = np.dstack([bar(), bar(), bar(), 0 * bar()])
    tifffile.imwrite(tmp_path / "f.tif", shown, photometric="rgb", extrasamples=["assocalpha"])
    (tmp_path / "g.ppm").write_bytes(b"P6 %d %d 65535\n" % mask.shape[::-1] + colours.astype(">u2").tobytes())
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(AnnotationError, match=rf"{path.name}: holds .*, which would be lost; save it in grey"):
            measured(path)
    png_of_16_bits(tmp_path / "grey.png", mask[..., None], 0)
    assert len(measured(tmp_path / "grey.png").deposits) == 1
    Image.fromarray(np.dstack([bar()] * 3)).save(tmp_path / "p.ppm")
    assert len(measured(tmp_path / "p.ppm").deposits) == 1


def test_jpeg_with_shades_is_refused(tmp_path):
    """JPEG surrounds a mask with near-black that is not 0: every shade would move the outline."""
    with pytest.raises(AnnotationError, match="lossy compression blurs"):
        measured(saved(tmp_path / "m.jpg", bar()))
    with pytest.raises(AnnotationError, match="lossy compression blurs"):
        measured(saved(tmp_path / "m.tif", bar(), compression="jpeg"))


def test_a_palette_must_paint_the_background_black(tmp_path):
    """A label image has colours for 1, 2, 3; a mask in two colours may have white first."""
    labels = Image.fromarray(bar(1), "P")
    labels.putpalette([0, 0, 0, 255, 0, 0])
    labels.save(tmp_path / "labels.png")
    assert len(measured(tmp_path / "labels.png").deposits) == 1
    Image.fromarray(255 - bar()).quantize(2).save(tmp_path / "inverted.png")
    with pytest.raises(AnnotationError, match="its palette doesn't paint value 0 black"):
        measured(tmp_path / "inverted.png")


@pytest.mark.parametrize("name", ["m.tif", "m.png"])
def test_a_mask_that_is_to_be_turned_is_refused(tmp_path, name):
    """Pillow reads rows of the wrong length from such a TIFF, and other formats it leaves as they are."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(bar()).save(tmp_path / name, exif=exif)
    with pytest.raises(AnnotationError, match=r"is to be turned or mirrored \(Orientation 6\); save it upright"):
        measured(tmp_path / name)


@pytest.mark.parametrize("name", ["m.tif", "m.gif", "m.webp", "m.png"])
def test_a_file_of_several_images_of_one_size_is_refused(tmp_path, name):
    """The tumour may be in any plane, channel or frame: with an empty first one it was "negative"."""
    first, second = Image.fromarray(0 * bar()), Image.fromarray(bar())
    first.save(tmp_path / name, save_all=True, append_images=[second])
    with pytest.raises(AnnotationError, match=r"holds 2 images of its size or larger .*; save that one alone"):
        measured(tmp_path / name)


def test_a_tiff_compressed_as_webp_is_not_called_damaged(tmp_path):
    """libtiff in Pillow can't read it: the file is whole, and a copy of it would be no better."""
    Image.fromarray(bar()).save(tmp_path / "m.tif", compression="tiff_lzw")
    content = (tmp_path / "m.tif").read_bytes()
    lzw, webp = (struct.pack("<HHIH", 259, 3, 1, number) for number in (5, 50001))
    assert content.count(lzw) == 1
    (tmp_path / "m.tif").write_bytes(content.replace(lzw, webp))
    with pytest.raises(AnnotationError, match=r"m.tif: is compressed as WebP, .*; save the mask as PNG, or as TIFF"):
        measured(tmp_path / "m.tif")


def test_of_a_pyramid_the_first_image_must_be_the_largest(tmp_path):
    """Reduced copies behind it are remarked upon; before it one would be measured at half its size."""
    whole, half = Image.fromarray(bar()), Image.fromarray(bar()[::2, ::2])
    whole.save(tmp_path / "a.tif", save_all=True, append_images=[half])
    found = measured(tmp_path / "a.tif")
    assert found.largest_deposit_um == pytest.approx(2 * math.hypot(100, 10))
    assert found.notes == ("the file holds 2 images; the first was measured",)
    half.save(tmp_path / "b.tif", save_all=True, append_images=[whole])
    with pytest.raises(AnnotationError, match="holds 2 images of its size or larger"):
        measured(tmp_path / "b.tif")


@pytest.mark.parametrize("mask", [bar() > 0, 255 - bar()], ids=["true and false", "grey"])
def test_a_tiff_whose_0_is_white_is_refused(tmp_path, mask):
    """As tifffile writes true and false: Pillow turns them round, and the background would be the deposit."""
    tifffile.imwrite(tmp_path / "m.tif", mask, photometric="miniswhite")
    with pytest.raises(AnnotationError, match=r"m.tif: its 0 is white \(MinIsWhite\).*; save it in grey, 0 and 255"):
        measured(tmp_path / "m.tif")


def test_a_mask_in_printers_colours_is_refused(tmp_path):
    """White is 0 in CMYK, so the tumour would be taken for the background."""
    Image.fromarray(bar()).convert("RGB").convert("CMYK").save(tmp_path / "m.tif")
    with pytest.raises(AnnotationError, match=r"m\.tif: is in CMYK, whose 0 isn't black; save it in grey"):
        measured(tmp_path / "m.tif")


@pytest.mark.parametrize("left", [0, 1, 12347, 31001, 77773])
@pytest.mark.parametrize(("length_um", "found"), [(200, Metastasis.ITC), (2000, Metastasis.MICRO)])
def test_a_limit_is_one_wherever_the_outline_lies(tmp_path, left, length_um, found):
    """Exactly 0.2 mm and exactly 2 mm belong to the smaller class; 12347 * 0.2 is no whole number of halves."""
    across = length_um * 5
    middle, right = left + across // 2, left + across
    diamond = [(left, 500), (middle, 480), (right, 500), (middle, 520)]
    result = measured(asap(tmp_path / "a.xml", ("_0", diamond)), mpp=Spacing.square(0.2))
    assert result.metastasis is found
    assert result.largest_deposit_um == length_um


def test_outlines_that_say_nothing_are_no_negative(tmp_path):
    """ASAP puts an outline that was given no group into None: whether it is tumour is not known."""
    with pytest.raises(AnnotationError, match=r"no outline of it says that it is tumour \(1 outline in no group"):
        measured(asap(tmp_path / "a.xml", ("None", SQUARE)))
    some = measured(asap(tmp_path / "a.xml", ("_0", SQUARE), ("None", [(0, 0), (9000, 0), (9000, 9000)])))
    assert any("1 outline in no group" in note for note in some.notes)


def test_the_uncertainty_that_deposits_geojson_states_is_kept(tmp_path, capsys):
    """The report's 1.99 +- 0.03 mm, borderline, isn't measured as certain; the outline's own pixel is added to it, from
    corner to corner."""
    near = ellipse(1, (5200.0, 4300.0), 1986.0, short_um=900.0)
    for deposits, borderline in (((near, MICRO), [True, False]), ((MICRO,), [False])):
        write_geojson(result(deposits), tmp_path)
        found = measured(tmp_path / "deposits.geojson", mpp=Spacing.square(0.25))
        for one, planted in zip(found.deposits, deposits, strict=True):
            own = math.hypot(planted.diameter_uncertainty_um, 0.25, 0.25)
            assert one.diameter_uncertainty_um == pytest.approx(own)
        assert [one.borderline for one in found.deposits] == borderline
        print_measurement(found, as_json=False)
        assert "outline alone" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "word"), [("Micrometastasis", "micro"), ("macro", "macro"), ("Isolated tumor cells", ""), ("Tumor", "")]
)
def test_a_class_that_a_reader_gave_an_outline_is_named_where_another_is_measured(tmp_path, name, word):
    """141 um are ITC, unless more than 200 cells make a micrometastasis; a name that is no class contradicts none."""
    path = geojson(tmp_path / "a.geojson", [feature([closed(square(0, 50))], name)])
    notes = [note for note in measured(path).notes if "the file calls it" in note]
    assert notes == ([f"deposit 1: the file calls it {word}; itc by the size measured here"] if word else [])


def test_an_outline_is_called_by_its_row_in_every_note(tmp_path):
    """The second of the file is the first of the table; two that touch are one deposit, and go by the file, too."""
    small, large = feature([closed(square(0, 50))], "micro"), feature([closed(square(300, 900))], "macro")
    large["properties"]["measurements"] = {"Diameter um": 1500.0}
    said = [
        note.partition(": the file ")[0] for note in measured(geojson(tmp_path / "a.geojson", [small, large])).notes
    ]
    assert said[:3] == ["deposit 1", "deposit 2", CUT_NOT_STATED]
    touching = [feature([closed(square(left, 50))], "micro") for left in (0, 50)]
    found = measured(geojson(tmp_path / "b.geojson", touching), mpp=Spacing.square(0.5))
    assert [note.partition(": ")[0] for note in found.notes[:2]] == ["feature 0 (deposit 1)", "feature 1 (deposit 1)"]
    beside_unnamed = [feature([closed(square(50, 5000))], "Tumor"), touching[0]]
    found = measured(geojson(tmp_path / "c.geojson", beside_unnamed), mpp=Spacing.square(0.5))
    assert any(note.startswith("feature 1 (deposit 1): the file calls it micro") for note in found.notes)


def test_a_stated_uncertainty_goes_with_its_deposit_where_x_and_y_differ(tmp_path):
    """The outlines that state it lie in pixels of unlike sides, the deposits in um; so does the stated diameter."""
    tall = feature([closed([(0, 0), (100, 0), (100, 1000), (0, 1000)])], "Tumor")
    for um, uncertainty_um in ((math.hypot(25, 500), 20.0), (math.hypot(25, 500) / 2, 0.0)):
        tall["properties"]["measurements"] = {"Diameter um": um, "Diameter uncertainty um": 20.0}
        (one,) = measured(geojson(tmp_path / "a.geojson", [tall]), mpp=Spacing(0.25, 0.5)).deposits
        assert one.diameter_uncertainty_um == pytest.approx(math.hypot(uncertainty_um, 0.25, 0.5))


@pytest.mark.parametrize(
    ("shift_px", "redrawn"),
    [(0, False), (-20, False), (137, False), (-137, False), (-145, True), (145, True), (-600, True)],
)
def test_what_a_file_states_of_another_outline_is_left_out(tmp_path, capsys, shift_px, redrawn):
    """A reader who moves a border keeps nodescan's measurements. Within 5 % and a pixel the doubt stays, for the pixel
    size may be a little off."""
    side, um_per_px = 2800, 0.5
    one, untouched = (
        feature([closed(square(0, side + shift_px))], "Tumor"),
        feature([closed(square(4000, 400))], "Tumor"),
    )
    stated_um = side * math.sqrt(2) * um_per_px
    one["properties"]["measurements"] = {"Diameter um": stated_um, "Diameter uncertainty um": 70.0}
    kept_um = 400 * math.sqrt(2) * um_per_px
    untouched["properties"]["measurements"] = {"Diameter um": kept_um, "Diameter uncertainty um": 50.0}
    found = measured(geojson(tmp_path / "a.geojson", [one, untouched]), mpp=Spacing.square(um_per_px))
    unsure_um = [deposit.diameter_uncertainty_um for deposit in found.deposits]
    own_um = math.hypot(um_per_px, um_per_px)
    assert unsure_um == pytest.approx([own_um if redrawn else math.hypot(70, own_um), math.hypot(50, own_um)])
    told = [note for note in found.notes if "it was edited, or" in note]
    assert len(told) == redrawn
    print_measurement(found, as_json=False)
    assert ("± covers only how the outline is drawn" in capsys.readouterr().out) is redrawn
    drawn = f"{found.deposits[0].diameter_um / 1000:.2f}"
    assert not redrawn or told[0] == (
        f"deposit 1: the file states {stated_um / 1000:.2f} mm, and this outline is {drawn} mm long: it was edited, or "
        "the pixel size is another; the ± that the file states is left out"
    )


@pytest.mark.parametrize(
    ("drawn", "fitting", "said"),
    [
        (("Exclusion", [(2500, -10), (2900, -10), (2900, 410), (2500, 410)]), [False], "1.41 mm, and 1.27 mm"),
        (("Exclusion", [(2750, -10), (2900, -10), (2900, 410), (2750, 410)]), [True], ""),
        (("Exclusion", [(2600, -10), (2610, -10), (2610, 410), (2600, 410)]), [False, False], "1.41 mm, and 1.32 mm"),
        (("Exclusion", [(2750, -10), (2760, -10), (2760, 410), (2750, 410)]), [True, False], "1.41 mm, and 0.20 mm"),
        (("Tumor", [(2700, 0), (3200, 0), (3200, 400), (2700, 400)]), [False], "1.41 mm, and 1.61 mm"),
        (("Tumor", [(100, 100), (200, 100), (200, 200), (100, 200)]), [True], ""),
    ],
)
def test_a_stated_uncertainty_is_of_the_deposit_that_results(tmp_path, capsys, drawn, fitting, said):
    """An exclusion, or an outline by hand over nodescan's own, makes another deposit of it, though the outline is as it
    was written. What is measured then is as sure as it was drawn."""
    bar = [(0, 0), (2800, 0), (2800, 400), (0, 400)]
    own = feature([closed(bar)], "Tumor")
    own["properties"]["measurements"] = {"Diameter um": math.hypot(1400, 200), "Diameter uncertainty um": 70.0}
    found = measured(
        geojson(tmp_path / "a.geojson", [own, feature([closed(drawn[1])], drawn[0])]), mpp=Spacing.square(0.5)
    )
    own_um = math.hypot(0.5, 0.5)
    unsure_um = [one.diameter_uncertainty_um for one in found.deposits]
    assert unsure_um == pytest.approx([math.hypot(70, own_um) if fits else own_um for fits in fitting])
    told = [note for note in found.notes if "± that the file states is left out" in note]
    assert len(told) == bool(said)
    assert all(f"the file states {said} is measured here" in note for note in told)
    print_measurement(found, as_json=False)
    assert ("± covers only how the outline is drawn" in capsys.readouterr().out) is not all(fitting)


@pytest.mark.parametrize("stated_um", [None, 141.4, 300.0])
def test_a_lower_bound_outlives_another_outline(tmp_path, stated_um):
    """The file doesn't say where the deposit was cut off, so whether a new border reaches there isn't known."""
    one = feature([closed(square(0, 50))], "Tumor")
    one["properties"]["measurements"] = {"Cut off": 1} | ({} if stated_um is None else {"Diameter um": stated_um})
    found = measured(geojson(tmp_path / "a.geojson", [one]))
    assert found.at_least
    told = [note for note in found.notes if "it was edited, or" in note]
    assert [note.rpartition("; ")[2] for note in told] == ["the deposit still counts as cut off"] * (stated_um == 300.0)


def test_what_is_excluded_is_cut_out_before_it_is_measured(tmp_path):
    """A strip of normal tissue across an outline leaves two deposits, and takes its area from them."""
    strip = [(40, -10), (60, -10), (60, 110), (40, 110)]
    found = measured(asap(tmp_path / "a.xml", ("_0", SQUARE), ("_2", strip)))
    assert [one.diameter_um for one in found.deposits] == pytest.approx([2 * math.hypot(40, 100)] * 2)
    assert [one.area_um2 for one in found.deposits] == pytest.approx([4 * 4000] * 2)


def test_a_spacing_that_contradicts_stated_diameters_is_remarked_upon(tmp_path):
    """Our own outlines measured with another slide's spacing would have another size, and no word of it."""
    write_geojson(result((MICRO,)), tmp_path)
    for um_per_px, said in ((0.25, False), (0.5, True)):
        notes = measured(tmp_path / "deposits.geojson", mpp=Spacing.square(um_per_px)).notes
        assert any("file states go with 0.25" in note for note in notes) == said


@pytest.mark.parametrize("cut_off", [False, True])
def test_a_deposit_that_a_report_calls_cut_off_is_cut_off_where_its_outline_is_measured(tmp_path, capsys, cut_off):
    """deposits.geojson says so of each; else a slide's lower bound would be a class that is certain."""
    write_geojson(result((replace(MICRO, cut_off=cut_off),)), tmp_path)
    written = json.loads((tmp_path / "deposits.geojson").read_text())["features"][0]["properties"]["measurements"]
    assert written.get("Cut off") == (1 if cut_off else None)
    found = measured(tmp_path / "deposits.geojson", mpp=Spacing.square(0.25))
    assert [deposit.cut_off for deposit in found.deposits] == [cut_off]
    print_measurement(found, as_json=True)
    told = json.loads(capsys.readouterr().out)
    flags = [flag["message"] for flag in told["flags"] if flag["code"] == "deposit_cut_off"]
    assert (told["at_least"], len(flags)) == (cut_off, cut_off)
    assert not cut_off or flags[0].startswith("Deposit 1 lies where examination or scan ended, as the file states")
    assert not any("lies beyond" in note for note in told["notes"])


@pytest.mark.parametrize(("value", "refused"), [(0, False), (1, False), (2, True), ("yes", True), ([1], True)])
def test_a_statement_of_what_is_cut_off_is_understood_or_refused(tmp_path, value, refused):
    """1 or 0, as QuPath's measurements are numbers."""
    one = feature([closed(square(0, 50))], "Tumor")
    one["properties"]["measurements"] = {"Diameter um": 141.4, "Cut off": value}
    path = geojson(tmp_path / "a.geojson", [one])
    if refused:
        with pytest.raises(AnnotationError, match=r"a\.geojson: feature 0 has a 'Cut off' that is not 0 or 1"):
            measured(path)
    else:
        assert [deposit.cut_off for deposit in measured(path).deposits] == [bool(value)]


def test_what_a_file_states_of_an_outline_goes_with_no_other_deposit(tmp_path):
    """Of three of falling size the second is cut off, the third 30 um unsure."""
    boxes = [[(x, 0), (x + side, 0), (x + side, side), (x, side)] for x, side in ((0, 300), (400, 200), (700, 100))]
    features = [feature([closed(box)], "Tumor") for box in boxes]
    features[1]["properties"]["measurements"] = {"Diameter um": 282.8, "Cut off": 1}
    features[2]["properties"]["measurements"] = {"Diameter uncertainty um": 30.0}
    found = measured(geojson(tmp_path / "a.geojson", features)).deposits
    assert [one.cut_off for one in found] == [False, True, False]
    assert [one.diameter_uncertainty_um > 30 for one in found] == [False, False, True]


@pytest.mark.parametrize(("length_px", "refused"), [(104_990, False), (105_100, True)])
def test_a_deposit_longer_than_any_slide_is_refused(tmp_path, length_px, refused):
    """At 2 um/px: one corner far off, by a slip of the mouse, would make isolated cells a macrometastasis of metres."""
    path = asap(tmp_path / "a.xml", ("_0", [(0, 0), (length_px, 0), (0, 10)]))
    if refused:
        with pytest.raises(AnnotationError, match=r"^a\.xml: a deposit would be 210\.2 mm long, .* no slide"):
            measured(path)
        reference = lesion_file(path)
        with pytest.raises(AnnotationError, match=r"^a\.xml: a deposit would be 210\.2 mm long"):
            reference.deposits(TWO_UM)
    else:
        assert measured(path).metastasis is Metastasis.MACRO


def test_outlines_of_others_say_that_what_lies_beyond_is_not_known(tmp_path):
    """ASAP and QuPath state nothing of it; of a file without tumour there is nothing to say."""
    assert CUT_NOT_STATED in measured(asap(tmp_path / "a.xml", ("_0", SQUARE))).notes
    assert CUT_NOT_STATED not in measured(saved(tmp_path / "m.png", bar())).notes


def stated(path, *features):
    """Features of polygons, corners in px, each with the diameter that the file states of it."""
    made = []
    for polygons, diameter_um in features:
        one = feature([[closed(corners)] for corners in polygons], "Tumor", kind="MultiPolygon")
        one["properties"]["measurements"] = {"Diameter um": diameter_um}
        made.append(one)
    return geojson(path, made)


def square(left, side):
    return [(left, 0), (left + side, 0), (left + side, side), (left, side)]


def test_what_was_joined_across_a_gap_is_told_where_it_is_measured_as_foci(tmp_path, capsys):
    """A report's macrometastasis would be two micrometastases in its own outlines, and no word of it."""
    pair, whole_um = (square(0, 700), square(725, 700)), 2 * math.hypot(1425, 700)
    path = stated(tmp_path / "a.geojson", (pair, whole_um))
    found = measured(path)
    assert (len(found.deposits), found.metastasis) == (2, Metastasis.MICRO)
    said = (
        "feature 0 (deposits 1, 2): the file states this as one deposit of 3.18 mm (macro), joined across a gap; "
        "measured here as 2 separate foci, the largest 1.98 mm (micro)"
    )
    for as_json in (False, True):
        print_measurement(found, as_json=as_json)
        assert said in capsys.readouterr().out
    assert not any("one deposit" in note for note in measured(path, gap_um=75.0).notes)
    apart = stated(tmp_path / "b.geojson", ((square(0, 700),), 1980.0), ((square(725, 700),), 1980.0))
    assert measured(apart).notes == (CUT_NOT_STATED,)


def test_a_polygon_s_size_is_held_against_all_of_its_parts(tmp_path):
    """At another spacing what the file states of several polygons is no less a contradiction than of one."""
    path = stated(tmp_path / "a.geojson", ((square(0, 70), square(80, 70)), 2 * math.hypot(150, 70)))
    assert any("file states go with 2 um/px" in note for note in measured(path, mpp=Spacing.square(2.2)).notes)


@pytest.mark.parametrize(("mpp_um", "told"), [(2.0, False), (1.92, True), (2.04, False), (0.9, True)])
def test_a_class_that_the_stated_diameter_contradicts_is_told(tmp_path, mpp_um, told):
    """Within the tolerance of a spacing, too, a deposit may fall below 2 mm: 2.02 mm at 2 um/px, 1.94 at 1.92."""
    path = stated(tmp_path / "a.geojson", ((square(0, 715),), 2 * math.hypot(715, 715)))
    notes = measured(path, mpp=Spacing.square(mpp_um)).notes
    assert any("as one deposit of 2.02 mm (macro), measured here as" in note for note in notes) == told


def test_an_outline_that_exclusions_or_neighbours_change_is_no_wrong_spacing(tmp_path):
    """What the file states is of the outline as it was drawn, by itself."""
    micro, macro = math.hypot(1000, 300), 2100.0
    for whole_um, (left, right), said in (
        (micro, (480, 521), "(micro), and exclusions part it; measured here as 2 separate foci, the largest 0.57 mm"),
        (macro, (100, 1001), "measured here as 0.64 mm (micro): another class, by exclusions or other outlines that"),
    ):
        one = feature([closed([(0, 0), (1000, 0), (1000, 300), (0, 300)])], "Tumor")
        one["properties"]["measurements"] = {"Diameter um": whole_um}
        gone = feature([closed([(left, -10), (right, -10), (right, 310), (left, 310)])], "Exclusion")
        path = geojson(tmp_path / f"{left}.geojson", [one, gone])
        notes = measured(path, mpp=Spacing.square(whole_um / micro)).notes
        assert any(said in note for note in notes)
        assert not any("check that the spacing" in note for note in notes)


def test_of_many_contradictions_a_few_are_told(tmp_path):
    """Nobody reads hundreds of lines, but their number is there."""
    path = stated(tmp_path / "a.geojson", *(((square(1000 * number, 70),), 203.0) for number in range(9)))
    notes = measured(path, mpp=Spacing.square(2.0)).notes
    assert len([note for note in notes if "as one deposit" in note]) == 5
    assert any("so are 4 more outlines" in note for note in notes)


def test_where_the_file_states_no_uncertainty_the_outline_s_own_is_said_to_be_no_more(tmp_path, capsys):
    """Of all its deposits or of one: a lesion added by hand has none, nor has what such a lesion made longer."""
    (tmp_path / "sure").mkdir()
    write_geojson(result((MICRO,)), tmp_path / "sure")
    (stated,) = json.loads((tmp_path / "sure" / "deposits.geojson").read_text())["features"]
    x, y = stated["geometry"]["coordinates"][0][0]
    beside = feature([closed([(x - 2000, y), (x + 2000, y), (x + 2000, y + 2000)])], "Tumor")
    apart = feature([closed(SQUARE)], "Tumor")
    pixel = math.hypot(0.25, 0.25)
    for name, features in (("beside", [stated, beside]), ("apart", [stated, apart]), ("none", [apart])):
        found = measured(geojson(tmp_path / f"{name}.geojson", features), mpp=Spacing.square(0.25))
        assert found.deposits[-1].diameter_uncertainty_um == pytest.approx(pixel)
        print_measurement(found, as_json=False)
        assert "± covers only how the outline is drawn" in capsys.readouterr().out


@pytest.mark.parametrize("stated", ["27", -1, math.nan, True, 10**400, 1e300, [[]]])
def test_an_uncertainty_that_is_no_length_is_refused(tmp_path, stated):
    """Not taken for none."""
    odd = feature([closed(SQUARE)], "Tumor")
    for measurements in (
        {"Diameter uncertainty um": stated},
        [{"name": "Diameter uncertainty um", "value": stated}],
    ):
        odd["properties"]["measurements"] = measurements
        with pytest.raises(AnnotationError, match=r"a\.geojson: feature 0 has a 'Diameter uncertainty um' that is no"):
            measured(geojson(tmp_path / "a.geojson", [odd]))


def test_measurements_with_odd_names_say_nothing(tmp_path):
    """A list for a name is no key; the outline is measured all the same."""
    odd = feature([closed(SQUARE)], "Tumor")
    odd["properties"]["measurements"] = [{"name": [1], "value": 1}, {"name": {"a": 1}}, {}, 5]
    assert measured(geojson(tmp_path / "a.geojson", [odd])).deposits


def test_inverted_masks_are_remarked_upon(tmp_path):
    """Mostly tumour is said in the notes."""
    notes = measured(saved(tmp_path / "m.png", 255 - bar())).notes
    assert any("inverted" in note for note in notes)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ((40, 60), (70, 90)),
        ((0, 9), (20, 60)),
        ((1, 9), (20, 60)),
        ((20, 60), (90, 100)),
        ((20, 60), (90, 99)),
        ((50, 80), (40, 60)),
        ((50, 79), (40, 60)),
        ((40, 60), (0, 15)),
        ((40, 60), (1, 15)),
    ],
)
def test_which_deposits_reach_the_edge_of_a_mask_is_said(tmp_path, capsys, rows, columns):
    """With pixels of 0.3 x 0.7 um, whose corners aren't whole."""
    mask = np.zeros((80, 100), np.uint8)
    mask[20:30, 20:30] = mask[slice(*rows), slice(*columns)] = 1
    found = measured(saved(tmp_path / "m.png", mask), mpp=Spacing(0.3, 0.7))
    at_edge = rows[0] == 0 or rows[1] == 80 or columns[0] == 0 or columns[1] == 100
    assert [deposit.cut_off for deposit in found.deposits] == [at_edge, False]
    said = "Deposit 1 lies at the edge of the mask and may be larger."
    assert [flag.message.startswith(said) for flag in found.flags if flag.code == "deposit_cut_off"] == at_edge * [True]
    print_measurement(found, as_json=False)
    out = capsys.readouterr().out
    assert (out.count("note: Deposit 1 lies"), "itc, cut off" in out) == (at_edge, at_edge)
    assert (": at least itc, largest at least " in out, ": itc, largest 0." in out) == (at_edge, not at_edge)
    assert f"largest {'at least ' if at_edge else ''}{size_words(found.deposits[0])}, deposits: 2;" in out


def test_a_pixel_size_in_doubt_gives_no_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """OME-XML of 1 um, as programs write when they don't know it, of a deposit at the edge; a given one settles it."""
    mask = np.zeros((60, 300), np.uint8)
    mask[20:40, :230] = 1
    sizes = {"PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0}
    tifffile.imwrite(tmp_path / "m.ome.tif", mask, ome=True, metadata={"axes": "YX", **sizes})
    for mpp, said in (
        (None, "micro as measured, largest 0.23"),
        (Spacing(1.0, 1.0), "at least micro, largest at least"),
    ):
        print_measurement(measured(tmp_path / "m.ome.tif", mpp=mpp), as_json=False)
        assert f"m.ome.tif: {said}" in capsys.readouterr().out


@pytest.mark.parametrize(("length_px", "said"), [(199, "micro as measured"), (230, "at least micro")])
def test_a_cut_off_deposit_that_may_be_in_a_lower_class_by_its_size_gives_no_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], length_px: int, said: str
) -> None:
    """A bar at the edge of a mask of 1 um, of 0.20 mm within its uncertainty or clearly longer."""
    mask = np.zeros((60, 300), np.uint8)
    mask[20:40, :length_px] = 1
    print_measurement(measured(saved(tmp_path / "m.png", mask), mpp=Spacing(1.0, 1.0)), as_json=False)
    assert f"m.png: {said}, largest at least 0.2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(15, 115)], ("micro", False, [])),
        ([(0, 100)], ("micro", True, ["deposit_cut_off"])),
        ([(0, 5), (15, 115)], ("micro", True, ["deposit_cut_off"])),
        ([(0, 1100)], ("macro", False, ["deposit_cut_off"])),
        ([(0, 5), (15, 1115)], ("macro", False, ["deposit_cut_off"])),
        ([], (None, False, [])),
    ],
)
def test_a_class_is_a_lower_bound_where_a_deposit_is_cut_off(tmp_path, capsys, boxes, expected):
    """By a slide's rule: any deposit that is cut off may be of the next class, but for a macrometastasis there is none.

    Bars of 10 px, from and to which column.
    """
    mask = np.zeros((40, 1200), np.uint8)
    for left, right in boxes:
        mask[10:20, left:right] = 1
    print_measurement(measured(saved(tmp_path / "m.png", mask)), as_json=True)
    found = json.loads(capsys.readouterr().out)
    flags = [flag["code"] for flag in found["flags"] if flag["code"] == "deposit_cut_off"]
    assert (found["metastasis"], found["at_least"], flags) == expected


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("m.png", b"not a picture", "not a mask image"),
        ("m.png", b"", "not a mask image"),
        ("m.tif", b"II*\x00", "can't be read|not a mask image"),
        ("m.dds", b"DDS " + struct.pack("<6I", 124, 0x1007, 8, 8, 0, 0) + b"\0" * 200, "not a mask image"),
        ("m.blp", b"BLP2" + b"\1" * 2000, "not a mask image"),
        ("m.png", png_header(65_000, 65_000), "larger than"),
    ],
)
def test_what_is_no_mask_is_refused(tmp_path, name, content, reason):
    """A file that is no image names itself and what is read."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AnnotationError, match=reason):
        measured(tmp_path / name)


def test_missing_and_truncated_masks_are_refused(tmp_path):
    """A file that isn't there, and one cut off, are errors in one line."""
    with pytest.raises(AnnotationError, match=r"gone\.png: can't be read"):
        measured(tmp_path / "gone.png")
    rng = np.random.default_rng(0)
    whole = saved(tmp_path / "m.png", (rng.random((300, 300)) > 0.5).astype(np.uint8) * 255)
    whole.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(AnnotationError, match=r"m\.png: is damaged \(.*\); copy or export it again"):
        measured(whole)


def test_a_mask_with_nan_is_refused(tmp_path):
    """A probability map with NaN saved as a float TIFF is no mask."""
    mask = bar(1.0, np.float32)
    mask[0, 0] = np.nan
    with pytest.raises(AnnotationError, match="not numbers"):
        measured(saved(tmp_path / "m.tif", mask))


def test_a_map_of_probabilities_is_no_mask(tmp_path):
    """nodescan's own probability.ome.tif would be one deposit as large as the tissue if all but 0 were tumour."""
    values = np.linspace(0, 1, 40 * 130, dtype=np.float32).reshape(40, 130)
    with pytest.raises(AnnotationError, match=r"m\.tif: holds fractions.*threshold"):
        measured(saved(tmp_path / "m.tif", values))
    halves = bar(0.5, np.float32)
    assert measured(saved(tmp_path / "h.tif", halves)).largest_deposit_um == pytest.approx(2 * math.hypot(100, 10))


@pytest.mark.parametrize(
    ("name", "um_per_px", "taken"),
    [
        *(("m.png", um, taken) for um, taken in ((0.049, False), (0.05, True), (100, True), (101, False))),
        *(("a.xml", um, taken) for um, taken in ((0.049, False), (0.05, True), (5, True), (24, False))),
    ],
)
def test_an_absurd_spacing_is_refused(tmp_path, name, um_per_px, taken):
    """A pixel finer than light resolves, half as wide as the ITC limit, or too coarse to be a slide's, is a slip."""
    saved(tmp_path / "m.png", bar())
    asap(tmp_path / "a.xml", ("_0", SQUARE))
    if taken:
        assert measured(tmp_path / name, mpp=Spacing.square(um_per_px)).deposits
        return
    with pytest.raises(UsageError, match=rf"--mpp: {um_per_px:g} can't be .*{name}; give a number between"):
        measured(tmp_path / name, mpp=Spacing.square(um_per_px))


def test_a_mask_held_in_transparency_is_refused(tmp_path):
    """Black all over, it would be measured as negative."""
    for channels in (2, 4):
        pixels = np.zeros((120, 260, channels), np.uint8)
        pixels[10:110, 30:230, -1] = 255
        with pytest.raises(AnnotationError, match=r"t\.png: is transparent in part"):
            measured(saved(tmp_path / "t.png", pixels))


def test_a_damaged_picture_ends_in_one_line(tmp_path):
    """Whatever the reader makes of it, unless it can be measured: each byte of a small TIFF's directory is changed."""
    path = tmp_path / "d.tif"
    Image.fromarray(bar()).save(path, compression="tiff_lzw")
    whole = path.read_bytes()
    start = int.from_bytes(whole[4:8], "little")
    refused: list[str] = []
    for place in range(start, min(start + 150, len(whole))):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(bytes(damaged))
        try:
            measured(path)
        except (AnnotationError, UsageError) as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert not any("\n" in line for line in refused)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("e.xml", "<?xml version='1.0' encoding='no-such'?><ASAP_Annotations/>"),
        ("e.xml", "<?xml version='1.0' encoding='utf-7'?><ASAP_Annotations/>"),
        (
            "h.geojson",
            '{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[1' + "0" * 400 + ", 0]]]}}",
        ),
    ],
)
def test_outlines_that_cannot_be_read_are_refused(tmp_path, name, text):
    """Unknown encodings, and numbers beyond all bounds."""
    (tmp_path / name).write_text(text)
    with pytest.raises(AnnotationError, match=name):
        measured(tmp_path / name)


def test_a_folder_is_refused_by_its_name(tmp_path, monkeypatch):
    """Even the folder one stands in, whose path has no name of its own."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AnnotationError, match=r"^\.: can't be read .*name a mask image"):
        measured(Path())


def test_asap_and_geojson_give_the_same_deposits(tmp_path):
    """One outline in either format is one deposit of the same size, in um."""
    (tmp_path / "a.geojson").write_text(json.dumps([feature([closed(SQUARE)], "Tumor")]))
    from_xml = measured(asap(tmp_path / "a.xml", ("_0", SQUARE)))
    from_json = measured(tmp_path / "a.geojson")
    assert from_xml.largest_deposit_um == from_json.largest_deposit_um == pytest.approx(200 * math.sqrt(2))
    assert from_xml.metastasis is Metastasis.MICRO


def test_real_outlines_measure_as_plausible_lesions(shared):
    """All 27 real files are measured in seconds; every size lies between a cell and a node."""
    paths = sorted((shared / "data/camelyon16/annotations").glob("*.xml"))
    assert len(paths) == 27
    for path in paths:
        result = measured(path, mpp=Spacing.square(0.243))
        assert result.deposits
        assert all(10 < deposit.diameter_um < 20_000 for deposit in result.deposits)
        assert result.metastasis is max(deposit.metastasis for deposit in result.deposits)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255)])
def test_a_palette_that_paints_the_background_in_a_colour_is_refused(tmp_path, colour):
    """Black isn't its background, so value 0 may be the tumour."""
    labels = Image.fromarray(bar(1), "P")
    labels.putpalette([*colour, 0, 0, 0])
    labels.save(tmp_path / "labels.png")
    with pytest.raises(AnnotationError, match="its palette doesn't paint value 0 black"):
        measured(tmp_path / "labels.png")


@pytest.mark.parametrize("order", [(4, 30), (30, 4)])
def test_of_outlines_that_make_one_deposit_the_least_sure_counts(tmp_path, order):
    """Two that overlap, of 4 and of 30 um: of the whole no more is known than of the worse."""
    lefts = (0, 60)
    features = [
        feature([closed([(left, 0), (left + 100, 0), (left + 100, 100), (left, 100)])], "Tumor") for left in lefts
    ]
    for one, um in zip(features, order, strict=True):
        one["properties"]["measurements"] = {"Diameter uncertainty um": um}
    plain = [feature(one["geometry"]["coordinates"], "Tumor") for one in features]
    (own,) = measured(geojson(tmp_path / "plain.geojson", plain)).deposits
    (found,) = measured(geojson(tmp_path / "a.geojson", features)).deposits
    assert found.diameter_uncertainty_um == pytest.approx(math.hypot(own.diameter_uncertainty_um, 30))
