"""Why no size can be told from the spacing that a slide's file states, and what its user can do."""

from typing import TYPE_CHECKING

from nodescan.domain.slide import SlideRef
from nodescan.errors import UnmeasurableError

if TYPE_CHECKING:  # spacing.py, where these are chosen between, imports this module
    from nodescan.slides.spacing import FileSpacing


def unmeasurable(stated: "FileSpacing", ref: SlideRef) -> UnmeasurableError:
    """The error for a slide whose file states no one spacing to trust. A manifest's column mpp overrides none."""
    reason, remedy, overrides = _reason(stated, ref.mpp_um)
    if overrides and ref.mpp_listed:
        remedy = f"{remedy}; for --override-mpp, empty this slide's mpp in the manifest"
    return UnmeasurableError(ref.path.name, reason, remedy)


def why_not(stated: "FileSpacing") -> str:
    """What is wrong with a spacing that isn't missing."""
    return "what programs write when they don't know it" if stated.stand_in else "absurd"


def _reason(stated: "FileSpacing", given_um: float | None) -> tuple[str, str, bool]:
    """What is wrong, what to do, and whether that may be to override the file."""
    if stated.against is not None:
        return (
            f"the file states {stated}; only one can be right, and every size depends on it",
            "find out which is right, and give it with --mpp UM --override-mpp",
            True,
        )
    if stated.uneven:
        return (
            f"the file states {stated}; x and y differ by more than a scanner's do, so no single number fits both",
            "fix the resolution in the file's tags or export the slide again; --mpp needs --override-mpp here, and is "
            "right only if the pixels are square",
            True,
        )
    if stated.reduced_from(given_um):
        missing, remedy = (
            ("the file of the full resolution", "put it beside this one, or export the slide again")
            if stated.of_pixels  # a DICOM slide is several files, any other has its levels in one
            else ("the full resolution", "export the slide again with it")
        )
        return (
            f"the file holds only reduced levels ({stated}); {missing} is missing",
            f"{remedy}; --mpp needs --override-mpp here, and is right only if the file is wrong",
            True,
        )
    reason = f"the file's pixel size of {stated} is {why_not(stated)}"
    if stated.missing:
        reason = "the file doesn't say how large its pixels are"
    return f"{reason}, so nothing can be measured", "give the um/px of the full resolution with --mpp UM", False
