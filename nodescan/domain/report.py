"""The report on one slide, and everything that a report writer gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit, Detection
from nodescan.domain.flags import NOT_JUDGED, STOPS_COMPLETE, Flag, codes_of
from nodescan.domain.maps import Picture, ProbabilityMap, TissueMask
from nodescan.domain.slide import SlideInfo, SlideRef
from nodescan.domain.units import Micrometers, Spacing
from nodescan.domain.versions import RESULT_VERSION, own_settings

NOT_FOR_CLINICAL_USE = "Research software: not for clinical use."

FILE_SIGNS = 12
"""A reader names a slide's file by so many first characters of its fingerprint: they are enough to be unique."""


class Status(StrEnum):
    """How far the slide got."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    UNMEASURABLE = "unmeasurable"
    FAILED = "failed"

    @property
    def without_result(self) -> bool:
        """Whether nothing can be said of the slide's class."""
        return self in (Status.UNMEASURABLE, Status.FAILED)


class Outcome(Enum):
    """What a slide's deposits and numbers are based on. Pages and tables print only what is meaningful in each case."""

    NOT_READ = auto()
    """The slide failed or can't be measured, and the network saw nothing of it."""
    NO_TISSUE = auto()
    """No tissue was found, so nothing was examined."""
    NOT_JUDGED = auto()
    """The network can't judge the slide; its deposits are areas that the network marked, no more."""
    NOTHING_EXAMINED = auto()
    """There was tissue, and the network saw none of it: all too blurred, too pale, under ink or unread."""
    JUDGED = auto()
    """The tissue was examined, all of it or in part."""


