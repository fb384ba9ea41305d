"""A reader's word on a whole slide: it gives the slide its class, and the software's result stays beside it."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from nodescan.domain.class_bounds import class_word
from nodescan.domain.classification import Metastasis
from nodescan.domain.deposits import Deposit, largest_class
from nodescan.domain.flags import DOUBTS, OF_OTHER_NODES, Flag
from nodescan.domain.lengths import size_in_mm
from nodescan.domain.report import Status
from nodescan.domain.section import WholeReading
from nodescan.domain.verdict import class_found, deposit_flags, highest_class
from nodescan.patients.correction_rows import Correction
from nodescan.patients.reviewed_flags import contradictions, kept_flags
from nodescan.reports.report_reader import StoredReport


def software_words(original: StoredReport) -> str:
    """What the software alone says of a slide: "no class, failed"."""
    return f"{class_word(original)}, {original.status.value}"


def check_fits(reading: Correction, rows: Mapping[int, Sequence[Correction]], changed: StoredReport) -> None:
    """Raise UsageError where a deposit that another row leaves on the slide is of a higher class than was read.

    rows: of each deposit, the one that gives its class last. changed: the slide as these rows leave it.
    """
    read = _class_of(reading)
    for deposit in changed.deposits:
        if deposit.id in rows and deposit.metastasis > read:
            line, size = rows[deposit.id][-1].where.line, size_in_mm(deposit.diameter_um, None)
            raise reading.where.error(
                f"slide {reading.slide_id!r} is read as {read.word}, but by line {line} its deposit {deposit.id} is "
                f"{deposit.metastasis.word} ({size}); correct one of the two"
            )


def as_read(changed: StoredReport, original: StoredReport, *, reading: Correction, vouched: Set[int]) -> StoredReport:
    """The slide as a reader read it whole: examined, of the reader's class, without the software's doubts about it.

    changed: as the rows of single deposits leave it; vouched: those that they name and don't reject. Of deposits that
    the software found, and of their sizes, those count that give the slide the reader's class; where none do, or a
    deposit of a higher class stands, the size is not known. A higher class that the software found and nobody rejected
    is told, and doesn't count.
    """
    read = _class_of(reading)
    classless = original.metastasis is None
    stated = [one for one in changed.deposits if not classless or one.id in vouched]
    fitting = [one for one in stated if one.metastasis <= read]
    known = read in (class_found(fitting), largest_class(fitting)) and not _higher(changed, read)
    kept = [_settled(one, read) for one in fitting] if known else []
    flags = [flag for flag in kept_flags(changed, original) if flag.code not in DOUBTS or _is_of_sizes(flag, kept)]
    near = [flag for flag in deposit_flags(kept) if flag.code in OF_OTHER_NODES]
    word = WholeReading(
        by=reading.by,
        software=software_words(original),
        size_at_least=_is_lower_bound(kept, original),
        foci_known=_foci_known(kept, changed, original, read=read),
    )
    return replace(
        changed,
        status=Status.COMPLETE,
        before_review=original.status,
        metastasis=read,
        at_least=False,
        deposits=tuple(kept),
        flags=(*_told(changed, reading), *contradictions(fitting), *flags, *near),
        reading=word,
    )


def _class_of(reading: Correction) -> Metastasis:
    assert reading.label is not None
    return reading.label


def _higher(changed: StoredReport, read: Metastasis) -> list[Deposit]:
    """Deposits of a higher class than was read that no row rejects; a mark on what can't be judged is none."""
    return [] if changed.not_judged else [one for one in changed.deposits if one.metastasis > read]


def _settled(deposit: Deposit, read: Metastasis) -> Deposit:
    """The deposit, its class settled where that is the one that was read, or could pass it, or a scan cut it off.

    Any other leaves the slide's class alone, whatever its size and cells may be. But several nodes may share the slide,
    and it may be the largest of one of them.
    """
    settles = deposit.metastasis is read or highest_class(deposit) > read or deposit.cut_off
    return replace(deposit, class_given=True) if settles else deposit


def _is_of_sizes(flag: Flag, kept: Sequence[Deposit]) -> bool:
    """Whether a doubt is of every size that the software measured, and one of these counts."""
    return flag.code == "nuclei_out_of_scale" and any(one.diameter_uncertainty_um > 0 for one in kept)


def _foci_known(kept: Sequence[Deposit], changed: StoredReport, original: StoredReport, *, read: Metastasis) -> bool:
    """Whether the software saw the whole slide, all it found stands, and no smaller one may go on beyond the scan."""
    grows = any(one.cut_off and one.metastasis < read for one in kept)
    return original.status is Status.COMPLETE and len(kept) == len(changed.deposits) and not grows


def _is_lower_bound(kept: Sequence[Deposit], original: StoredReport) -> bool:
    """Whether there may be a larger deposit, or more of one: where the software looked, it saw a part.

    A reader who accepts a deposit, or gives its class, doesn't say that its size is whole.
    """
    if not kept:
        return False
    largest = max(kept, key=lambda deposit: deposit.diameter_um)
    by_software = any(
        (one.id, one.diameter_um, one.diameter_uncertainty_um)
        == (largest.id, largest.diameter_um, largest.diameter_uncertainty_um)
        for one in original.deposits
    )
    in_part = original.status is not Status.COMPLETE and by_software
    return in_part or any(deposit.cut_off for deposit in kept)


def _told(changed: StoredReport, reading: Correction) -> tuple[Flag, ...]:
    """That the software found a higher class, and where, unless every such deposit was rejected."""
    found, read = class_found(changed.deposits), _class_of(reading)
    if found <= read or changed.not_judged:
        return ()
    higher = _higher(changed, read)[:1]
    named = [f"deposit {one.id} ({size_in_mm(one.diameter_um, one.diameter_uncertainty_um or None)})" for one in higher]
    which = named[0] if named else "the cells of dispersed foci together"
    text = (
        f"{reading.by} read the whole slide as {read.word}, but the software found {found.word}: {which}. The reader's "
        "class counts. Look there again. Reject what is no deposit, or correct its size or the class of the slide."
    )
    return (Flag("read_against_software", text),)
