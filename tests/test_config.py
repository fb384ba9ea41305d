"""What a settings file may say, and how it is refused."""

import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
import yaml

from nodescan.config import check_fit, config_sha256, default_config_path, load_config
from nodescan.domain.geometry import TileGeometry
from nodescan.domain.versions import RELEASED_SETTINGS_SHA256, RESULT_VERSION, own_settings
from nodescan.errors import ConfigError
from nodescan.scan_settings import ScanSettings

PACKED = default_config_path().read_text(encoding="utf-8")


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(folder: Path, *keys: str, value: object) -> Path:
    """The packed file with one value set, or taken away where it is None."""
    content = yaml.safe_load(PACKED)
    part = content
    for key in keys[:-1]:
        part = part[key]
    if value is None:
        del part[keys[-1]]
    else:
        part[keys[-1]] = value
    return write(folder, yaml.safe_dump(content))


def test_packed_settings_load() -> None:
    """The packed scan.yaml is complete, and each of its sections becomes the settings it is named after."""
    config = load_config()
    assert isinstance(config.settings, ScanSettings)
    content = yaml.safe_load(PACKED)
    for section in fields(ScanSettings):
        values = getattr(config.settings, section.name)
        if is_dataclass(values):
            for field in fields(values):
                found = getattr(values, field.name)
                assert is_dataclass(found) or found == content[section.name][field.name]


def test_joining_gap_is_zero_by_default() -> None:
    """Two foci 30 um apart stay two unless a user says otherwise (clinical-rules 2)."""
    assert load_config().settings.segmentation.joining_gap_um == 0


def test_unknown_key_is_named_by_its_path(tmp_path: Path) -> None:
    """A key that nothing reads is refused with file, path and way out."""
    with pytest.raises(ConfigError, match=r"^mine\.yaml: tissue\.foo: unknown key, remove it"):
        load_config(changed(tmp_path, "tissue", "foo", value=1))


def test_unknown_section_is_named(tmp_path: Path) -> None:
    """So is a whole section."""
    with pytest.raises(ConfigError, match=r"^mine\.yaml: tisue: unknown key"):
        load_config(changed(tmp_path, "tisue", value={"a": 1}))


def test_missing_key_is_named_by_its_path(tmp_path: Path) -> None:
    """There are no defaults: a key left out is an error, not the author's taste."""
    with pytest.raises(ConfigError, match=r"segmentation\.joining_gap_um: missing"):
        load_config(changed(tmp_path, "segmentation", "joining_gap_um", value=None))


@pytest.mark.parametrize("value", ["0", "1e-1", True, [0], {"um": 0}, float("nan"), float("inf")])
def test_wrong_type_is_named_by_its_path(tmp_path: Path, value: object) -> None:
    """Text, truth values, lists and numbers that aren't finite are no lengths, and nothing is converted in silence."""
    with pytest.raises(ConfigError, match=r"^mine\.yaml: segmentation\.joining_gap_um: .*should be a .*number"):
        load_config(changed(tmp_path, "segmentation", "joining_gap_um", value=value))


