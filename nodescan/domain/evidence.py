"""What several sections say of the nodes that they show: the largest decides, nothing is added up."""

from typing import Protocol

from nodescan.domain.classification import Metastasis
from nodescan.domain.section import Section, with_largest


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
