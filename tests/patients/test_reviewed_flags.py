"""What a review takes off a slide's flags it makes again, and the other way round."""

import ast
import inspect
from collections.abc import Callable, Iterator

import pytest

from nodescan.domain import doubts, verdict
from nodescan.domain.flags import RESTATED
from nodescan.patients import corrections


def codes_made(function: Callable[..., object]) -> set[str]:
    """Of the flags that a function of a module makes, or those of the same module that it names."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(function) or function))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    asked: set[str] = set()
    left = [function.__name__]
    while left:
        name = left.pop()
        asked.add(name)
        names = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
        left += (names & functions.keys()) - asked
    return {code for name in asked for code in flags_in(functions[name])}


def flags_in(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Flag":
            yield ast.literal_eval(node.args[0])


def test_a_review_makes_again_each_flag_that_it_takes_away_and_no_other() -> None:
    """One made elsewhere, as in slide_flags.py, would be gone after every review; one that stays would stand twice."""
    made = codes_made(verdict.deposit_flags) | codes_made(doubts.dispersed_flags)
    assert made >= RESTATED, "make it in deposit_flags (domain/verdict.py), or mark it AS_FOUND in domain/flags.py"
    assert made <= RESTATED, "mark it RESTATED in domain/flags.py"


@pytest.mark.parametrize("function", [verdict.deposit_flags, doubts.dispersed_flags])
def test_a_review_asks_for_them(function: Callable[..., object]) -> None:
    """By the names that the test above follows."""
    concluded = ast.parse(inspect.getsource(corrections._concluded))
    assert function.__name__ in {node.id for node in ast.walk(concluded) if isinstance(node, ast.Name)}
