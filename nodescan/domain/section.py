"""One slide as evidence on the lymph node that it is a section of, and what several say: nothing is added up."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.flags import Flag
from nodescan.domain.report import Status
from nodescan.domain.staging import FociCounts
from nodescan.domain.units import Micrometers


@dataclass(frozen=True, slots=True)
class WholeReading:
    """A reader's word on a whole slide, which gives its class. software: what the software alone says of it, in words.

    size_at_least: the software measured the largest deposit that is known, and saw a part of the slide or of a deposit.
    foci_known: the reader's class leaves all foci as the software found them on the whole slide.
    """

    by: str
    software: str
    size_at_least: bool = False
    foci_known: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One slide as evidence on its node.

    status: of the slide, which a reader's review leaves as it is. metastasis: None where nothing can be said. reason:
    why the slide isn't complete. foci, largest_um: None where not known, as for a label given by hand. doubts: what
    could change its class. unclassed_um: the largest deposit on a
    slide that got no class, or of which a review that gave it one said nothing; it has no part in the stage, but "no
    tumour found" would be untrue. uncertainty_um: of largest_um, else of unclassed_um, None where not known or a reader
    measured it. class_range: the lowest and the highest
    class that its sizes allow within their uncertainty; None: metastasis alone. cut_off: a deposit goes on where nobody
    looked, so a slide that was read whole may yet be of any higher class. cut_off_macro: so do macrometastases alone,
    which can rise no further. may_be_less: a doubt about sizes that no uncertainty tells, or a count of
    cells, leaves a lower class open.
    missed: where reason is no more than tissue that was not examined: how much of it, and why, in short.
    cut_off_up_to_um: how long a deposit may be that is cut off, and of which a reader gave the class; 0 without one.
    class_by_reader: a reader gave a deposit a class that is not that of its size as measured.
    may_be_none: all that was found may be no tumour, since the model was trained on other tissue, or the scan has a
    fault; no reader accepted any of it. unaccepted: what it says of its node rests on a deposit that may be none.
    size_may_be_less: a doubt that no uncertainty tells, of the pixel size or of foci that run together, leaves a
    shorter largest deposit open.
    judged: False where the network can't judge it, or saw none of its tissue, so that it counts as not read. decisive:
    the deposit that gives it its class, in words, with its place; "" where not known. certain: the class that one of
    the nodes on it has, whichever of them its foci lie in; None: metastasis. left_out: its file was not read for the
    stage, as one that was not run, so its status doesn't tell of it. reading: that of a reader, None where the class is
    the software's or that of deposits. pieces: of tissue, each large enough for a node's section; None where not known,
    and where a reader read the slide whole.
    """

    slide_id: str
    status: Status
    metastasis: Metastasis | None
    largest_um: Micrometers | None = None
    foci: FociCounts | None = None
    nodes_on_slide: int = 1
    reason: str = ""
    doubts: tuple[Flag, ...] = ()
    unclassed_um: Micrometers | None = None
    uncertainty_um: Micrometers | None = None
    class_range: tuple[Metastasis, Metastasis] | None = None
    cut_off: bool = False
    cut_off_macro: bool = False
    cut_off_up_to_um: float = 0.0
    may_be_less: bool = False
    may_be_none: bool = False
    unaccepted: bool = False
    size_may_be_less: bool = False
    class_by_reader: bool = False
    missed: str = ""
    judged: bool = True
    decisive: str = ""
    certain: Metastasis | None = None
    left_out: bool = False
    reading: WholeReading | None = None
    pieces: int | None = None

    def __post_init__(self) -> None:
        if self.metastasis is Metastasis.NONE and not self.complete:
            raise ValueError(f"{self.slide_id}: a slide that is {self.status} is never called negative")
        lowest, highest = self.classes
        if not lowest <= (self.metastasis or Metastasis.NONE) <= highest:
            raise ValueError(f"{self.slide_id}: its class lies outside the range that its sizes allow")
        if self.nodes_on_slide < 1:
            raise ValueError(f"{self.slide_id}: a slide shows at least one node, not {self.nodes_on_slide}")

    @property
    def complete(self) -> bool:
        """Whether the software, or a reader, examined all of it."""
        read = self.status is Status.COMPLETE or self.reading is not None
        return read and self.metastasis is not None

    @property
    def n_shown(self) -> int:
        """How many nodes it shows: no more than pieces of tissue, for another may lie outside the scan (inferred)."""
        return self.nodes_on_slide if self.pieces is None else min(self.nodes_on_slide, max(self.pieces, 1))

    @property
    def class_at_least(self) -> bool:
        """Whether it may be of a higher class than was found, whatever the uncertainty of sizes."""
        return not self.complete or (self.cut_off and self.metastasis is not Metastasis.MACRO)

    @property
    def size_at_least(self) -> bool:
        """Whether the largest size is a lower bound."""
        return self._at_least_beside(self.largest_um)

    def _at_least_beside(self, length_um: Micrometers | None) -> bool:
        """Whether it may hold a larger deposit than of this length, as it or a deposit was not seen whole."""
        in_part = not self.complete or (self.reading is not None and self.reading.size_at_least)
        return in_part or self.cut_off or self.cut_off_up_to_um > (length_um or 0.0)

    def may_exceed(self, length_um: Micrometers | None) -> bool:
        """Whether it may hold a larger deposit than any measured, where the largest has this length; None: not known.

        A slide that was read whole holds none beyond the reader's class, unless that goes against a size. Where none
        was measured, what has a class without a size exceeds nothing that is stated.
        """
        if length_um is not None and self.beyond(length_um):
            return True
        longest_um = (self.metastasis or Metastasis.NONE).longest_um
        fits = length_um is not None and (self.largest_um or 0.0) <= longest_um <= length_um
        settled = self.reading is not None and fits
        return self._at_least_beside(length_um) and not settled

    def beyond(self, length_um: Micrometers | None) -> bool:
        """Whether it has a class, but no size, by which it may hold a larger deposit than of this length; None: any."""
        longest_um = (self.metastasis or Metastasis.NONE).longest_um
        return self.largest_um is None and longest_um > (length_um or 0.0)

    @property
    def class_without_size(self) -> bool:
        """Whether a reader's class of it does not follow from the size of a deposit."""
        return self.reading is not None and bool(self.metastasis) and self.largest_um is None

    @property
    def may_rise(self) -> bool:
        """Whether a deposit may be of a higher class, being cut off: in which node of several it lies is not known."""
        return self.cut_off and not self.cut_off_macro

    @property
    def readable(self) -> bool:
        """Whether something is known of it: what was scanned of it, or what a reader said."""
        return self.judged and (self.metastasis is not None or not self.status.without_result)

    @property
    def unreadable(self) -> bool:
        """Whether it was tried in vain: the slide failed, or has no scale to measure by."""
        return self.status.without_result and not self.left_out and not self.readable

    @property
    def certain_class(self) -> Metastasis:
        """See `certain`; NONE where nothing can be said."""
        found = self.metastasis or Metastasis.NONE
        return found if self.certain is None else min(found, self.certain)

    @property
    def classes(self) -> tuple[Metastasis, Metastasis]:
        """The lowest and the highest class that it can have by its sizes; NONE where nothing can be said."""
        found = self.metastasis or Metastasis.NONE
        return self.class_range or (found, found)

    @property
    def least_class(self) -> Metastasis:
        """The lowest class that its sizes and the doubts about them allow, and whether what was found is tumour."""
        if self.may_be_none:
            return Metastasis.NONE
        return min(self.classes[0], Metastasis.ITC) if self.may_be_less else self.classes[0]

    @property
    def borderline(self) -> bool:
        lowest, highest = self.classes
        return lowest is not highest


