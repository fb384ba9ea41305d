"""What a model starts with before it is tuned, and what of an earlier tuning still holds."""

from pathlib import Path

from nodescan.domain.report import Untuned
from nodescan.errors import UsageError
from nodescan.inference.card import Decision, ModelCard

UNTUNED = Decision(
    smoothing_um=20.0,
    threshold=0.5,
    seed_threshold=0.5,
    size_correction_um=(),
    size_uncertainty_um=25.0,
    chosen_on="nothing: not tuned yet",
)
"""What a model starts with; the tuning commands replace it."""


def check_kept(card: ModelCard, folder: Path, *, part: str | None) -> None:
    """Raise UsageError where only a part is to be chosen anew, and what is kept was chosen for another card.

    part: what `tune --only` names; None: all is chosen anew. int8's ranges, say, measured under other colours, would be
    trusted by every scan.
    """
    if part is not None and card.untuned in (Untuned.EDITED, Untuned.NOT_NOTED):
        raise UsageError(
            f"{folder}: {card.untuned}, so what --only {part} keeps may not hold any more; "
            "put the card back as it was, or tune without --only"
        )
