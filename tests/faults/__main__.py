"""`python -m tests.faults [NAME...] [--fuzz N --seed S]`: a table of cases, and a last line that counts them."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from tests.faults.cases import CASES
from tests.faults.fuzzing import fuzz_cases
from tests.faults.runner import FAILED, PASSED, SKIPPED, Verdict, run_cases

_NAME, _MUST = 40, 46


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where nothing failed."""
    asked = _arguments(arguments)
    wanted: Sequence[str] = asked.names or ([] if asked.fuzz_only else [""])
    cases = [case for case in CASES if any(word in case.name for word in wanted)]
    cases.extend(fuzz_cases(asked.fuzz, asked.seed))
    if not cases:
        print(f"no case is called {' or '.join(asked.names)}; they are: {'; '.join(case.name for case in CASES)}")
        return 2
    count = Counter[str]()
    print(f"{'case':<{_NAME}} {'what must happen':<{_MUST}} {'s':>5} result   what happened")
    for verdict in run_cases(cases, jobs=asked.jobs, patience=asked.patience):
        count[verdict.result] += 1
        print(_line(verdict), flush=True)
    skipped = f", {count[SKIPPED]} skipped" if count[SKIPPED] else ""
    print(f"{count[PASSED]} passed, {count[FAILED]} failed{skipped}")
    return int(count[FAILED] > 0)


def _line(verdict: Verdict) -> str:
    case = verdict.case
    return f"{case.name:<{_NAME}} {case.must:<{_MUST}} {verdict.seconds:5.1f} {verdict.result:<8} {verdict.happened}"


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases whose names hold one of these; all if none")
    parser.add_argument("--fuzz", type=int, default=0, metavar="N", help="also scan N mutated slides")
    parser.add_argument("--fuzz-only", action="store_true", help="no other cases than those named")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed gives the same mutations")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="cases at a time")
    parser.add_argument("--patience", type=float, default=1, metavar="N", help="times the limits, for a busy machine")
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
