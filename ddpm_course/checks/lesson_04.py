"""The exercises of lesson 04, checked: guidance, the dropped condition, a guided step, and two bugs to mend.

`reports` explains how a check is made. A check never raises.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ddpm_course.checks.reports import NotPassed, Report, ask, check, expect, real, refuse
from ddpm_course.guidance import guide
from ddpm_course.sampling import guided_eps
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.shapes import per_image
from ddpm_course.solvers import ddim_step


@check("guide")
def check_guide(function: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's `guide(eps_c, eps_null, w)`; w is a number."""
    generator = torch.Generator().manual_seed(0)
    for w, shape in ((2.0, (3, 1, 4, 4)), (0.5, (2, 5)), (0.0, (4, 2, 3)), (-1.0, (1, 1, 8, 8))):
        a, b = (torch.randn(shape, generator=generator) for _ in range(2))
        expect(ask(function, a, b, w), guide(a, b, w), {
            "this is the s-convention, ε_∅ + s (ε_c - ε_∅), with s = w. Here s = 1 + w, so that w = 0 is plain "
            "conditional": lambda: b + w * (a - b),
            "ε_c came back, so w had no effect (is there an `if w > 0`?)": lambda: a,
            "ε_∅ came back, so neither the class nor w had an effect": lambda: b,
            "the sign is turned round: your guidance goes from ε_c towards ε_∅": lambda: a + w * (b - a),
            "brackets are missing: (1 + w) ε_c, not 1 + w ε_c": lambda: 1 + w * a - w * b,
            "the two predictions are swapped: your guidance pushes away from the class": lambda: guide(b, a, w),
            "both terms have a plus sign; ε_∅ must be subtracted": lambda: (1 + w) * a + w * b,
            "the weights 1 + w and w do not sum to one: is the 1 missing from ε_c's?": lambda: w * a - w * b,
            "the weight of ε_∅ is w, not 1 + w": lambda: (1 + w) * (a - b)}, seen=f"w = {w:g}")
    return "(1 + w) ε_c - w ε_∅; w = 0 gives ε_c and w = -1 gives ε_∅"


@check("drop_condition")
def check_drop_condition(function: Callable[[Tensor, Tensor, float, torch.Generator], Tensor]) -> str:
    """Check a student's `drop_condition(c, null, p_uncond, generator)` on labels and on vectors."""
    generator, n = torch.Generator().manual_seed(0), 4000
    labels, null = torch.arange(n) % 10, torch.tensor(10)
    _judge_dropping(ask(function, labels, null, 0.1, generator), labels, null, 0.1)
    vectors, null = torch.randn(n, 8, generator=generator), torch.full((8,), 99.0)
    for p_uncond in (0.25, 0.0, 1.0):
        try:
            result = ask(function, vectors, null, p_uncond, generator)
        except NotPassed as outcome:
            report = outcome.report("drop_condition")
            raise NotPassed(f"labels are right; with vectors (B, 8): {report.text}") from None
        _judge_dropping(result, vectors, null, p_uncond, where=f"with vectors (B, 8) and p_uncond = {p_uncond}: ")
    return "one draw per sample, and a dropped sample gets ∅, not class 0"


def _judge_dropping(result: Tensor, c: Tensor, null: Tensor, p: float, where: str = "") -> None:
    """Look at what was dropped, since a student's random draws need not be the course's."""
    refuse({
        "the shape should stay {wanted}; yours is {shape} (a mask of shape (B, 1) against labels (B,) broadcasts to "
        "(B, B))": lambda: result.shape != c.shape,
        "the type should stay {c.dtype}; yours is {result.dtype} (did a float mask multiply the labels?)":
            lambda: result.dtype != c.dtype},
        where=where, wanted=tuple(c.shape), shape=tuple(result.shape), c=c, result=result)
    is_null, is_kept = (hit.reshape(len(c), -1) for hit in (result == null, result == c))        # (B, 1) or (B, 8)
    whole_null, whole_kept = is_null.all(dim=1), is_kept.all(dim=1)                              # (B,)
    share, slack = whole_null.double().mean().item(), 5 * (p * (1 - p) / len(c))**0.5
    off = abs(share - p) > slack
    refuse({
        "dropped samples became class 0: label × mask is 0, and 0 is T-shirt/top. They must become null":
            lambda: c.dim() == 1 and (~whole_null & ~whole_kept & (result == 0)).any(),
        "single elements were dropped: that is one draw per element. Draw one per sample, shape (B,), and drop a "
        "sample whole or not at all": lambda: (is_null.any(dim=1) & ~whole_null).any(),
        "some conditions are neither the old one nor null; only these two may occur":
            lambda: not (whole_null | whole_kept).all(),
        "{share:.0%} were dropped instead of {p:.0%}: the mask is inverted (p_uncond is for dropping)":
            lambda: off and abs(share - (1 - p)) <= slack,
        "{share:.0%} were dropped instead of about {p:.0%}: is it one draw for the whole batch, or none at all? Draw "
        "one per sample": lambda: off and share in (0.0, 1.0),
        "{share:.1%} were dropped instead of about {p:.0%}": lambda: off}, where=where, share=share, p=p)


class _ToyPair(nn.Module):
    """A made-up ε_θ whose two answers differ and depend on t: all that the check of a step needs."""

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        push = 0.0 if c is None else 0.3 * per_image(c.to(x_t) + 1, x_t)
        return torch.tanh(x_t + 0.01 * per_image(t.to(x_t), x_t)) + push


