"""What a reader of a slide's report has to be told beside its findings, flag by flag."""

from collections.abc import Sequence
from dataclasses import replace

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import dispersed_flags, joining_gap_flags
from nodescan.domain.maps import Picture, TissueMask
from nodescan.domain.report import Flag
from nodescan.domain.slide import BoundsUm
from nodescan.domain.verdict import conclude
from nodescan.examination import Examination
from nodescan.imaging.decisive import MOST_ON_GLASS, glass_cells, is_constant
from nodescan.imaging.joining import gap_readings
from nodescan.imaging.quality import focus_flags, stain_flags
from nodescan.imaging.segmentation import touches_edge, touches_unexamined
from nodescan.imaging.tissue import excluded_flags
from nodescan.interfaces import TilePredictor
from nodescan.scan_settings import ScanSettings


def tissue_flags(overview: Picture, tissue: TissueMask, settings: ScanSettings) -> tuple[Flag, ...]:
    """What the overview says: no tissue, areas left out, a stain that the network wasn't taught."""
    if not tissue.tissue.any():
        none = Flag("no_tissue", "No tissue was found, so nothing was examined; see the overview and check the slide.")
        return (none, *excluded_flags(tissue, settings.tissue))
    stain = stain_flags(overview.pixels, tissue, settings.quality)
    return (*stain, *excluded_flags(tissue, settings.tissue))


def examination_flags(examination: Examination) -> tuple[Flag, ...]:
    """What was not examined and why, and a network that answers the same everywhere."""
    flags = list(focus_flags(examination.blurred_fraction))
    if examination.unread_fraction > 0:
        share = f"{100 * examination.unread_fraction:.2g} %"
        flags.append(
            Flag("unread_tissue", f"{share} of the tissue could not be read from the file and was not examined.")
        )
    if examination.hidden_fraction > 0:
        share = f"{100 * examination.hidden_fraction:.2g} %"
        text = f"{share} of the tissue lies under pen marks and was not examined: clean the slide and scan it again."
        flags.append(Flag("tissue_under_ink", text))
    if is_constant(examination.probability):
        text = "The network answers the same everywhere, so its answer means nothing: check the model and the slide."
        flags.append(Flag("constant_output", text))
    return tuple(flags)


def edge_and_glass_flags(
    deposits: Sequence[Deposit],
    examination: Examination,
    tissue: TissueMask,
    *,
    predictor: TilePredictor,
    bounds: BoundsUm,
) -> tuple[Flag, ...]:
    """Deposits that end where nothing was examined or scanned, and tumour where there is next to no tissue."""
    map_, rule = examination.probability, predictor.decision
    uncertain = () if examination.complete else deposits
    beside = [
        deposit.id for deposit in uncertain if touches_unexamined(deposit, map_, wanted=examination.wanted, rule=rule)
    ]
    at_edge = [deposit.id for deposit in deposits if touches_edge(deposit, bounds, map_, rule=rule)]
    flags = [
        Flag("deposit_cut_off", f"Deposit(s) {', '.join(map(str, cut[:8]))} {where} and may be larger.")
        for cut, where in (
            (beside, "border on tissue that was not examined"),
            (at_edge, "lie at the edge of what was scanned"),
        )
        if cut
    ]
    positive = map_.examined & (map_.values >= rule.threshold)
    if deposits and positive.any():
        on_glass = float(glass_cells(tissue, map_)[positive].mean())
        if on_glass > MOST_ON_GLASS:
            text = f"{100 * on_glass:.0f} % of what was called tumour lies on glass: the model may not suit this slide."
            flags.append(Flag("tumour_on_glass", text))
    return tuple(flags)


def pattern_flags(
    deposits: Sequence[Deposit], examination: Examination, predictor: TilePredictor, settings: ScanSettings
) -> tuple[Flag, ...]:
    """Many small foci spread wide, and a class that hangs on whether near foci are one.

    Foci that were joined aren't counted anew, but joining never lowers the class that counts gave.
    """
    readings = gap_readings(examination.probability, predictor.decision, settings.segmentation, found=deposits)
    found = conclude(deposits, tissue_found=True, all_examined=True, classifiable=True).metastasis or Metastasis.NONE
    raised = [replace(reading, metastasis=max(reading.metastasis, found)) for reading in readings]
    return (*dispersed_flags(deposits), *joining_gap_flags(raised))
