"""A reader's review of deposits and slides: applied to stored reports, the software's own result kept beside it."""

import math
from collections.abc import Sequence, Set
from dataclasses import replace

from nodescan.csv_rows import LARGEST_SIZE_UM, CsvRow
from nodescan.domain.classification import Metastasis, classify
from nodescan.domain.deposits import Deposit
from nodescan.domain.doubts import dispersed_flags
from nodescan.domain.lengths import size_in_mm
from nodescan.domain.naming import few
from nodescan.domain.report import FILE_SIGNS, Status
from nodescan.domain.units import Micrometers, SquareMicrometers
from nodescan.domain.verdict import conclude, deposit_flags
from nodescan.patients.applied import Applied, EarlierRows, by_row, is_before_scan, is_of_other_file
from nodescan.patients.correction_rows import Correction, Place
from nodescan.patients.deposit_places import (
    NEAR_UM,
    check_frame_of_added,
    check_on_slide,
    check_size_on_slide,
    deposit_at,
)
from nodescan.patients.reviewed_flags import contradictions, kept_flags, row_doubts
from nodescan.patients.whole_readings import as_read, check_fits, software_words
from nodescan.reports.report_reader import StoredReport

_UM_IN_MM = 1000
_SHRUNK = 20.0
_MM_LEAST = 0.5
"""A new size of less than a twentieth of the measured one, and in mm at least half of it, was meant in mm."""

_SIZE_AND_CLASS = ({"add", "class"}, {"resize", "class"})
"""Actions of two rows that may be of one deposit: more than 200 cells make 0.15 mm a micrometastasis."""


def apply_corrections(
    reports: Sequence[StoredReport], corrections: Sequence[Correction], *, earlier: Sequence[Applied]
) -> tuple[tuple[StoredReport, ...], tuple[Applied, ...]]:
    """The reports as reviewed, and what was done to each deposit, in the order of the rows.

    The class of a slide follows from the deposits that are left. An incomplete slide stays incomplete: a reader's
    deposit makes its class a lower bound. On a slide that got no class (another stain, a failure) only
    deposits that the reader named count. A row of a deposit's class may stand before or after that of its size.
    earlier: corrections of the stages that were made before. Raises UsageError where a row fits no slide or no deposit,
    or two rows contradict each other. The word of a reader who read a whole slide gives its class, see `as_read`.
    """
    reviews = {report.slide_id: _Review(report) for report in reports}
    known = by_row(earlier)
    done: dict[int, Applied] = {}
    for number, correction in sorted(enumerate(corrections), key=lambda one: one[1].action == "class"):
        if correction.slide_id not in reviews:
            raise correction.where.error(f"slide {correction.slide_id!r} has no report here; name its folder")
        done[number] = reviews[correction.slide_id].apply(correction, known)
    for number, correction in enumerate(corrections):  # once all that stands on its slide is known
        centre_um, review = done[number].centre_um, reviews[correction.slide_id]
        if correction.action == "add" and centre_um is not None:
            _check_apart(correction, centre_um, review.changed)
            check_frame_of_added(correction, review.original, review.named)
    applied = tuple(done[number] for number in range(len(corrections)))
    return tuple(reviews[report.slide_id].concluded() for report in reports), applied


