"""What makes a slide unfit to learn from though it opens: outlines drawn on other pixels than those that are taught."""

from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.units import Spacing
from nodescan.errors import SlideError
from nodescan.interfaces import Slide
from nodescan.level_check import LEAST_LIKENESS, likeness_of_levels
from nodescan.spacing_check import begin_spacing_check


def check_sound(slide: Slide, overview: Picture, tissue: TissueMask, frame: Spacing) -> tuple[str, ...]:
    """What must be known of a slide's pixel size, held against its cell nuclei as a scan does it.

    frame: the spacing that patches are taken at. Raises SlideError where the level at that spacing shows another
    picture than the full resolution, on which outlines are drawn: a scan gives such a slide no class.
    """
    like = likeness_of_levels(slide, overview, tissue, frame)
    if like is not None and like < LEAST_LIKENESS:
        reason = (
            "the magnification that patches are taken from shows another picture than the full resolution, on which it "
            "is outlined; export the slide again, or write yes into its `excluded`"
        )
        raise SlideError(slide.ref.path.name, reason)
    return tuple(flag.message for flag in begin_spacing_check(slide, overview, tissue)())
