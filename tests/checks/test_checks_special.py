"""What is special to single checks, and the protocol by itself, as a teacher uses it for a new exercise."""

import inspect
from collections.abc import Callable
from unittest.mock import Mock

import mistakes_02
import pytest
import torch
from mistakes_01 import answer, check_denoise
from mistakes_02 import (
    check_ddpm_loss,
    check_ddpm_step,
    check_posterior_step,
    loss_of,
    mean,
    posterior_of,
    restless,
    square,
)
from mistakes_03 import check_embedding, check_eval_mode, check_velocity, falling, predict
from mistakes_04 import (
    WRONG_GUIDES,
    check_continuity,
    check_drop_condition,
    check_guide,
    check_guided_step,
    drop,
    guide,
    step_of,
)
from torch import Tensor, nn
from useless import Refusing

from ddpm_course.checks import reports
from ddpm_course.checks.reports import Report, ask, check, expect, refuse
from ddpm_course.lessons.basic_unet import BasicUNet


@check("double")
def check_double(function: Callable[[Tensor], Tensor]) -> str:
    """Check a student's `double(x)`."""
    for n in (3, 5):
        x = torch.arange(n)
        doubled = ask(function, x)
        expect(doubled, 2 * x, {
            "this is the square": lambda: x**2,
            "x came back": lambda: x}, seen=f"n = {n}")
        refuse({"the type should be {dtype}": lambda: doubled.dtype != x.dtype},
               where="nearly: ", dtype=x.dtype)
    return "each number is added to itself"


def empty(x: Tensor) -> Tensor:
    raise NotImplementedError


@pytest.mark.usefixtures("strict_warnings")
@pytest.mark.parametrize("function, text", [
    (lambda x: x + x, "✓ double: each number is added to itself"),
    (empty, "… double: not yet. Replace the line that raises NotImplementedError, run again"),
    (lambda x: x * x, "✗ double: this is the square (seen at n = 3)"),
    (lambda x: 2 * x if len(x) == 3 else x, "✗ double: x came back (seen at n = 5)"),
    (lambda x: x[:1], "✗ double: the shape should be (3,); yours is (1,) (seen at n = 3)"),
    (lambda x: 3 * x, "✗ double: the values differ by up to 2, and not in one of the usual ways; "
                      "compare with the equation term by term (seen at n = 3)"),
    (lambda x: 2.0 * x, "✗ double: nearly: the type should be torch.int64"),
    (lambda x: 2 * x + 3j,
     "✗ double: the values are complex, with an imaginary part of up to 3 (seen at n = 3)"),
    (lambda x: None,
     "✗ double: a tensor was expected; your function returned NoneType (is the `return` missing?)"),
    (lambda x: Mock(spec=Tensor), "✗ double: a tensor was expected; your function returned Mock"),
    (lambda x: 1 / 0, "✗ double: your function raised ZeroDivisionError: division by zero"),
    (lambda x: x.to_sparse(),
     "✗ double: a plain tensor was expected, whose values can be read; your function returned Tensor (3 "
     "values, torch.int64, torch.sparse_coo, cpu)"),
    (lambda x: torch.zeros(1, dtype=torch.bool).expand(reports.LARGEST + 1),
     "✗ double: a plain tensor was expected, whose values can be read; your function returned Tensor "
     "(100000001 values, torch.bool, torch.strided, cpu)")])
def test_a_new_check_is_a_few_lines(function: Callable, text: str) -> None:
    report = check_double(function)
    assert (report.passed, report.text) == (text[0] == "✓", text)


def test_the_example_of_the_protocol_is_a_check_that_works() -> None:
    lines = inspect.cleandoc(reports.__doc__).split("\n\n")[2]
    names = {**vars(reports), "torch": torch}
    exec(inspect.cleandoc(lines), names)
    made = names["check_double"]
    assert made(lambda x: 2 * x).text == "✓ double: each number is added to itself"
    assert made(lambda x: x**2).text == "✗ double: this is the square (seen at n = 3)"
    assert made(empty).text.startswith("… double: not yet") and len(lines.splitlines()) <= 10


def test_a_check_keeps_its_name_and_words_and_says_that_it_returns_a_report() -> None:
    assert check_double.__name__ == "check_double"
    assert check_double.__doc__ == "Check a student's `double(x)`."
    assert str(inspect.signature(check_double, eval_str=True).return_annotation) == str(Report)


def test_refuse_fills_its_diagnosis_from_what_was_seen() -> None:
    with pytest.raises(reports.NotPassed, match="at t = 2: 3 is odd"):
        refuse({"{n} is even": lambda: False, "{n} is odd": lambda: torch.tensor(True)},
               where="at t = 2: ", n=3)
    refuse({"never": lambda: False})


@pytest.mark.parametrize("error", [ZeroDivisionError("by what?"), SystemExit("by what?")])
def test_a_check_that_fails_itself_says_so(error: BaseException) -> None:
    def body(function: Callable) -> str:
        raise error

    report = check("broken")(body)(None)
    assert report == Report(False, f"✗ broken: the check could not make sense of your function "
                                   f"({type(error).__name__}: by what?)")


