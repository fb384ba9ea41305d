"""Reports and the files that they are of: another file than the row's, one file in two nodes, or under two names."""

from collections.abc import Container, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from nodescan.domain.flags import Flag
from nodescan.domain.naming import few, slide_of_node
from nodescan.domain.patient import Staged
from nodescan.manifest import ManifestRow
from nodescan.patients.correction_rows import Correction
from nodescan.reports.report_reader import StoredReport
from nodescan.slides.files import fingerprint_here
from nodescan.slides.slide_ids import place_of

ANOTHER_FILE = "the report of that name is of another file: scan this one"
ANOTHER_PLACE = "the report of that name is of a file in another place, and this one is not there now: scan this one"

_NAMED = 5
"""So many names stand in a note."""


@dataclass(frozen=True, slots=True)
class RowFiles:
    """What the files of a manifest's rows, and the reports of them, say of one another.

    another: slide -> why its report is of another file. uncompared: slides whose file isn't there now, and was scanned
    in another place: it may have been moved since. copied: rows of several nodes whose reports are of copies of one
    file. twice: slide -> the names of reports of the same file that no row lists. It may be another patient's of an
    earlier manifest, so that one file counts for two; but a slide that was renamed leaves its old report there, too, so
    nothing is refused.
    """

    another: Mapping[str, str]
    uncompared: Set[str]
    copied: Sequence[Sequence[ManifestRow]]
    twice: Mapping[str, Sequence[str]]

    def apart(self, corrected: Container[str]) -> dict[str, str]:
        """Slide -> why its report may not count. corrected: slides with a reader's corrections."""
        reasons = {**self.another}
        for group in self.copied:
            for row in group:
                others = (other for other in group if _node(other) != _node(row))
                lost = "; until then its corrections have no effect" if row.slide_id in corrected else ""
                reasons[row.slide_id] = _copy_words(row, min(others, key=lambda other: other.slide_id)) + lost
        return reasons

    @property
    def told(self) -> tuple[str, ...]:
        """Which slides are of one file: for a terminal alone, where the names of several patients may meet."""
        several = (group for group in self.copied if len({row.facts.patient_id for row in group}) > 1)
        return (
            *(f"copies of one file: {'; '.join(map(_whose, group))}" for group in several),
            *(
                f"one file under several names: the file of slide {slide_id} was also reported as {few(names, _NAMED)}"
                for slide_id, names in self.twice.items()
            ),
        )

    def notes(self, staged: Staged) -> tuple[Flag, ...]:
        """For the page of a patient, which may be handed on alone, so it names nobody else: `told` does."""
        nodes = staged.specimen.nodes
        slides = {one.slide_id: slide_of_node(node.node_id, one.slide_id) for node in nodes for one in node.sections}
        lacking = [slide_id for slide_id in slides if slide_id in self.uncompared]
        whole = len(lacking) == len(slides)
        which = "Any of this patient's slides" if whole else f"These slides: {few(lacking, _NAMED)}"
        text = (
            f"{which} may be of another file than the report of that name. The files are not there now, and they lay "
            "elsewhere when they were scanned, so they could not be compared. Make the files of the manifest available "
            "and stage again, or check the paths."
        )
        same = (
            "the folder also holds a report of the same file under a name that this manifest doesn't list. If that "
            "name is another patient's slide, one of the two is the wrong file. If this slide was renamed, move the "
            "old report out of the folder."
        )
        return (
            *([Flag("file_not_compared", text)] if lacking else []),
            *(
                Flag("same_file_unlisted", f"{named}: {same}")
                for slide_id, named in slides.items()
                if slide_id in self.twice
            ),
        )

    def check_renamed(self, corrections: Sequence[Correction]) -> None:
        """Raise UsageError where a correction names a slide that no row lists, by the report of a file that one does.

        So it is where another slide of its name joined the manifest: both are called otherwise then, and the correction
        would change an old report that nobody is staged by.
        """
        for correction in corrections:
            now = next((slide_id for slide_id, names in self.twice.items() if correction.slide_id in names), None)
            if now is not None:
                raise correction.where.error(
                    f"slide {correction.slide_id!r} is not in the manifest, and its file is called {now!r} there: "
                    "write that name instead, and make sure that it means the same deposit"
                )


