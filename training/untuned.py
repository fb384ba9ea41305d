"""The decision of a model that nothing was chosen for yet."""

from nodescan.inference.card import Decision

UNTUNED = Decision(
    smoothing_um=20.0,
    threshold=0.5,
    seed_threshold=0.5,
    size_correction_um=(),
    size_uncertainty_um=25.0,
    chosen_on="nothing: not tuned yet",
)
"""What a model starts with; the tuning commands replace it."""
