"""What every check of an exercise is made of: run the student's function, compare, and name the mistake.

A check runs the student's function on random input, compares with the course's, and on a difference tries the usual
mistakes one by one: the first that gives the same wrong answer names itself. Nothing here raises; a report is a line to
read, and "not yet" while the exercise is empty. Used by `checks` and its siblings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Report:
    """The outcome of a check: `passed`, and the line that the notebook shows."""

    passed: bool
    text: str

    def __repr__(self) -> str:
        return self.text


def passed(name: str, praise: str) -> Report:
    """Return the report of a right answer."""
    return Report(True, f"✓ {name}: {praise}")


def failed(name: str, diagnosis: str) -> Report:
    """Return the report of a wrong answer, with what is wrong."""
    return Report(False, f"✗ {name}: {diagnosis}")


def call(name: str, function: Callable, *arguments: Any) -> Tensor | Report:
    """Call the student's function; an empty exercise, an error or a result that is no tensor becomes a report."""
    try:
        result = function(*(a.clone() if isinstance(a, Tensor) else a for a in arguments))
    except NotImplementedError:
        return Report(False, f"… {name}: not yet. Replace the line that raises NotImplementedError, run again")
    except Exception as error:
        return failed(name, f"your function raised {type(error).__name__}: {error}")
    if not isinstance(result, Tensor):
        return failed(name, f"a tensor was expected; your function returned {type(result).__name__}"
                             + (" (is the `return` missing?)" if result is None else ""))
    return result.detach().cpu()


def same(a: Tensor, b: Tensor) -> bool:
    """Say whether two tensors have one shape and equal values, up to rounding in float32."""
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-4)


def compare(name: str, result: Tensor, expected: Tensor, mistakes: dict[str, Callable[[], Tensor]]) -> str | None:
    """Return None when the two agree, else the diagnosis of the first mistake that explains the result."""
    if same(result, expected):
        return None
    for diagnosis, wrong in mistakes.items():
        if same(result, wrong()):
            return diagnosis
    if result.shape != expected.shape:
        return f"the shape should be {tuple(expected.shape)}; yours is {tuple(result.shape)}"
    return (f"the values differ by up to {(result.double() - expected.double()).abs().max():.3g}, "
            "and not in one of the usual ways; compare with the equation term by term")
