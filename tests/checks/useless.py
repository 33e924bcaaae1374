"""What a student may hand in that is of no use, and functions that spoil what they are given.

`USELESS`: what it is → a function that takes the exercise's solution and returns what is handed in. No check
may pass it, or raise. `spoiling` lets a solution or a mistake change its arguments in place.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import torch
from torch import Tensor, nn

from ddpm_course.schedule import NoiseSchedule


class Refusing(Tensor):
    """A tensor for which every function of PyTorch fails."""

    @classmethod
    def __torch_function__(cls, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError("no function of PyTorch for this tensor")


class Claiming:
    """An object that calls itself a tensor, and then fails."""

    __class__ = Tensor

    @classmethod
    def __torch_function__(cls, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError("no function of PyTorch for this object")


class Empty(Tensor):
    """A tensor without values, and so is all that comes of it: what tracing and compiling hand about."""

    @staticmethod
    def __new__(cls, like: Tensor) -> "Empty":
        return torch.Tensor._make_wrapper_subclass(cls, like.shape, dtype=like.dtype)

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: tuple = (), options: Any = None) -> Any:
        return Empty(arguments[0])


class Stopping(BaseException):
    """An exception that is no Exception."""


class Mute(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise SystemExit("no words")

    __repr__ = __str__


def spoil(*arguments: Any) -> None:
    """Change in place whatever can be changed."""
    for argument in arguments:
        if isinstance(argument, Tensor):
            argument.detach().fill_(7)
        elif isinstance(argument, nn.Module):
            argument.train(not argument.training)
            spoil(*argument.state_dict().values())
        elif isinstance(argument, NoiseSchedule):
            spoil(argument.betas, argument.alphas, argument.alpha_bars)
            argument.T = 1
        elif isinstance(argument, torch.Generator):
            argument.manual_seed(7)


def spoiling(function: Callable) -> Callable:
    """Let a function spoil its arguments once it has its answer."""
    def answer_and_spoil(*arguments: Any) -> Any:
        answer = function(*arguments)
        answer = answer.clone() if isinstance(answer, Tensor) else answer
        spoil(*arguments)
        return answer
    return answer_and_spoil


def first_tensor(arguments: tuple[Any, ...]) -> Tensor:
    return next((a for a in arguments if isinstance(a, Tensor)), torch.ones(3))


def returning(make: Callable[[Tensor], Any]) -> Callable:
    """Answer with something made of the first tensor, which is what the exercise is about."""
    return lambda solution: lambda *arguments: make(first_tensor(arguments))


def altering(change: Callable[[Tensor], Any]) -> Callable:
    """Answer with the right result, but changed."""
    return lambda solution: lambda *arguments: change(solution(*arguments).detach())


def raising(error: BaseException) -> Callable:
    return lambda solution: Mock(side_effect=error)


def without_end(*arguments: Any) -> Tensor:
    return without_end(*arguments)


def yielding(*arguments: Any) -> Iterator[Tensor]:
    yield first_tensor(arguments)


def quietly(make: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Make a tensor of a kind that PyTorch calls experimental, without its warning."""
    def made(x: Tensor) -> Tensor:
        with warnings.catch_warnings(action="ignore"):
            return make(x)
    return made


def drained(x: Tensor) -> Tensor:
    """A tensor whose memory was given back: to read it would end the process."""
    x = x.clone()
    x.untyped_storage().resize_(0)
    return x


def one_spot(y: Tensor, value: float) -> Tensor:
    y = y.clone().float()
    y.view(-1)[0] = value
    return y


HANDED_IN = {
    "nothing": None, "a number": 0.5, "a text": "(1 + w) * eps_c", "a list": [], "a tensor": torch.ones(3),
    "a class": Claiming, "a class of layers": nn.ReLU, "a function of nothing": lambda: torch.ones(3)}

RETURNED = {
    "None": lambda x: None, "a number": lambda x: 0.5, "a tuple": lambda x: (x, x), "a text": str,
    "a list": lambda x: x.tolist(), "a dict": lambda x: {"x": x}, "an array": lambda x: x.numpy(),
    "a class": lambda x: Tensor, "a stand-in for a tensor": lambda x: Mock(spec=Tensor),
    "a claim to be a tensor": lambda x: Claiming(),
    "a tensor that refuses": lambda x: (x + 9).as_subclass(Refusing),
    "a scalar": lambda x: x.double().mean() + 7, "too few": lambda x: x[:1],
    "too many axes": lambda x: x[None], "a tower of axes": lambda x: x.reshape(*[1] * 20, *x.shape),
    "other axes": lambda x: x.flatten(), "no element": lambda x: torch.empty(0),
    "no row": lambda x: torch.empty(0, 8), "no column": lambda x: torch.empty(5, 0),
    "a view of one number": lambda x: torch.ones(1).expand(10**13),
    "integers": lambda x: x.long() * 0 - 7, "bytes": lambda x: x.to(torch.uint8) // 255 + 3,
    "bools": lambda x: x == 0, "complex": lambda x: 1j * x, "halves": lambda x: x.half() + 9,
    "brain floats": lambda x: x.bfloat16() + 9, "eighths": lambda x: (x.float() + 9).to(torch.float8_e4m3fn),
    "complex halves": quietly(lambda x: torch.full(x.shape, 9 + 1j).to(torch.complex32)),
    "unusual bits": lambda x: torch.empty(x.shape, dtype=torch.uint3),
    "compressed rows": quietly(lambda x: x.float().reshape(1, -1).to_sparse_csr()),
    "a nested tensor": quietly(lambda x: torch.nested.nested_tensor([x.float(), x.float()])),
    "NaN": lambda x: x * torch.nan, "infinity": lambda x: x + torch.inf,
    "huge": lambda x: x.double() * 0 + 1e308}

ALTERED = {
    "in a tuple": lambda y: (y,), "as a list": lambda y: y.tolist(), "as an array": lambda y: y.numpy(),
    "without values": lambda y: y.to("meta"), "only traced": Empty, "sparse": lambda y: y.to_sparse(),
    "quantised": quietly(lambda y: torch.quantize_per_tensor(y.float(), 0.1, 0, torch.quint8)),
    "drained": drained, "with an imaginary part": lambda y: y + 5j,
    "as integers": lambda y: (y * 3).int(), "as bools": lambda y: y > 0, "shifted": lambda y: y + 7,
    "another axis": lambda y: y[..., None], "broadcast": lambda y: y.expand(2, *y.shape),
    "one NaN in it": lambda y: one_spot(y, torch.nan),
    "one infinity in it": lambda y: one_spot(y, torch.inf)}

RAISED = [
    ZeroDivisionError("division by zero"), AssertionError(), MemoryError(), StopIteration(), GeneratorExit(),
    SystemExit(1), UserWarning("careful"), Stopping("no Exception"), Mute(),
    BaseExceptionGroup("two", [Stopping(), Mute()])]

USELESS: dict[str, Callable[[Callable], Any]] = {
    **{f"is {kind}": lambda solution, it=it: it for kind, it in HANDED_IN.items()},
    **{f"returns {kind}": returning(make) for kind, make in RETURNED.items()},
    **{f"the right answer, {kind}": altering(change) for kind, change in ALTERED.items()},
    **{f"raises {type(error).__name__}": raising(error) for error in RAISED},
    "calls itself without end": lambda solution: without_end, "is a generator": lambda solution: yielding,
    "spoils all and returns None": lambda solution: spoil,
    "spoils all and fails": lambda solution: spoiling(lambda *arguments: 1 / 0),
    "spoils all and returns what is left": lambda solution: lambda *a: (spoil(*a), first_tensor(a))[1]}