class Untuned(StrEnum):
    """In words, why it isn't known whether a model finds deposits."""

    NEVER = "not tuned, or failed on phantoms"
    EDITED = "its card was edited since it was tuned"


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which network judged the slide: enough to say whether two results may be compared.

    card_sha256: of everything on its card that can change a finding, "" for a network without a card.
    found_from_um: the network found every planted deposit, round or thin, from this diameter on; None if its card
    doesn't say, or says it about another card. Then no slide is complete, see `tuned`. The value itself changes no
    result.
    smoothing_um, seed_threshold: see DecisionRule; None for a network without a card. card_sha256 covers them.
    untuned: None if it is tuned, or if nobody said why not.
    uncertainty_measured: whether its card says on which deposits the width of "±" was measured; True for a network
    without a card.
    """

    name: str
    architecture: str
    weights_sha256: str
    threshold: float
    card_sha256: str = ""
    found_from_um: float | None = field(default=None, compare=False)
    smoothing_um: float | None = field(default=None, compare=False)
    seed_threshold: float | None = field(default=None, compare=False)
    untuned: Untuned | None = field(default=None, compare=False)
    uncertainty_measured: bool = field(default=True, compare=False)

    @property
    def tuned(self) -> bool:
        """Whether it is known to find deposits, from some size on."""
        return self.found_from_um is not None

    @property
    def why_untuned(self) -> Untuned | None:
        """None where it is tuned."""
        return None if self.tuned else self.untuned or Untuned.NEVER


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked to do with this slide, as far as that can change the report.

    slide_state: sha256 over name, size and time of change of the slide's files, "" where they couldn't be looked at.
    mpp_um: the spacing given, None for none. max_unread_percent: of the tissue; a slide with more of it unread is
    failed. reports: kinds of files. slide_place: tells the slide's path from others, "" where it isn't known.
    """

    slide_state: str
    slide_place: str
    mpp_um: float | None
    override_mpp: bool
    max_unread_percent: float
    reports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the result comes from. versions: package -> version, on a GPU of its libraries and driver too.

    slide_fingerprint: sha256 over sizes, ends and some blocks of the slide's files, "" where they aren't known. device
    and precision are recorded although they may not change a finding. started: ISO 8601, UTC. asked: None without a
    run.
    """

    versions: Mapping[str, str]
    config_sha256: str
    slide_fingerprint: str
    device: str
    precision: str
    started: str
    seconds: float
    result_version: int = RESULT_VERSION
    asked: Asked | None = None

    @property
    def own_settings(self) -> str:
        """The sha256 of the settings where they are not the released ones, else ""."""
        return own_settings(self.config_sha256, self.result_version)


@dataclass(frozen=True, slots=True)
class SlideReport:
    """The finding on one slide.

    metastasis is None where nothing can be said: failed, unmeasurable, or incomplete with nothing found.
    at_least: some tissue was not read, or a deposit is cut off, so the class is a lower bound. examined_fraction,
    unread_fraction: shares of the tissue area that were examined, and that the file could not give. tumour_probability:
    the slide's score in [0, 1]. analysis_spacing: of the frame the network saw. A slide that failed because too much of
    it was unread keeps the deposits that were found, but has no class. tissue_pieces: separate pieces of tissue that
    are large enough for a node's section; None where not known.
    """

    slide: SlideRef
    status: Status
    metastasis: Metastasis | None
    at_least: bool
    deposits: tuple[Deposit, ...] = ()
    detections: tuple[Detection, ...] = ()
    tumour_probability: float | None = None
    tissue_area_mm2: float | None = None
    examined_fraction: float | None = None
    flags: tuple[Flag, ...] = ()
    info: SlideInfo | None = None
    analysis_spacing: Spacing | None = None
    model: ModelIdentity | None = None
    provenance: Provenance | None = None
    unread_fraction: float | None = None
    tissue_pieces: int | None = None

    def __post_init__(self) -> None:
        if self.metastasis is Metastasis.NONE and self.status is not Status.COMPLETE:
            raise ValueError(f"{self.slide.slide_id}: a slide that is {self.status} is never called negative")
        stopped = codes_of(self.flags) & STOPS_COMPLETE
        if stopped and self.status is Status.COMPLETE and not self.read_whole:
            raise ValueError(f"{self.slide.slide_id}: no slide with {', '.join(sorted(stopped))} is complete")
        if self.status.without_result and self.metastasis is not None:
            raise ValueError(f"{self.slide.slide_id}: a slide that is {self.status} has no class")

    @property
    def fingerprint(self) -> str:
        """Of the slide file; "" where none was read."""
        return "" if self.provenance is None else self.provenance.slide_fingerprint

    @property
    def own_settings(self) -> str:
        """The sha256 of the settings where they are not the released ones, else ""."""
        return "" if self.provenance is None else self.provenance.own_settings

    @property
    def read_whole(self) -> bool:
        """Whether a reader gave the class of the whole slide: it is complete then, whatever was not examined."""
        return False

    @property
    def outcome(self) -> Outcome:
        """The first of Outcome that holds."""
        if self.status.without_result and not self.looked_at:
            return Outcome.NOT_READ
        if self._no_tissue:
            return Outcome.NO_TISSUE
        if codes_of(self.flags) & NOT_JUDGED:
            return Outcome.NOT_JUDGED
        return Outcome.JUDGED if self.looked_at else Outcome.NOTHING_EXAMINED

    @property
    def not_judged(self) -> bool:
        return self.outcome is Outcome.NOT_JUDGED

    @property
    def looked_at(self) -> bool:
        """Whether the network examined the slide at least in part, so that a list of findings has a meaning."""
        if self.examined_fraction is None:
            return not self.status.without_result
        return self.examined_fraction > 0 or bool(self.deposits) or self._no_tissue

    @property
    def _no_tissue(self) -> bool:
        return any(flag.code == "no_tissue" for flag in self.flags)

    @property
    def class_at_least(self) -> bool:
        """Whether the class, by sizes as measured, is a lower bound and not the highest class; see bound_holds()."""
        return self.at_least and self.metastasis is not None and self.metastasis < Metastasis.MACRO

    @property
    def largest_deposit_um(self) -> Micrometers | None:
        """None also if the deposits are no findings, see Outcome.NOT_JUDGED."""
        if self.not_judged:
            return None
        return max((deposit.diameter_um for deposit in self.deposits), default=None)

    @property
    def size_at_least(self) -> bool:
        """Whether the largest size is a lower bound: some tissue was not examined, or a deposit is cut off."""
        return self.status is not Status.COMPLETE or any(deposit.size_at_least for deposit in self.deposits)

    @property
    def n_foci(self) -> int:
        return len(self.deposits)

    @property
    def known_foci(self) -> int | None:
        """n_foci, or None if a number of foci, even 0, would be mistaken for a finding."""
        if self.not_judged:
            return None
        seen = self.outcome is Outcome.JUDGED and not self.status.without_result
        return self.n_foci if seen or self.deposits else None


@dataclass(frozen=True, slots=True)
class SlideResult:
    """The report and the arrays it was made from, handed to each writer; None for a slide that never opened.

    overview: whole slide at low magnification. close_ups: deposit id -> its surroundings at useful magnification.
    place_close_ups: of a slide without deposits, the same for its likeliest places; None for one that can't be read.
    fingerprint, precision: as Provenance has them, for whoever makes that.
    """

    report: SlideReport
    probability: ProbabilityMap | None = None
    tissue: TissueMask | None = None
    overview: Picture | None = None
    close_ups: Mapping[int, Picture] | None = None
    place_close_ups: tuple[Picture | None, ...] = ()
    fingerprint: str = ""
    precision: str = ""
