"""One slide as evidence on its lymph node, and several slides together; their sizes and classes are never added up."""

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
    """A reader's class for a whole slide. software: the software's own result, in words.

    size_at_least: the largest known size is a lower bound: the software measured it on a part of the slide, or a
    deposit is cut off.
    foci_known: the software examined the whole slide, and the reader's class leaves all its foci as they were.
    """

    by: str
    software: str
    size_at_least: bool = False
    foci_known: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One slide as evidence on its node.

    status: of the slide; a reader's review leaves it as it is.
    metastasis: None if nothing can be said.
    largest_um, foci: None if not known, as for a label given by hand.
    reason: why the slide isn't complete.
    missed: if unexamined tissue is the only reason: how much, and why, in short.
    doubts: what could change its class.
    unclassed_um: the largest deposit on a slide without a class, or the largest that a review which gave the class left
        undecided. It has no part in the stage, but "no tumour found" would be untrue.
    uncertainty_um: of largest_um, else of unclassed_um; None if not known or if a reader measured it.
    class_range: the lowest and the highest class that its sizes allow within their uncertainty; None: metastasis alone.
    cut_off: a deposit goes on where nobody looked, so even a slide that was read whole may be of any higher class.
    cut_off_macro: only macrometastases are cut off, whose class can't rise.
    may_be_less: the class may be lower, by a count of cells or by a doubt about sizes beyond their uncertainty.
    cut_off_up_to_um: how long a cut-off deposit may be whose class a reader gave; 0 without one.
    may_be_none: all that was found may be no tumour, because the model was trained on other tissue or the scan has a
        fault, and no reader accepted any of it.
    unaccepted: what the section says of its node rests on a deposit that may be no tumour.
    size_may_be_less: the largest deposit may be shorter, by a doubt beyond its uncertainty: about the pixel size, or
        about foci that run together.
    class_by_reader: a reader gave a deposit a class that is not that of its size as measured.
    judged: False if the network can't judge the slide, or saw none of its tissue, so that it counts as not read.
    decisive: the deposit that gives the class, in words, with its place; "" if not known.
    certain: the class that at least one node on it has, however foci are spread over its nodes; None: metastasis.
    left_out: its file was not read for the stage, or the slide was not run, so its status doesn't describe it.
    reading: of a reader; None if the class is the software's or that of deposits.
    pieces: how many pieces of tissue are large enough for a node's section; None if not known, or if a reader read the
        slide whole.
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
        """Whether it may hold a deposit longer than length_um, the largest measured size; None: not known.

        A slide that a reader read whole holds nothing above the reader's class, unless a measured size contradicts it.
        If no size was measured, there is no stated size to exceed.
        """
        if length_um is not None and self.beyond(length_um):
            return True
        longest_um = (self.metastasis or Metastasis.NONE).longest_um
        fits = length_um is not None and (self.largest_um or 0.0) <= longest_um <= length_um
        settled = self.reading is not None and fits
        return self._at_least_beside(length_um) and not settled

    def beyond(self, length_um: Micrometers | None) -> bool:
        """Whether it has a class but no size, and this class allows a deposit longer than length_um (None: of any
        length)."""
        longest_um = (self.metastasis or Metastasis.NONE).longest_um
        return self.largest_um is None and longest_um > (length_um or 0.0)

    @property
    def class_without_size(self) -> bool:
        """Whether a reader's class of it does not follow from the size of a deposit."""
        return self.reading is not None and bool(self.metastasis) and self.largest_um is None

    @property
    def may_rise(self) -> bool:
        """Whether a deposit may be of a higher class because it is cut off. Of several nodes, it may lie in any."""
        return self.cut_off and not self.cut_off_macro

    @property
    def readable(self) -> bool:
        """Whether something is known about it, from the scan or from a reader."""
        return self.judged and (self.metastasis is not None or not self.status.without_result)

    @property
    def unreadable(self) -> bool:
        """Whether reading was tried without success: the slide failed, or has no pixel size."""
        return self.status.without_result and not self.left_out and not self.readable

    @property
    def certain_class(self) -> Metastasis:
        """See `certain`; NONE where nothing can be said."""
        found = self.metastasis or Metastasis.NONE
        return found if self.certain is None else min(found, self.certain)

    @property
    def classes(self) -> tuple[Metastasis, Metastasis]:
        """The lowest and the highest class that its sizes allow; NONE if nothing can be said."""
        found = self.metastasis or Metastasis.NONE
        return self.class_range or (found, found)

    @property
    def least_class(self) -> Metastasis:
        """The lowest class possible, with doubts about sizes and about whether the findings are tumour."""
        if self.may_be_none:
            return Metastasis.NONE
        return min(self.classes[0], Metastasis.ITC) if self.may_be_less else self.classes[0]

    @property
    def borderline(self) -> bool:
        lowest, highest = self.classes
        return lowest is not highest


def with_largest(sections: Iterable[Section]) -> Section | None:
    """The section with the largest deposit; None if none was measured, or if a section without a size has a higher
    class.

    A section without a size and with the same class may still hold a larger deposit, see `Section.beyond`.
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
    """Properties of nodes and specimens that follow from their sections. A class is NONE also if nothing was read."""

    __slots__ = ()

    @property
    def largest_class(self: _HasSections) -> Metastasis:
        """The maximum over the sections, never a sum (clinical-rules 4, inferred)."""
        return max((section.metastasis or Metastasis.NONE for section in self.sections), default=Metastasis.NONE)

    @property
    def certain_class(self: _HasSections) -> Metastasis:
        """The class that at least one node has, however foci are spread over nodes that share a slide."""
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
        """Sections without a size whose class allows a larger deposit than any that was measured."""
        longest_um = max((one.largest_um for one in self.sections if one.largest_um is not None), default=None)
        beyond = [section for section in self.sections if section.beyond(longest_um)]
        highest = max((section.metastasis or Metastasis.NONE for section in beyond), default=None)
        return tuple(section for section in beyond if section.metastasis is highest)
