"""The spacing that a slide is measured with: the file's if plausible, else the user's, never a guess."""

from dataclasses import dataclass

from nodescan.domain.flags import Flag
from nodescan.domain.naming import percent_above
from nodescan.domain.slide import COARSEST_UM, FINEST_UM, SlideRef, SpacingSource
from nodescan.domain.units import Spacing
from nodescan.errors import UnmeasurableError
from nodescan.slides.stated_spacing import AGREEMENT, FileSpacing, is_scanner_spacing


@dataclass(frozen=True, slots=True)
class ChosenSpacing:
    """Spacing of level 0, where it came from, and what must be told of it."""

    spacing: Spacing
    source: SpacingSource
    warnings: tuple[Flag, ...] = ()


def agrees(given_um: float, spacing: Spacing) -> bool:
    """Whether a given um/px is a file's own, rounded."""
    return abs(given_um / spacing.mean - 1) <= AGREEMENT + 1e-9


def choose_spacing(stated: FileSpacing, ref: SlideRef) -> ChosenSpacing:
    """The spacing to measure with. Raises UnmeasurableError where there is none to trust, or two that contradict."""
    name, given_um = ref.path.name, ref.mpp_um
    plausible = stated.plausible
    if given_um is None:
        if plausible is None:
            raise _unmeasurable(stated, ref)
        return ChosenSpacing(plausible, stated.source)
    if not is_scanner_spacing(given_um):
        raise UnmeasurableError(
            name,
            f"the given pixel size of {given_um:.4g} um/px can't be a slide scanner's",
            f"give the um/px of the full resolution, between {FINEST_UM} and {COARSEST_UM}",
        )
    if stated.may_be_filled(given_um):
        return ChosenSpacing(Spacing.square(given_um), SpacingSource.USER, _replaced_absurd(stated, given_um))
    if plausible is not None and agrees(given_um, plausible):
        return ChosenSpacing(plausible, stated.source)
    if not ref.override_mpp:
        raise _unmeasurable(stated, ref) if plausible is None else _contradicted(stated, plausible, ref)
    message = (
        f"Measured with the given {given_um:.4g} um/px instead of the file's {stated}. Every size depends on this "
        "number: make sure that it is right."
    )
    return ChosenSpacing(Spacing.square(given_um), SpacingSource.OVERRIDE, (Flag("spacing_overridden", message),))


def _contradicted(stated: FileSpacing, plausible: Spacing, ref: SlideRef) -> UnmeasurableError:
    """The error for a slide whose file states another spacing, `plausible`, than was given for it."""
    assert ref.mpp_um is not None
    source, remedy = "was given with --mpp", "leave out --mpp, or add --override-mpp if the file is wrong"
    if ref.mpp_listed:
        source, override = "stands in the manifest's column mpp", f"--mpp {ref.mpp_um:g} --override-mpp"
        remedy = (
            f"empty this slide's mpp; if the file is wrong, empty it and give {override}, which rules every slide "
            "without an mpp of its own"
        )
    off = percent_above(abs(ref.mpp_um / plausible.mean - 1), AGREEMENT)
    return UnmeasurableError(
        ref.path.name,
        f"the file states a pixel size of {stated}, but {ref.mpp_um:.4g} {source}; they differ by {off}, and so would "
        "every size",
        remedy,
    )


def _replaced_absurd(stated: FileSpacing, given_um: float) -> tuple[Flag, ...]:
    if stated.missing:
        return ()
    message = (
        f"The file's pixel size of {stated} is {_why_not(stated)}. Measured with the given {given_um:.4g} um/px "
        "instead; make sure that this number is right."
    )
    return (Flag("spacing_absurd_in_file", message),)


def _unmeasurable(stated: FileSpacing, ref: SlideRef) -> UnmeasurableError:
    """The error for a slide whose file states no one spacing to trust. A manifest's column mpp overrides none."""
    reason, remedy, overrides = _reason(stated, ref.mpp_um)
    if overrides and ref.mpp_listed:
        remedy = f"{remedy}; for --override-mpp, empty this slide's mpp in the manifest"
    return UnmeasurableError(ref.path.name, reason, remedy)


def _why_not(stated: FileSpacing) -> str:
    """What is wrong with a spacing that isn't missing."""
    return "what programs write when they don't know it" if stated.stand_in else "absurd"


def _reason(stated: FileSpacing, given_um: float | None) -> tuple[str, str, bool]:
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
    reason = f"the file's pixel size of {stated} is {_why_not(stated)}"
    if stated.missing:
        reason = "the file doesn't say how large its pixels are"
    return f"{reason}, so nothing can be measured", "give the um/px of the full resolution with --mpp UM", False