class _Review:
    """The review of one slide, row by row. original: as the software found it; changed: as the rows so far leave it.

    named: the deposits that the rows name; vouched: those of them that the reader didn't reject.
    """

    def __init__(self, original: StoredReport) -> None:
        self.original = self.changed = original
        self.named: set[int] = set()
        self._vouched: set[int] = set()
        self._rows: dict[int, list[Correction]] = {}
        self._added: dict[int | Place | None, int] = {}
        self._reading: Correction | None = None
        self._outdated = self._other_file = False

    def apply(self, correction: Correction, earlier: EarlierRows) -> Applied:
        """What the row does. Raises UsageError where it is of another file, fits no deposit, or an earlier row was of
        the same one."""
        _check_file(correction, self.original)
        row = Applied(
            self.original.slide_id,
            deposit_id=None,
            action=correction.action,
            before="",
            after="",
            by=correction.by,
            comment=correction.comment,
            date="" if correction.day is None else correction.day.isoformat(),
            row_centre_um=correction.deposit if isinstance(correction.deposit, tuple) else None,
            slide_fingerprint=self.original.fingerprint,
            file=correction.file[:FILE_SIGNS],
        )
        applied = self._read(correction, row) if correction.action == "read" else self._correct(correction, row)
        before_scan = is_before_scan(correction, applied, self.original, earlier)
        applied = replace(applied, before_scan=before_scan, other_file=is_of_other_file(applied, earlier))
        self._outdated |= applied.before_scan
        self._other_file |= applied.other_file
        return applied

    def _correct(self, correction: Correction, row: Applied) -> Applied:
        """What a row of one deposit does."""
        target = self._target(correction)
        self._check_once(correction, target)
        check_size_on_slide(correction, self.original, target)
        found, before = (_deposit(target, report) for report in (self.original, self.changed))
        after = _added(target, correction) if before is None else _changed(before, correction)
        others = [deposit for deposit in self.changed.deposits if deposit is not before]
        kept = sorted(others if after is None else [*others, after], key=lambda deposit: -deposit.diameter_um)
        self.changed = replace(self.changed, deposits=tuple(kept))
        self.named.add(target)
        if correction.action != "reject":
            self._vouched.add(target)
        return replace(
            row,
            deposit_id=target,
            before=_words(found),
            after=_words(after),
            centre_um=after.centre_um if after is not None and found is None else None,
            found_centre_um=None if found is None else found.centre_um,
        )

    def _read(self, correction: Correction, row: Applied) -> Applied:
        """What the word on the whole slide does. It is of the glass, so no scan of that makes it out of date."""
        if self._reading is not None:
            raise correction.where.error(
                f"slide {correction.slide_id!r} is read in line {self._reading.where.line} already"
            )
        self._reading = correction
        assert correction.label is not None
        return replace(row, before=software_words(self.original), after=correction.label.word)

    def _target(self, correction: Correction) -> int:
        """The id of the deposit that a row means; a class at the very centre of one that was added means that."""
        added = self._added.get(correction.deposit) if correction.action in ("add", "class") else None
        target = _target(correction, self.changed, self.original) if added is None else added
        if correction.action == "add":
            self._added[correction.deposit] = target
        return target

    def _check_once(self, correction: Correction, target: int) -> None:
        """Raise UsageError where another row is of the same deposit, unless one gives its size, the other its class."""
        rows = self._rows.setdefault(target, [])
        for other in rows:
            if {other.action, correction.action} not in _SIZE_AND_CLASS:
                first, later = sorted((other, correction), key=lambda one: one.where.line)
                added = first.action == later.action == "add"
                what = "a deposit is added at this centre" if added else f"deposit {target} is corrected"
                raise later.where.error(f"{what} in line {first.where.line} already")
        rows.append(correction)

    def concluded(self) -> StoredReport:
        """The slide with the class that follows from its rows; as it was where there are none.

        Raises UsageError where a deposit contradicts the word on the whole slide.
        """
        if not self.named and self._reading is None:
            return self.original
        if self._reading is None:
            concluded = _concluded(self.changed, self.original, self._vouched)
        else:
            check_fits(self._reading, self._rows, self.changed)
            concluded = as_read(self.changed, self.original, reading=self._reading, vouched=self._vouched)
        doubts = row_doubts(self.original, before_scan=self._outdated, other_file=self._other_file)
        return replace(concluded, flags=(*doubts, *concluded.flags), accepted=frozenset(self._vouched))


def _check_file(correction: Correction, original: StoredReport) -> None:
    """Raise UsageError where the row names another file than the report is of: its reader saw another slide, or scan.

    A report without a fingerprint may be of any file.
    """
    found = original.fingerprint
    if not correction.file or (found and found.startswith(correction.file)):
        return
    slide, given = f"slide {correction.slide_id!r}", correction.file
    if not found:
        raise correction.where.error(
            f"file is {given}, but the report of {slide} has no fingerprint, so its file is not known: run the slide "
            "again, or leave file empty if the correction holds whatever the file"
        )
    raise correction.where.error(
        f"file is {given}, but the report of {slide} is of the file {found[: len(given)]}: the correction was made of "
        "another file. Look at the slide again, then write its file and what holds for it, or take the row out"
    )


