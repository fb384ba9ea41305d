"""The picture of a slide that failed, where one can still be had."""

from contextlib import closing
from dataclasses import replace

from nodescan.domain.maps import Picture
from nodescan.domain.slide import SlideRef
from nodescan.errors import SlideError, UnmeasurableError
from nodescan.interfaces import OpenSlideFile, Slide
from nodescan.overview import view_whole
from nodescan.scan_settings import OverviewSettings

_STAND_IN_UM = 0.5
"""Opens a slide without spacing, for its picture alone: nothing is measured in it and no scale is drawn."""


def glimpse(ref: SlideRef, *, open_slide: OpenSlideFile, settings: OverviewSettings) -> Picture | None:
    """The slide at low magnification, white where it can't be read; None where it can't be opened or read at all.

    Made of the slide's own pixels, never of the label or the macro image that a file may hold: they name patients.
    """
    try:
        with closing(_opened(ref, open_slide)) as slide:
            picture, unseen = view_whole(slide, settings)
    except SlideError:
        return None
    return None if unseen.all() else picture


def _opened(ref: SlideRef, open_slide: OpenSlideFile) -> Slide:
    try:
        return open_slide(ref)
    except UnmeasurableError:
        return open_slide(replace(ref, mpp_um=_STAND_IN_UM, override_mpp=True))