def test_an_answer_is_a_copy_that_a_later_call_does_not_change() -> None:
    kept = torch.zeros(2, 1, 4, 4)
    assert "still jumps" in check_continuity(lambda c, n, w: kept.copy_(guide(c, n, w) if w else n)).text


@pytest.mark.parametrize("dress", [
    nn.Parameter, Tensor.double, lambda y: y[None].expand(3, *y.shape)[1], lambda y: y.mT.contiguous().mT,
    lambda y: torch.stack([y, y], dim=-1)[..., 1], lambda y: y.as_subclass(Refusing),
    lambda y: y + 0j, lambda y: (1j * (y + 0j).conj()).imag])
def test_a_right_answer_may_be_any_kind_of_plain_tensor(dress: Callable[[Tensor], Tensor]) -> None:
    assert check_velocity(lambda x_0, e, a: dress(a**0.5 * e - (1 - a)**0.5 * x_0)).passed


def test_the_network_is_left_alone_when_the_answer_is_right() -> None:
    def eval_and_back(net: BasicUNet, x: Tensor) -> Tensor:
        answered = answer(net.eval(), x)
        net.train()
        return answered

    assert check_denoise(eval_and_back).passed


def test_a_part_of_a_model_that_is_left_in_eval_mode_is_seen() -> None:
    def predict_and_stop(model: nn.Module, x_t: Tensor, t: Tensor) -> Tensor:
        answered = predict(model, x_t, t)
        model.norm.eval()
        return answered

    assert "left in eval mode" in check_eval_mode(predict_and_stop).text


@pytest.mark.parametrize("change, text", [
    (lambda net: net.double(), "changed the network's weights"),
    (lambda net: net.to("meta"), "changed the network's weights"),
    (lambda net: net.register_parameter("own", None), "✓"),
    (lambda net: delattr(net, "head"), "changed the network's weights"),
    (lambda net: net.register_buffer("own", torch.ones(1)), "moved the running averages")])
def test_a_network_that_is_no_longer_what_it_was_is_seen(change: Callable[[nn.Module], object], text: str
                                                         ) -> None:
    def answer_and_change(net: BasicUNet, x: Tensor) -> Tensor:
        answered = answer(net.eval(), x)
        if len(x) == 1:
            change(net)
        return answered

    assert text in check_denoise(answer_and_change).text


@pytest.mark.parametrize("check, other", [
    (check_ddpm_step, mistakes_02.step_of(lambda x, e, z, b, al, a, v: mean(x, e, b, al, a) + b**0.5 * z)),
    (check_posterior_step, posterior_of(
        lambda x_0, x, z, k_0, k_x, v, b: k_0 * x_0 + k_x * x + (v > 0) * b**0.5 * z))])    # v = 0 at t = 1
def test_the_larger_variance_passes_too(check: Callable, other: Callable) -> None:
    assert check(other).passed


def test_a_loss_that_draws_its_own_noise_leaves_the_global_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    check_ddpm_loss(restless)
    assert torch.equal(torch.get_rng_state(), before)


def interleaved(t: Tensor, dim: int) -> Tensor:
    waves = falling(t, dim)
    return torch.stack([waves[:, :dim // 2], waves[:, dim // 2:]], dim=2).flatten(1)


@pytest.mark.parametrize("order", [interleaved, lambda t, dim: falling(t, dim).roll(dim // 2, dims=1)])
def test_the_order_of_the_embeddings_columns_is_free(order: Callable) -> None:
    assert check_embedding(order).passed


def test_a_continuous_mistake_is_still_one() -> None:
    assert check_continuity(WRONG_GUIDES[0][1]) == check_guide(WRONG_GUIDES[0][1])


def test_labels_may_be_right_and_vectors_not() -> None:
    def only_labels(c: Tensor, null: Tensor, p_uncond: float, generator: torch.Generator) -> Tensor:
        return torch.where(torch.rand(len(c), generator=generator) < p_uncond, null, c)

    assert "labels are right; with vectors (B, 8): " in check_drop_condition(only_labels).text
    assert "RuntimeError" in check_drop_condition(only_labels).text


@pytest.mark.parametrize("check, wrong, misleading", [
    (check_ddpm_step, lambda schedule, x_t, t, e, z: x_t, "sign"),
    (check_ddpm_loss, loss_of(lambda m, x_0, x_t, t, e: square(m(x_t, t) - e) * torch.nan), "another noise"),
    (check_drop_condition, lambda c, n, p, g: c.copy_(drop(c, n, p, g)), "instead of about 0%"),
    (check_continuity, lambda c, n, w: guide(c, n, w) if w > 0 else c, "swapped"),
    (check_guided_step, step_of(lambda c, n, x, a, b, w: x), "level t")])
def test_a_diagnosis_does_not_mislead(check: Callable, wrong: Callable, misleading: str) -> None:
    assert misleading not in check(wrong).text