def _target(correction: Correction, report: StoredReport, original: StoredReport) -> int:
    """The id of the deposit that a row means; a new one for add."""
    named, there = correction.deposit, [deposit.id for deposit in original.deposits]
    if isinstance(named, int):
        if named not in there:
            has = few(there, 5) or "none at all"
            raise correction.where.error(f"slide {original.slide_id!r} has no deposit {named}; it has {has}")
        return named
    assert named is not None
    check_on_slide(named, original, correction.where)
    if correction.action == "add":
        return max([deposit.id for deposit in report.deposits] + there, default=0) + 1
    return deposit_at(named, original, correction.where)


def _check_apart(correction: Correction, added_um: Place, changed: StoredReport) -> None:
    """Raise UsageError where a deposit is added at the centre of one that stands: it was meant to be resized."""
    there = [one.id for one in changed.deposits if math.dist(one.centre_um, added_um) < NEAR_UM / 2]
    if len(there) > 1:  # the added one is among them
        raise correction.where.error(
            f"deposit {min(there)} has this centre already; resize it, or reject it and add this one"
        )


def _check_unit(size_um: Micrometers, before: Deposit, where: CsvRow) -> None:
    """Raise UsageError for a new size that only makes sense in mm."""
    measured = before.diameter_um
    if size_um >= measured / _SHRUNK or not measured * _MM_LEAST <= size_um * _UM_IN_MM <= LARGEST_SIZE_UM:
        return
    raise where.error(
        f"value is {size_um:g} um, and the software measured {measured:.0f} um: is it in mm? Write sizes in um; "
        "a deposit that is something else altogether is rejected, and another added"
    )


def _deposit(number: int, report: StoredReport) -> Deposit | None:
    return next((deposit for deposit in report.deposits if deposit.id == number), None)


def _changed(before: Deposit, correction: Correction) -> Deposit | None:
    match correction.action:
        case "reject":
            return None
        case "resize":
            assert correction.size_um is not None
            _check_unit(correction.size_um, before, correction.where)
            size, exact = correction.size_um, Micrometers(0.0)
            resized = replace(before, diameter_um=size, diameter_uncertainty_um=exact, cut_off=False)
            return replace(resized, metastasis=resized.class_measured)
        case "class":
            assert correction.label is not None
            return replace(before, metastasis=correction.label, class_given=True)
        case _:
            return before


def _added(number: int, correction: Correction) -> Deposit:
    """A deposit that a reader measured: its shape isn't known, so its ends and area aren't either."""
    size_um, centre_um = correction.size_um, correction.deposit
    assert size_um is not None
    assert isinstance(centre_um, tuple)
    return Deposit(
        id=number,
        diameter_um=size_um,
        diameter_uncertainty_um=Micrometers(0.0),
        endpoints_um=(centre_um, centre_um),
        area_um2=SquareMicrometers(0.0),
        centre_um=centre_um,
        metastasis=classify(size_um),
        outline=(),
    )


def _concluded(changed: StoredReport, original: StoredReport, vouched: Set[int]) -> StoredReport:
    """The slide's status and class after the review. vouched: deposits that the reader named.

    Of a slide without a class only those are kept: neither class nor size rests on what nobody vouched for, but it is
    not forgotten. Where none is, what nobody rejected stays, and stays without a class.
    """
    classless = original.metastasis is None and original.deposits
    counting = [deposit for deposit in changed.deposits if not classless or deposit.id in vouched]
    left = [one.diameter_um for one in changed.deposits if classless and counting and one.id not in vouched]
    flags = (*kept_flags(changed, original), *deposit_flags(counting), *dispersed_flags(counting))
    verdict = conclude(counting, tissue_found=True, all_examined=True, classifiable=True)
    changed = replace(changed, deposits=tuple(counting) or changed.deposits, unclassed_um=max(left, default=None))
    worst = verdict.metastasis or Metastasis.NONE
    flags = (*flags, *contradictions(counting))
    if changed.status is Status.COMPLETE:
        return replace(changed, metastasis=worst, at_least=verdict.at_least, flags=flags)
    if worst is Metastasis.NONE:
        return replace(changed, metastasis=None, at_least=False, flags=flags)
    before = changed.status
    return replace(
        changed, status=Status.INCOMPLETE, before_review=before, metastasis=worst, at_least=True, flags=flags
    )


def _words(deposit: Deposit | None) -> str:
    if deposit is None:
        return ""
    return f"{deposit.metastasis.word}, {size_in_mm(deposit.diameter_um, deposit.diameter_uncertainty_um or None)}"
