"""What a stored report was made with, as far as it bears on findings: reports of one recipe may be scored together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import compress

from nodescan.domain.naming import few
from nodescan.domain.report import ModelIdentity, Provenance
from nodescan.domain.versions import RESULT_VERSION, own_settings

_MOST_NAMES = 3
HEX_SHOWN = 12
"""Characters of a sha256 that tell it from others to a reader."""


@dataclass(frozen=True, slots=True)
class MadeWith:
    """config_sha256: of the settings. Where no run made the report it is "", result_version 0, max_unread_percent None.

    What may not change a finding (device, precision, kinds of files) or belongs to the slide (its spacing) is not here.
    """

    model: ModelIdentity
    config_sha256: str = ""
    result_version: int = 0
    max_unread_percent: float | None = None

    @property
    def model_words(self) -> str:
        """The model by its name, and by what tells it from others of that name."""
        model = self.model
        rest = f"card {model.card_sha256[:HEX_SHOWN]}" if model.card_sha256 else f"threshold {model.threshold:g}"
        return f"{model.name} (weights {model.weights_sha256[:HEX_SHOWN]}, {rest})"

    @property
    def own_settings(self) -> str:
        """The sha256 of the settings where they are not the released ones, else ""."""
        return own_settings(self.config_sha256, self.result_version)

    @property
    def parts(self) -> tuple[str, ...]:
        """Model, settings, result version and limit of unread tissue in words."""
        limit = self.max_unread_percent
        return (
            f"model {self.model_words}",
            f"settings {self.config_sha256[:HEX_SHOWN] or 'not stated'}",
            f"result version {self.result_version or 'not stated'}",
            f"--max-unread {'not stated' if limit is None else f'{limit:g}'}",
        )


def made_with(model: ModelIdentity, provenance: Provenance | None) -> MadeWith:
    """What a report of this model and provenance was made with, without what of the model bears on no result."""
    judge = replace(model, found_from_um=None, smoothing_um=None, seed_threshold=None, uncertainty_measured=True)
    if provenance is None:
        return MadeWith(judge)
    return MadeWith(
        judge,
        config_sha256=provenance.config_sha256,
        result_version=provenance.result_version,
        max_unread_percent=None if provenance.asked is None else provenance.asked.max_unread_percent,
    )


def way_out(made: Iterable[MadeWith]) -> str:
    """What to do where these differ: nobody is sent to replace results of a newer version by those of this one."""
    if any(one.result_version > RESULT_VERSION for one in made):
        return "some are of a newer nodescan: use that one, for this one would replace its results by older ones"
    return "run the slides again with one --model, --config and --max-unread, which redoes those that differ"


def differences(made: Mapping[str, MadeWith]) -> str:
    """What tells reports that were not made alike apart, with some slides of each kind; "" where all were.

    made: by slide_id.
    """
    kinds: dict[tuple[str, ...], list[str]] = {}
    for slide_id in sorted(made):
        kinds.setdefault(made[slide_id].parts, []).append(slide_id)
    if len(kinds) < 2:
        return ""
    differs = [len(set(part)) > 1 for part in zip(*kinds, strict=True)]
    return "; ".join(
        f"{', '.join(compress(kind, differs))}: {few(slides, _MOST_NAMES)}" for kind, slides in kinds.items()
    )
