"""The protocol of the checks: ask the student's function, compare its answers, name the mistake.

The check of an exercise is a function that asks, expects, and returns its praise. This is a whole one:

    @check("double")
    def check_double(function: Callable[[Tensor], Tensor]) -> str:
        '''Check a student's `double(x)`.'''
        for n in (3, 5):
            x = torch.arange(n)
            expect(ask(function, x), 2 * x, {
                "this is the square": lambda: x**2,
                "x came back; it must be added to itself": lambda: x}, seen=f"n = {n}")
        return "each number is added to itself"

`ask` calls the student's function with copies. `expect` returns when the result is right. Otherwise it tries the usual
mistakes one by one, and the first that gives the same result is the diagnosis. `refuse` serves where there is no right
result to compare with, as for random draws. All three end the check by raising `NotPassed`. `check` makes a `Report` of
the outcome. A check itself never raises, whatever the student's function is, does or returns; only Ctrl-C passes.
"""

import copy
import functools
import inspect
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LARGEST = 10**8                                                  # values; the largest right answer has 32,000
NOT_YET = "not yet. Replace the line that raises NotImplementedError, run again"


@dataclass(frozen=True)
class Report:
    """The outcome of a check: `passed`, and the line that the notebook shows."""

    passed: bool
    text: str

    def __repr__(self) -> str:
        return self.text


class NotPassed(Exception):
    """Ends a check with a diagnosis. The mark in front of the line is ✗, or … for an empty exercise."""

    def __init__(self, diagnosis: str, mark: str = "✗") -> None:
        super().__init__(diagnosis)
        self.diagnosis, self.mark = diagnosis, mark

    def report(self, name: str) -> Report:
        """Return the line for the exercise of this name."""
        return Report(False, f"{self.mark} {name}: {self.diagnosis}")


def check(name: str) -> Callable[[Callable[[Callable], str | Report]], Callable[[Callable], Report]]:
    """Make the check of the exercise `name` from a body that returns its praise, or raises `NotPassed`.

    A body may also hand on the report of another check. PyTorch's global random numbers are afterwards what they were
    before, whatever the student's function has drawn.
    """
    def wrap(body: Callable[[Callable], str | Report]) -> Callable[[Callable], Report]:
        @functools.wraps(body)
        def checked(function: Callable) -> Report:
            try:
                with torch.random.fork_rng(devices=[]):
                    praise = body(function)
            except NotPassed as outcome:
                return outcome.report(name)
            except KeyboardInterrupt:                            # the student pressed stop
                raise
            except BaseException as error:                       # an answer that nobody has thought of
                return NotPassed(f"the check could not make sense of your function ({_said(error)})").report(name)
            return praise if isinstance(praise, Report) else Report(True, f"✓ {name}: {praise}")

        checked.__signature__ = inspect.signature(body).replace(return_annotation=Report)
        return checked
    return wrap


def ask(function: Callable, *arguments: Any) -> Tensor:
    """Return a copy of what the student's function answers, a plain tensor on the CPU; else raise `NotPassed`.

    The function gets copies, networks and schedules included, so that it can spoil nothing that the check still needs.
    A generator is handed over itself: what it has drawn is drawn. To lend a network itself, and look at it afterwards,
    ask a lambda that holds it.
    """
    try:
        result = function(*map(_own, arguments))
    except NotImplementedError:
        raise NotPassed(NOT_YET, mark="…") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:                               # SystemExit too: a check must not end the kernel
        raise NotPassed(f"your function raised {_said(error)}") from None
    if not issubclass(type(result), Tensor):                     # isinstance believes an object that claims to be one
        raise NotPassed(f"a tensor was expected; your function returned {type(result).__name__}"
                        + (" (is the `return` missing?)" if result is None else ""))
    return _plain(result)


def _own(argument: Any) -> Any:
    if isinstance(argument, torch.Generator):
        return argument
    return argument.clone() if isinstance(argument, Tensor) else copy.deepcopy(argument)


def _said(error: BaseException) -> str:
    """Put an exception into words, also one that fails to say what it is."""
    try:
        return f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        raise
    except BaseException:
        return "an exception that cannot be printed"