@check("guided_step")
def check_guided_step(function: Callable[[nn.Module, NoiseSchedule, Tensor, int, int, Tensor, float], Tensor]) -> str:
    """Check a student's `guided_step(model, schedule, x_t, t, s, c, w)`: one deterministic DDIM step, unclipped."""
    generator, schedule, model = torch.Generator().manual_seed(0), NoiseSchedule.cosine(), _ToyPair()

    def step(x_t: Tensor, t: int, s: int, eps_hat: Tensor) -> Tensor:
        return ddim_step(schedule, x_t, t, s, schedule.predict_x_0(x_t, t, eps_hat))

    for t, s, w in ((100, 90, 2.0), (60, 40, 0.5), (8, 0, 3.0)):
        x_t, c = torch.randn(3, 1, 4, 4, generator=generator), torch.tensor([0, 4, 9])
        eps_c, eps_null = guided_eps(model, x_t, t, c), guided_eps(model, x_t, t)
        right, a_s = guided_eps(model, x_t, t, c, w), float(schedule.alpha_bars[s])
        x_0_hat = schedule.predict_x_0(x_t, t, right)
        expect(ask(function, model, schedule, x_t, t, s, c, w), step(x_t, t, s, right), {
            "x_t came back unchanged: is one level used for both steps?": lambda: x_t,
            "x̂_0 was clipped; that is a good idea in practice, but here leave it as it is":
                lambda: ddim_step(schedule, x_t, t, s, x_0_hat.clamp(-1, 1)),
            "the class has no extra weight: ε_c alone was used (that is w = 0)": lambda: step(x_t, t, s, eps_c),
            "the class was not used at all (that is w = -1)": lambda: step(x_t, t, s, eps_null),
            "this is the s-convention with s = w; here s = 1 + w":
                lambda: step(x_t, t, s, eps_null + w * (eps_c - eps_null)),
            "this is x̂_0; it still has to be renoised to level s": lambda: x_0_hat,
            "a square root is missing: the weights are √ᾱ_s and √(1 - ᾱ_s)":
                lambda: a_s * x_0_hat + (1 - a_s) * right,
            "x̂_0 is guided, but ε_∅ was used to renoise (another method, CFG++, does that)":
                lambda: a_s**0.5 * x_0_hat + (1 - a_s)**0.5 * eps_null,
            "x̂_0 is guided, but ε_c was used to renoise; the guided ε̃ belongs there too":
                lambda: a_s**0.5 * x_0_hat + (1 - a_s)**0.5 * eps_c}, seen=f"t = {t}, s = {s}, w = {w:g}")
    return "both predictions, guided, x̂_0 from level t, renoised to level s"


@check("clipped_step")
def check_clipped_step(function: Callable[[NoiseSchedule, Tensor, int, int, Tensor], Tensor]) -> str:
    """Check a mended `clipped_step(schedule, x_t, t, s, eps_hat)`: DDIM with x̂_0 clipped to [-1, 1]."""
    generator, schedule = torch.Generator().manual_seed(0), NoiseSchedule.cosine()
    for t, s in ((120, 110), (50, 30)):
        x_t, eps_hat = (2 * torch.randn(3, 1, 4, 4, generator=generator) for _ in range(2))
        x_0_hat = schedule.predict_x_0(x_t, t, eps_hat)
        signal, noise = schedule.signal_and_noise(s, x_t)
        expect(ask(function, schedule, x_t, t, s, eps_hat), ddim_step(schedule, x_t, t, s, x_0_hat.clamp(-1, 1)), {
            "not mended yet. After the clipping, does x_t = √ᾱ_t x̂_0 + √(1 - ᾱ_t) ε̂ still hold?":
                lambda: signal * x_0_hat.clamp(-1, 1) + noise * eps_hat,
            "now nothing is clipped: x̂_0 must stay in [-1, 1]": lambda: signal * x_0_hat + noise * eps_hat,
            "the clipping moved to ε̂; noise has no such range":
                lambda: signal * x_0_hat + noise * eps_hat.clamp(-1, 1),
            "x_s was clipped; only x̂_0 is an image, x_s still holds noise":
                lambda: (signal * x_0_hat + noise * eps_hat).clamp(-1, 1)})
    return "ε̂ is recomputed from the clipped x̂_0, so that x_t = √ᾱ_t x̂_0 + √(1 - ᾱ_t) ε̂ still holds"


@check("continuity")
def check_continuity(function: Callable[[Tensor, Tensor, float], Tensor]) -> str | Report:
    """Check a mended guidance function of (eps_c, eps_null, w): right everywhere, and without a jump at w = 0."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, 1, 4, 4, generator=generator) for _ in range(2))
    near, at = (ask(function, a, b, w) for w in (1e-4, 0.0))
    for result in (near, at):
        refuse({"the shape should be {wanted}; yours is {shape}": lambda: result.shape != a.shape},
               wanted=tuple(a.shape), shape=tuple(result.shape))
    jump = (real(near) - real(at)).abs().max().item()
    refuse({"from w = 0 to w = 0.0001 the prediction still jumps by {jump:.2f}: two formulas meet at w = 0 and "
            "disagree there": lambda: jump > 0.01}, jump=jump)
    report = check_guide(function)
    return "no jump at w = 0, and the formula is Ho & Salimans'" if report.passed else report
