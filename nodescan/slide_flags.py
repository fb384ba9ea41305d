"""The flags of a slide: what a reader must know beside its findings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nodescan.domain.classification import ITC_LIMIT_UM
from nodescan.domain.decision import DecisionRule
from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import dispersed_flags, joining_gap_flags
from nodescan.domain.flags import Flag
from nodescan.domain.lengths import two_digits
from nodescan.domain.maps import NotExamined, Picture, TissueMask
from nodescan.domain.naming import deposits_do, place_words
from nodescan.domain.report import ModelIdentity, Untuned
from nodescan.domain.verdict import class_found, deposit_flags, waist_flags, whole_flags
from nodescan.examination import Examination
from nodescan.imaging.components import components
from nodescan.imaging.cutting import as_cut_off, touches_edge, touches_unexamined
from nodescan.imaging.doubts import find_waists, gap_readings, larger_at_lower_threshold
from nodescan.imaging.quality import Stain, stain_of
from nodescan.imaging.segmentation import FoundFoci
from nodescan.imaging.tissue import large_exclusions
from nodescan.imaging.untrusted_areas import SMALLEST_SQUARE_MM2, PaleSettings, pale_cells
from nodescan.imaging.whole_map import MOST_ON_GLASS, glass_cells, is_constant
from nodescan.scan_settings import ScanSettings

_MEASURE = "Measure under the microscope, or scan what is missing."

_UNLIKE_HE = {
    Stain.DARK_GROUND: "the background is dark, as in a fluorescence scan",
    Stain.PALE: "the tissue is far too pale, as on a faded or hardly stained slide",
    Stain.COLOURLESS: "the tissue is nearly colourless, as in a greyscale scan",
    Stain.BROWN: "there is brown, as of an immunostain with DAB, brown ink, glue or pigment (haemosiderin, melanin)",
    Stain.NO_EOSIN: "no eosin was found, as on a slide with a haematoxylin counterstain only",
    Stain.NO_HAEMATOXYLIN: "no haematoxylin was found, as on a slide stained with eosin only",
}

_LEFT_OUT = {
    "pen": "{area} mm2 of pen marks were left out. Whatever they hide was not examined, and tissue under paler ink may "
    "not be judged well.",
    "edge": "{area} mm2 along slide edges, coverslip edges or scratches were left out and not examined.",
    "debris": "{area} mm2 of colourless material (dust, bubbles, smears) were left out and not examined.",
    "small": "{area} mm2 of specks too small to count as tissue fragments were left out and not examined.",
}


def tissue_flags(overview: Picture, tissue: TissueMask, settings: ScanSettings) -> tuple[Flag, ...]:
    """Flags from the overview: no tissue, areas left out, a stain that the network wasn't trained on."""
    if not tissue.tissue.any():
        none = Flag("no_tissue", "No tissue was found, so nothing was examined. Check the overview and the slide.")
        return (none, *_excluded_flags(tissue, settings))
    stain = stain_flags(overview, tissue, settings)
    return (*stain, *_excluded_flags(tissue, settings), *_unread_flags(tissue), *_cut_flags(tissue))


def stain_flags(overview: Picture, tissue: TissueMask, settings: ScanSettings) -> tuple[Flag, ...]:
    """A flag where the stain isn't haematoxylin and eosin."""
    stain = stain_of(overview.pixels, tissue, settings.quality)
    if stain is Stain.HE:
        return ()
    text = (
        f"The stain does not look like H&E: {_UNLIKE_HE[stain]}. The model was never taught this stain, so no class is "
        "given. Read the slide under the microscope."
    )
    return (Flag("not_he", text),)


def _excluded_flags(tissue: TissueMask, settings: ScanSettings) -> tuple[Flag, ...]:
    """One flag for each reason that left out an area worth a look."""
    return tuple(
        Flag(f"tissue_excluded_{reason}", _LEFT_OUT[reason].format(area=f"{area_mm2:.1f}"))
        for reason, area_mm2 in large_exclusions(tissue, settings.tissue)
    )


def _unread_flags(tissue: TissueMask) -> tuple[Flag, ...]:
    """Areas that the overview could not show count as tissue, so that they are examined, but most may be glass.

    Gaps in tissue that were never scanned aren't included: there was tissue.
    """
    if tissue.unread is None:
        return ()
    mm2 = int(np.count_nonzero(tissue.unread)) * tissue.spacing.pixel_area_um2 / 1e6
    area = f"{two_digits(mm2)} mm2"
    text = f"{area} can't be read at low magnification and count as tissue. The stated tissue area may be too large."
    return (Flag("overview_unreadable", text),)