def with_largest(sections: Iterable[Section]) -> Section | None:
    """The section with the largest deposit; None where none was measured, or one without a size has a higher class.

    One without a size that has the same class may hold a larger deposit, see `Section.beyond`.
    """
    known = list(sections)
    sized = [(section.largest_um, section) for section in known if section.largest_um is not None]
    largest_um, largest = max(sized, key=lambda one: one[0], default=(None, None))
    unsized = [section.metastasis or Metastasis.NONE for section in known if section.beyond(largest_um)]
    return None if largest_um is None or max(unsized, default=Metastasis.NONE) > classify(largest_um) else largest


class _HasSections(Protocol):
    @property
    def sections(self) -> tuple[Section, ...]: ...


class Evidence:
    """What a node and a specimen alike have of their sections; NONE also where nothing was read."""

    __slots__ = ()

    @property
    def largest_class(self: _HasSections) -> Metastasis:
        """The maximum over the sections, never a sum (clinical-rules 4, inferred)."""
        return max((section.metastasis or Metastasis.NONE for section in self.sections), default=Metastasis.NONE)

    @property
    def certain_class(self: _HasSections) -> Metastasis:
        """The class that one node has, whichever of those on a slide the foci lie in."""
        return max((section.certain_class for section in self.sections), default=Metastasis.NONE)

    @property
    def cut_off(self: _HasSections) -> bool:
        """Whether a deposit may be larger, whatever was examined."""
        return any(section.cut_off for section in self.sections)

    @property
    def largest(self: _HasSections) -> Section | None:
        """The section with the largest deposit, None where that isn't known."""
        return with_largest(self.sections)

    @property
    def unsized(self: _HasSections) -> tuple[Section, ...]:
        """Sections with a class, but no size, that may hold a larger deposit than any that was measured."""
        longest_um = max((one.largest_um for one in self.sections if one.largest_um is not None), default=None)
        beyond = [section for section in self.sections if section.beyond(longest_um)]
        highest = max((section.metastasis or Metastasis.NONE for section in beyond), default=None)
        return tuple(section for section in beyond if section.metastasis is highest)
