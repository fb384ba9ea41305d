"""What is to be known of an index as a whole before it is learned from, each in one line."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from nodescan.csv_rows import csv_line
from nodescan.domain.naming import few, how_many
from training.slides.index import INDEX_FILE, NORMAL_STRATA, TUMOUR_STRATA, IndexRow, Stratum, hard_file
from training.slides.sampler import HARD_COLUMNS, SlideSampler

_ROUNDING = 1e-9


def remarks(rows: Sequence[IndexRow], folder: Path) -> list[str]:
    """Of slides of the index in `folder`: how many have warnings, and which are one slide under several ids."""
    said = []
    if warned := [row.slide_id for row in rows if row.notes]:
        said.append(
            f"{folder}: of {how_many(len(rows), 'slide')} {len(warned)} {'has' if len(warned) == 1 else 'have'} "
            f"warnings ({few(warned, 3)}); prepare says them again, and they stand in {INDEX_FILE}, column notes"
        )
    of_content = defaultdict[str, list[str]](list)
    for row in rows:
        of_content[row.fingerprint].append(row.slide_id)
    said += [
        f"{folder}: {few(ids, 3)} are one slide, which counts {len(ids)} times; list all but one of these ids in the "
        "manifest as excluded, and run prepare again"
        for ids in of_content.values()
        if len(ids) > 1
    ]
    return said


def unused_hard_negatives(index: Path, used: Path | None) -> list[str]:
    """That boxes were mined into the index which a run doesn't train on, and how it can. used: the run's own."""
    mined = hard_file(index)
    if not mined.is_file() or (used is not None and used.resolve() == mined.resolve()):
        return []
    if mined.stat().st_size <= len(csv_line(HARD_COLUMNS)):  # nothing was taken for tumour
        return []
    return [
        f"{mined}: holds hard negatives that this run does not use; to use them add "
        f"--data.init_args.hard_negatives {quote(str(mined))}"
    ]


def drawn_from(sampler: SlideSampler) -> str:
    """From which strata places of a split are drawn, of how many slides, and which of them no slide has."""
    said, lacking = [], []
    for word, strata in (("tumour", TUMOUR_STRATA), ("normal", NORMAL_STRATA)):
        shares = sampler.shares[strata]
        said.append(f"{word} from {', '.join(_in_words(sampler, each, share) for each, share in shares.items())}")
        asked = {each: sampler.plan.of_class[each] for each in strata if each not in shares}
        lacking += [
            f"{each.name.lower()} ({share:.0%} asked for)" for each, share in asked.items() if share > _ROUNDING
        ]
    if lacking:
        said.append(f"no slide has {', '.join(lacking)}: the others of its class have that share")
    if sampler.hard:
        said.append(
            f"{sampler.plan.hard_share:.0%} of normal from {how_many(len(sampler.hard), 'hard negative')} instead"
        )
    return f"{sampler.folder}: split {sampler.rows[0].split}: {'; '.join(said)}"


def _in_words(sampler: SlideSampler, stratum: Stratum, share: float) -> str:
    holding = sum(bool(row.counts[stratum]) for row in sampler.rows)
    return f"{stratum.name.lower()} ({how_many(holding, 'slide')}, {share:.0%})"
