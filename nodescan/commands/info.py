"""`nodescan info`: what a slide's file tells, and whether it can be measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodescan.commands.options import COMPLETE, NOT_COMPLETE, AsJson, Mpp, OverrideMpp, check_one_slide, check_spacing
from nodescan.commands.tables import print_facts, print_json, spacing_words
from nodescan.streams import reader_may_leave

if TYPE_CHECKING:  # a command imports what it needs when it runs, so that --help costs nothing
    from nodescan.slides.stored import SlideFacts


def info(
    slide: Annotated[Path, typer.Argument(metavar="SLIDE", readable=False, help="A slide file.")],
    mpp: Mpp = None,
    override_mpp: OverrideMpp = False,
    as_json: AsJson = False,
) -> int:
    """Show a slide's format, its size, its pixel size and the source of that, and whether it can be measured."""
    check_spacing(mpp, override_mpp)
    check_one_slide(slide)
    from nodescan.domain.slide import SlideRef
    from nodescan.inference.card import find_model, load_card
    from nodescan.slides import slide_facts

    ref = SlideRef(slide_id=slide.stem, path=slide, mpp_um=mpp, override_mpp=override_mpp)
    facts = slide_facts(ref, load_card(find_model(None)).spacing_um)
    with reader_may_leave():
        if as_json:
            print_json(_as_json(facts, slide))
        else:
            print_slide(facts, slide)
    return NOT_COMPLETE if facts.unmeasurable else COMPLETE


def print_slide(facts: "SlideFacts", path: Path) -> None:
    """What the file tells, and whether it can be measured."""
    from nodescan.domain.naming import how_many

    width_px, height_px = facts.sizes_px[0]
    rows = [
        ("format", f"{facts.format} (read by {facts.reader})"),
        ("size", f"{width_px} x {height_px} px, {how_many(len(facts.sizes_px), 'level')}"),
        ("objective", "unknown" if facts.objective_power is None else f"{facts.objective_power:g} x"),
    ]
    if (info := facts.info) is not None:
        bounds = info.bounds_um
        rows.append(("pixel size", spacing_words(info.spacing, info.spacing_source)))
        rows.append(("canvas", f"{info.width_um / 1000:.2f} x {info.height_um / 1000:.2f} mm"))
        size = f"{bounds.width / 1000:.2f} x {bounds.height / 1000:.2f} mm"
        rows.append(("scanned part", f"{size}, {bounds.left / 1000:.2f} mm right and {bounds.top / 1000:.2f} mm down"))
    rows.append(("can be measured", f"no: {facts.unmeasurable}" if facts.unmeasurable else "yes"))
    rows += [("note", warning.message) for warning in facts.warnings]
    print_facts((("slide", path.name), *rows))


def _as_json(facts: "SlideFacts", path: Path) -> dict[str, object]:
    """spacing_um and its source are null where the file states no plausible pixel size and none is given."""
    from nodescan.domain.report import NOT_FOR_CLINICAL_USE
    from nodescan.reports.json_report import SCHEMA_VERSION

    info = facts.info
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": NOT_FOR_CLINICAL_USE,
        "slide_id": path.stem,
        "format": facts.format,
        "reader": facts.reader,
        "levels_px": [list(size) for size in facts.sizes_px],
        "objective_power": facts.objective_power,
        "spacing_um": None if info is None else [float(info.spacing.x), float(info.spacing.y)],
        "spacing_source": None if info is None else info.spacing_source,
        "can_be_measured": not facts.unmeasurable,
        "unmeasurable": facts.unmeasurable or None,
        "notes": [warning.message for warning in facts.warnings],
    }