def compare_files(rows: Sequence[ManifestRow], reports: Mapping[str, StoredReport]) -> RowFiles:
    """Names such as 1.svs recur, files are copied, and slides renamed. reports: by slide."""
    another, uncompared = _of_other_files(rows, reports)
    own = {slide_id: report for slide_id, report in reports.items() if slide_id not in another}
    return RowFiles(another, uncompared, _copies(rows, own), _reported_twice(rows, own))


def _of_other_files(
    rows: Sequence[ManifestRow], reports: Mapping[str, StoredReport]
) -> tuple[dict[str, str], set[str]]:
    """`another` and `uncompared` of RowFiles.

    A file that is away is taken for the one that was reported where its place is the same. Where it isn't, an archive
    may have been moved whole; but not the file of a report that still lies where it was, or that another row names.
    """
    another: dict[str, str] = {}
    uncompared: set[str] = set()
    places = {row.slide_id: place_of(row.path) for row in rows if row.path is not None}
    known = {*places.values()}
    for row in rows:
        report = reports.get(row.slide_id)
        if row.path is None or report is None or not report.fingerprint:
            continue
        found = fingerprint_here(row.path)
        if found is not None:
            another |= {row.slide_id: ANOTHER_FILE} if found != report.fingerprint else {}
        elif report.place and report.place != places[row.slide_id]:
            if report.place in known or _still_lies(report.place, row.path):
                another[row.slide_id] = ANOTHER_PLACE
            else:
                uncompared.add(row.slide_id)
    return another, uncompared


def _still_lies(place: str, path: Path) -> bool:
    """Whether a file of this name is there in a folder beside that of `path`, and it has this place."""
    try:
        beside = sorted(path.parent.parent.iterdir())
    except OSError:
        return False
    return any(place_of(folder / path.name) == place and (folder / path.name).exists() for folder in beside)


def _copies(rows: Sequence[ManifestRow], reports: Mapping[str, StoredReport]) -> list[list[ManifestRow]]:
    alike: dict[tuple[str, float], list[ManifestRow]] = {}
    for row in rows:
        report = reports.get(row.slide_id) if row.has_slide and row.is_he else None
        if report is not None and report.fingerprint and report.tissue_area_mm2:
            alike.setdefault((report.fingerprint, report.tissue_area_mm2), []).append(row)
    return [group for group in alike.values() if len(set(map(_node, group))) > 1]


def _node(row: ManifestRow) -> tuple[str, ...]:
    facts = row.facts
    return (*facts.specimen, facts.node_id or f"\0{row.slide_id}")


def _copy_words(row: ManifestRow, other: ManifestRow) -> str:
    """As a patient's page has it, which names nobody else."""
    whose = _whose(other) if other.facts.patient_id == row.facts.patient_id else "another patient's slide"
    return (
        f"its file is a copy of that of {whose}, so one of the two is "
        "the wrong file: put the right one there and run it"
    )


def _whose(row: ManifestRow) -> str:
    node = f"node {row.facts.node_id} of " if row.facts.node_id else ""
    return f"slide {row.slide_id}, {node}patient {row.facts.patient_id}"


def _reported_twice(rows: Sequence[ManifestRow], reports: Mapping[str, StoredReport]) -> dict[str, list[str]]:
    listed = {row.slide_id for row in rows if row.has_slide}
    unlisted: dict[str, list[str]] = {}
    for slide_id in sorted(reports.keys() - listed):
        unlisted.setdefault(reports[slide_id].fingerprint, []).append(slide_id)
    prints = {slide_id: reports[slide_id].fingerprint for slide_id in sorted(listed & reports.keys())}
    return {slide_id: unlisted[of] for slide_id, of in prints.items() if of and of in unlisted}