def test_settings_own_checks_reach_the_user(tmp_path: Path) -> None:
    """What a settings class refuses is said with the section's name."""
    with pytest.raises(ConfigError, match=r"^mine\.yaml: segmentation: joining_gap_um must lie from 0 to 500, not -1$"):
        load_config(changed(tmp_path, "segmentation", "joining_gap_um", value=-1.0))


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("overview", "finest_um"), -1.0),
        (("overview", "coarsest_um"), 5.0),
        (("overview", "coarsest_um"), 1000.0),
        (("tissue", "working_um"), 0.0),
        (("tissue", "working_um"), 1000.0),
        (("tissue", "margin_um"), -300.0),
        (("tissue", "closing_um"), -1.0),
        (("tissue", "closing_um"), 1e9),
        (("tissue", "max_hole_mm2"), -1.0),
        (("tissue", "min_fragment_mm2"), 0.031),
        (("tissue", "min_colour_density"), 0.021),
        (("tissue", "assumed_glass"), 256),
        (("tissue", "ink", "rim_um"), -1.0),
        (("tissue", "ink", "blue_red_per_green"), 0.99),
        (("quality", "max_blur_ratio"), -5.0),
        (("quality", "min_eosin_fraction"), 1.1),
        (("quality", "pale", "min_dark_share"), -0.1),
        (("quality", "pale", "dark_density"), 0.029),
        (("quality", "faults", "min_line_share"), 1.01),
        (("segmentation", "smallest_area_um2"), 3000.1),
        (("segmentation", "joining_gap_um"), 1e6),
        (("segmentation", "smallest_diameter_um"), 300.0),
        (("segmentation", "grid_um"), 5e-324),
        (("detections", "smoothing_um"), 1e308),
        (("detections", "spacing_um"), 5e-324),
        (("detections", "spacing_um"), 1e308),
        (("detections", "floor"), 5e-324),
        (("nuclei", "diameter_um"), 1e6),
        (("nuclei", "separation_um"), 1e308),
        (("nuclei", "min_contrast"), 100.0),
        (("nuclei", "min_strength"), 1e308),
        (("nuclei", "finest_um"), 0.56),
        (("nuclei", "coarsest_um"), 8.0),
    ],
)
def test_values_under_which_tissue_or_tumour_could_be_lost_are_refused_by_name(
    tmp_path: Path, keys: tuple[str, ...], value: float
) -> None:
    """Before any scan: each slide would fail, take for ever, or be called complete without them."""
    with pytest.raises(ConfigError, match=rf"^mine\.yaml: {re.escape('.'.join(keys[:-1]))}: .*{keys[-1]}"):
        load_config(changed(tmp_path, *keys, value=value))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tissue: 1\ntissue: 2\n", "line 2: key 'tissue' stands twice"),
        ("tissue:\n  a: 1\n  a: 1\n", "line 3: key 'a' stands twice"),
        ("a: !!python/object/apply:os.system ['true']\n", "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os"),
        ("a: &x 1\nb: *x\n", "line 2: aliases are not allowed"),
        ("a: 0160\n", "line 1: write '0160' as a plain decimal number"),
        ("a: 0x10\n", "line 1: write '0x10' as a plain decimal number"),
        ("a: 1:30\n", "line 1: write '1:30' as a plain decimal number"),
        (f"a: 0x{'f' * 6000}\n", "line 1: write '0xffffffffff...fffffffffffff' as a plain decimal number"),
        ("1: 2\n", "line 1: key 1 is not text"),
        ("a: [\n", "line 2: "),
        ("", "holds no settings"),
        ("- a\n- b\n", "holds no settings"),
        ("tissue: 3\n", "tissue: should hold keys of its own"),
    ],
)
def test_yaml_that_hides_a_mistake_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """Keys given twice, tags, aliases and what isn't a mapping are refused on one line that names the file."""
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    assert str(caught.value).startswith("mine.yaml: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A file that isn't there, or isn't text, is the user's to mend."""
    with pytest.raises(ConfigError, match=r"^no\.yaml: can't be read"):
        load_config(tmp_path / "no.yaml")
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"^mine\.yaml: is not UTF-8"):
        load_config(tmp_path / "mine.yaml")


def test_sha256_names_the_content_not_its_form(tmp_path: Path) -> None:
    """Order and comments don't change a run's name; one value does."""
    packed = load_config()
    shuffled = dict(reversed(yaml.safe_load(PACKED).items()))
    same = load_config(write(tmp_path, "# a comment\n" + yaml.safe_dump(shuffled, sort_keys=False)))
    assert same.sha256 == packed.sha256
    other = load_config(changed(tmp_path, "segmentation", "joining_gap_um", value=25.0))
    assert other.sha256 != packed.sha256


def test_the_released_settings_are_known_by_their_sha256() -> None:
    """Whoever changes a value in configs/scan.yaml says so here, and in the code counts up RESULT_VERSION."""
    assert default_config_path().parent.name == "configs"
    assert load_config().sha256 == RELEASED_SETTINGS_SHA256


def test_settings_are_a_users_own_where_a_value_differs(tmp_path: Path) -> None:
    """A comment isn't a value; of another result version's released settings nothing is known."""
    same = load_config(write(tmp_path, "# mine\n" + PACKED))
    assert own_settings(same.sha256) == ""
    other = load_config(changed(tmp_path, "segmentation", "joining_gap_um", value=25.0))
    assert own_settings(other.sha256) == other.sha256
    assert own_settings(other.sha256, RESULT_VERSION - 1) == ""


def test_whole_numbers_are_numbers(tmp_path: Path) -> None:
    """25 and 25.0 are the same gap, and so the same run."""
    whole = load_config(changed(tmp_path, "segmentation", "joining_gap_um", value=25))
    settings = load_config().settings
    wanted = replace(settings, segmentation=replace(settings.segmentation, joining_gap_um=25.0))
    assert whole.sha256 == config_sha256(wanted)


@pytest.mark.parametrize(
    ("core_px", "stride_px", "block_px", "fits"),
    [
        (512, 16, 64, True),
        (480, 16, 64, False),
        (512, 128, 64, False),
        (480, 16, 48, True),
        (512, 8, 24, False),
        (512, 4, 36, False),
    ],
)
def test_blocks_that_focus_is_judged_on_must_fit_the_tiles(
    tmp_path: Path, core_px: int, stride_px: int, block_px: int, fits: bool
) -> None:
    """Before the run, in one line with both numbers: else every slide would fail."""
    config = load_config(changed(tmp_path, "quality", "focus_block_px", value=block_px))
    tile = TileGeometry(core_px, 32, stride_px)
    if fits:
        check_fit(config, tile)
        return
    with pytest.raises(ConfigError, match=rf"focus_block_px: {block_px} does not fit .* tiles of {core_px} px"):
        check_fit(config, tile)
