"""What is kept of a worker's last words, and what they say."""

import io

import pytest

from nodescan.batch.worker_words import last_line, last_words, remedy_in

STACK = '  File "nodescan/scan.py", line 90 in scan_slide\n' * 500


def test_what_ended_a_process_is_kept_before_the_stacks_of_its_threads() -> None:
    """However much it printed before, and however long the stacks are; their first and last lines are kept as well."""
    cause, dump, end = "what(): Resource temporarily unavailable", "Fatal Python error: Aborted", "Extension modules: x"
    said = "".join(("a line\n" * 9000, cause, "\n", dump, "\n", STACK, end))
    kept = last_words(io.BytesIO(said.encode()))
    assert cause in kept
    assert f"{dump}\n  File" in kept
    assert kept.endswith(end)
    assert len(kept) < 7000
    assert remedy_in(kept)


@pytest.mark.parametrize("lines", [1, 30, 60, 200])
def test_short_stacks_are_kept_whole(lines: int) -> None:
    """No line of what is kept is there twice."""
    stacks = "".join(f"line {number} of a stack\n" for number in range(lines))
    kept = last_words(io.BytesIO(f"cause\nFatal Python error: Aborted\n{stacks}".encode()))
    assert kept.startswith("cause\nFatal Python error: Aborted\n")
    assert kept.count("line 0 of") == kept.count(f"line {lines - 1} of") == 1
    assert ("..." in kept) == (len(stacks) > 4000)


def test_words_without_stacks_are_kept_from_their_end() -> None:
    """There they say why."""
    kept = last_words(io.BytesIO(b"begin\n" + b"a line\n" * 9000 + b"ValueError: end"))
    assert kept.endswith("ValueError: end")
    assert "begin" not in kept
    assert not remedy_in(kept)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", "it said nothing"),
        ("a word\nSegmentation fault", "Segmentation fault"),
        (
            "Traceback ...\n  raise\ntorch.OutOfMemoryError: no memory\nFor debugging consider",
            "torch.OutOfMemoryError: no memory",
        ),
        (
            "ValueError: a\n\nRuntimeError: CUDA error: no kernel image\nCompile with X",
            "RuntimeError: CUDA error: no kernel image",
        ),
        ("what(): no more\n\nFatal Python error: Aborted\n\nExtension modules: numpy", "what(): no more"),
    ],
)
def test_what_a_worker_died_of_is_told_and_not_the_advice_after_it(said: str, shown: str) -> None:
    """torch ends its errors with lines that are the same for all of them."""
    assert last_line(said) == shown