def _cut_flags(tissue: TissueMask) -> tuple[Flag, ...]:
    """Tissue that ends at a line where the scan ends, or at a pen mark, is told: there may be more of it."""
    cut = Flag(
        "tissue_cut_off",
        "Tissue runs to an edge of the scanned area, so there may be more of it. Scan a larger area if the node goes "
        "on there.",
    )
    ink = Flag(
        "tissue_meets_ink",
        "Tissue runs into pen marks or other solid marks. There may be more tissue under them, which was not examined "
        "or can't be judged. Look at the slide there, or clean it and scan it again.",
    )
    return tuple(flag for flag, where in ((cut, tissue.cut), (ink, tissue.inked)) if where is not None)


_NOT_EXAMINED = {
    NotExamined.BLURRED: Flag(
        "out_of_focus",
        "is out of focus, or as even as fluid or colloid, and counts as not examined. Scan the slide again if it is "
        "out of focus. A new scan won't change fluid or colloid: look at it under the microscope.",
    ),
    NotExamined.UNREAD: Flag(
        "unread_tissue",
        "was not examined, because it could not be read from the file or was never scanned. Copy the file again, or "
        "scan the slide again.",
    ),
    NotExamined.HIDDEN: Flag(
        "tissue_under_ink",
        "lies under pen marks, or is as dark as they are (pigment, folds), and was not examined. Clean the slide and "
        "scan it again, or look at it under the microscope.",
    ),
    NotExamined.PALE: Flag(
        "too_pale",
        "is far too pale for the network (faded, hardly stained, overexposed, or without nuclei, such as collagen) and "
        "was not examined. Look at it under the microscope. Stain or scan it again if stain or light is the cause.",
    ),
    NotExamined.FAULTY: Flag(
        "badly_scanned",
        "was not examined: it is far too dark to be judged (underexposed, or too thick), or the scan repeats one line "
        "of pixels there. Scan the slide again, or look at it under the microscope.",
    ),
}
"""The flag of each reason, without the share of the tissue, in the order of a report."""


def examination_flags(examination: Examination) -> tuple[Flag, ...]:
    """What was not examined and why, and a network that answers the same everywhere."""
    flags = [
        replace(flag, message=f"{two_digits(100 * share)} % of the tissue {flag.message}")
        for reason, flag in _NOT_EXAMINED.items()
        if (share := examination.share_of(reason)) > 0
    ]
    if is_constant(examination.probability):
        text = (
            "The network gives the same answer everywhere, so its answer means nothing. Check the model and the slide."
        )
        flags.append(Flag("constant_output", text))
    return tuple(flags)


def small_pale_flags(examination: Examination, settings: PaleSettings) -> tuple[Flag, ...]:
    """Tissue that is too pale, in areas too small to count as not examined, and where the largest of them lies.

    From a single square on. Of 42 discs of 0.48 mm over real tissue, faded to 0.2 and 0.3, 42 and 41 are told, of 0.40
    mm 42 and 40; nothing is of that tissue as it is.
    """
    map_ = examination.probability
    seen = map_.examined | (examination.reasons == NotExamined.PALE)
    told = replace(settings, min_area_mm2=min(settings.min_area_mm2, SMALLEST_SQUARE_MM2))
    small = pale_cells(examination.shares, seen & examination.wanted, map_.spacing, told) & map_.examined
    if not small.any():
        return ()
    labels, count = components(small)
    cells = np.bincount(labels[small])
    rows, columns = np.nonzero(labels == cells.argmax())
    left_um, top_um = (0.0, 0.0) if map_.bounds is None else (map_.bounds.left, map_.bounds.top)
    x_um, y_um = (columns.mean() + 0.5) * map_.spacing.x, (rows.mean() + 0.5) * map_.spacing.y
    area = f"{two_digits(int(cells.max()) * map_.spacing.pixel_area_um2 / 1e6)} mm2"
    where = place_words((x_um - left_um, y_um - top_um), "what was scanned")
    start = f"An area of {area} ({where}) is" if count == 1 else f"{count} areas of up to {area} (largest: {where}) are"
    text = (
        f"{start} far too pale for the network, or without nuclei. Tumour may be missed there. Look at it under the "
        "microscope."
    )
    return (Flag("small_pale_area", text),)


def model_flags(model: ModelIdentity) -> tuple[Flag, ...]:
    """A flag for a model that isn't known to find deposits.

    Its thresholds are those that export wrote, were chosen for another card, or failed on phantoms.
    """
    why = model.why_untuned
    if why is None:
        return ()
    remedy = "Undo the edit or run" if why is Untuned.EDITED else "Run"
    text = (
        f"It is not known how small a deposit the model {model.name} finds ({why}), so tumour may be missed. {remedy} "
        "python -m training tune from a checkout and scan again, or use another model."
    )
    return (Flag("model_not_tuned", text),)