def _plain(result: Tensor) -> Tensor:
    """Copy a tensor, so that a later call cannot change it; raise `NotPassed` when its values cannot be read."""
    kind = type(result).__name__
    try:
        # A subclass may refuse every function, and PyTorch warns of each kind of tensor that it calls experimental.
        with torch._C.DisableTorchFunctionSubclass(), warnings.catch_warnings(action="ignore"):
            kind = f"{kind} ({result.numel()} values, {result.dtype}, {result.layout}, {result.device})"
            found = result.detach()
            found.as_strided(found.shape, found.stride(), found.storage_offset())        # raises past the memory's end
            if found.numel() <= LARGEST:                         # a view may repeat one number any number of times
                found = found.to("cpu", copy=True)
                real(found.new_empty(1))
                if type(found) is Tensor:
                    return found
    except KeyboardInterrupt:
        raise
    except BaseException:
        pass
    raise NotPassed(f"a plain tensor was expected, whose values can be read; your function returned {kind}")


def real(values: Tensor) -> Tensor:
    """Return the real part in float64; a conversion without `.real` would warn."""
    return (values.real if values.is_complex() else values).double()


def same(a: Tensor, b: Tensor) -> bool:
    """Say whether two tensors have one shape and equal values, up to rounding in float32."""
    wide = torch.complex128 if a.is_complex() or b.is_complex() else torch.float64
    return a.shape == b.shape and torch.allclose(a.to(wide), b.to(wide), rtol=1e-4, atol=1e-4)


def moved(now: Iterable[tuple[str, Tensor]], before: Iterable[tuple[str, Tensor]]) -> bool:
    """Say whether the named weights or buffers of a network are other than they were, in value, kind or place."""
    now, before = dict(now), dict(before)
    return now.keys() != before.keys() or any(
        (now[name].dtype, now[name].device) != (old.dtype, old.device) or not torch.equal(now[name], old)
        for name, old in before.items())


def diagnose(mistakes: dict[str, Callable], made: Callable[[Callable], bool]) -> str | None:
    """Return the first diagnosis whose mistake was made, or None. Every diagnosis of a check is found here."""
    return next((diagnosis for diagnosis, mistake in mistakes.items() if made(mistake)), None)


def expect(result: Tensor, right: Tensor, mistakes: dict[str, Callable[[], Tensor]], *, also: Tensor | None = None,
           seen: str = "") -> None:
    """Return when the result is right, or equals `also`; else raise `NotPassed` with the mistake that explains it.

    `mistakes`: diagnosis → what the mistake would give. `seen`: the case at hand, put behind the diagnosis.
    """
    def explains(mistake: Callable[[], Tensor]) -> bool:
        try:
            return same(result, mistake())
        except (RuntimeError, ZeroDivisionError):                # this mistake cannot be made in the case at hand
            return False

    if same(result, right) or (also is not None and same(result, also)):
        return
    diagnosis = diagnose(mistakes, explains)
    if diagnosis is None and result.shape != right.shape:
        diagnosis = f"the shape should be {tuple(right.shape)}; yours is {tuple(result.shape)}"
    elif diagnosis is None and same(real(result), right):
        diagnosis = f"the values are complex, with an imaginary part of up to {result.imag.abs().max():.3g}"
    elif diagnosis is None:
        diagnosis = (f"the values differ by up to {(real(result) - real(right)).abs().max():.3g}, "
                     "and not in one of the usual ways; compare with the equation term by term")
    raise NotPassed(diagnosis + (f" (seen at {seen})" if seen else ""))


def refuse(signs: dict[str, Callable[[], bool]], *, where: str = "", **values: Any) -> None:
    """Raise `NotPassed` with the first diagnosis whose sign is there, and fill its {fields} from `values`.

    `signs`: diagnosis → whether it holds. `where`: the case at hand, put before the diagnosis.
    """
    diagnosis = diagnose(signs, lambda sign: bool(sign()))
    if diagnosis is not None:
        raise NotPassed(where + diagnosis.format(**values))