@dataclass(frozen=True, slots=True)
class CutOff:
    """Ids of the deposits that end where tissue was not examined, and where nothing was scanned or ink begins."""

    by_unexamined: tuple[int, ...]
    by_edge: tuple[int, ...]

    def marked(self, deposits: Sequence[Deposit], rule: DecisionRule) -> tuple[Deposit, ...]:
        """All of the deposits; those cut off are marked, and their sizes less sure: see as_cut_off()."""
        ids = {*self.by_unexamined, *self.by_edge}
        return tuple(as_cut_off(one, rule) if one.id in ids else one for one in deposits)


def mark_cut_off(
    deposits: Sequence[Deposit], examination: Examination, tissue: TissueMask, *, rule: DecisionRule
) -> tuple[tuple[Deposit, ...], CutOff]:
    """The deposits, with those marked that may go on where nobody looked, and the ids of these."""
    map_, wanted = examination.probability, examination.wanted
    uncertain = () if examination.complete else deposits
    cut = CutOff(
        tuple(deposit.id for deposit in uncertain if touches_unexamined(deposit, map_, wanted=wanted, rule=rule)),
        tuple(deposit.id for deposit in deposits if touches_edge(deposit, tissue, map_, rule=rule)),
    )
    return cut.marked(deposits, rule), cut


def finding_flags(
    deposits: Sequence[Deposit], cut: CutOff, foci: FoundFoci, examination: Examination, tissue: TissueMask
) -> tuple[Flag, ...]:
    """What is said of the deposits, and of the foci that they were made of."""
    at_edges = edge_and_glass_flags(deposits, cut, examination, tissue, rule=foci.rule)
    return (*at_edges, *deposit_flags(deposits), *pattern_flags(deposits, foci))


def edge_and_glass_flags(
    deposits: Sequence[Deposit], cut: CutOff, examination: Examination, tissue: TissueMask, *, rule: DecisionRule
) -> tuple[Flag, ...]:
    """Deposits that end where nothing was examined or scanned, and tumour where there is next to no tissue."""
    map_ = examination.probability
    edge = (
        "at the edge of what was scanned" if tissue.inked is None else "at a pen mark or the edge of what was scanned"
    )
    flags = [
        Flag("deposit_cut_off", f"{deposits_do(ids, lie)} {where} and may be larger. {_MEASURE}")
        for ids, lie, where in (
            (cut.by_unexamined, "border", "on tissue that was not examined"),
            (cut.by_edge, "lie", edge),
        )
        if ids
    ]
    positive = map_.examined & (map_.values >= rule.threshold)
    if deposits and positive.any():
        on_glass = float(glass_cells(tissue, map_)[positive].mean())
        if on_glass > MOST_ON_GLASS:
            text = (
                f"{100 * on_glass:.0f} % of the area marked as tumour lies on glass, so the model may not suit this "
                "slide. Check the outlines."
            )
            flags.append(Flag("tumour_on_glass", text))
    return tuple(flags)


def pattern_flags(deposits: Sequence[Deposit], foci: FoundFoci) -> tuple[Flag, ...]:
    """Many small foci spread wide, a class that depends on whether near foci are one, and foci that may have run
    together.

    foci: what the deposits were made of. Cells of joined foci aren't counted again, but joining never lowers the class
    that was found. Foci that the settings' gap joined have, taken apart, no higher class by cells than was counted.
    """
    own_gap_um = foci.settings.joining_gap_um
    readings = gap_readings(foci, found=deposits)
    small = [deposit for deposit in deposits if deposit.diameter_um <= ITC_LIMIT_UM]
    joined, apart = class_found(deposits), class_found(small)
    raised = [
        replace(reading, metastasis=max(reading.metastasis, joined if reading.gap_um >= own_gap_um else apart))
        for reading in readings
    ]
    waists = waist_flags(deposits, find_waists(deposits, joining_gap_um=own_gap_um))
    wholes = larger_at_lower_threshold(foci, found=deposits)
    flags = (*dispersed_flags(deposits), *joining_gap_flags(raised), *whole_flags(deposits, wholes), *waists)
    if own_gap_um > 0 and deposits:
        asked = f"The settings join foci up to {own_gap_um:g} µm apart, so a size may span several foci."
        flags = (*flags, Flag("foci_joined", asked))
    return flags
