"""The reverse process with a limited interval: which steps are guided, and how many passes that costs."""

import pytest
import torch
from helpers import GaussianModel, seeded, tiny_unet
from torch import Tensor, nn

from ddpm_course.parameterization import VelocityModel
from ddpm_course.sampling import reverse_process, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import DDIM, SOLVERS

SCHEDULE = NoiseSchedule.cosine()                                # T = 150
STEPS = (150, 112, 75, 38)                                       # the t that four steps visit
NET = VelocityModel(tiny_unet(), SCHEDULE).eval()
C = torch.tensor([0, 3, 9])
PER_IMAGE = torch.tensor([-1.0, 0.0, 2.5])
each_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())


class Counting(nn.Module):
    """The same network without `predict_pair`. It notes every pass: its t, and whether a class was given."""

    def __init__(self) -> None:
        super().__init__()
        self.passes: list[tuple[int, bool]] = []

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        self.passes.append((int(t[0]), c is not None))
        return NET(x_t, t, c)


class CountingPairs(Counting):
    """The same with `predict_pair`, noted beside the single passes."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[int] = []

    def predict_pair(self, x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        self.pairs.append(int(t[0]))
        return NET.predict_pair(x_t, t, c)


def draw(w: float | Tensor, interval: tuple[int, int] | None, model: nn.Module = NET, **options) -> Tensor:
    x_T = torch.randn(3, 1, 8, 8, generator=seeded(5))
    return sample(model, SCHEDULE, x_T, C, w, interval=interval, steps=len(STEPS), clip=False,
                  generator=seeded(1), **options)


@pytest.mark.parametrize("t", [1, 50, 75, 100, 150])
def test_an_interval_the_wrong_way_round_is_refused(t: int) -> None:
    with pytest.raises(ValueError, match="t_lo ≤ t_hi"):
        draw(1.0, (t, t - 1))


@each_solver
def test_the_interval_of_all_steps_is_no_interval_to_the_bit(solver) -> None:
    for w in (3.0, -1.0, PER_IMAGE):
        assert torch.equal(draw(w, (1, SCHEDULE.T), solver=solver), draw(w, None, solver=solver))


@each_solver
def test_an_interval_that_no_step_visits_is_w_0_to_the_bit(solver) -> None:
    plain = draw(0.0, None, solver=solver)
    for interval in ((1, 37), (39, 74), (76, 111), (113, 149), (151, 900)):
        for w in (3.0, -1.0, PER_IMAGE):                         # outside, w = -1 too means the class, not ∅
            assert torch.equal(draw(w, interval, solver=solver), plain)
    for interval in ((1, 38), (38, 74), (39, 75), (150, 900)):   # one more step, and it is another image
        assert not torch.allclose(draw(3.0, interval, solver=solver), plain, atol=1e-2)


@pytest.mark.parametrize("interval, guided", [
    ((75, 112), [112, 75]),
    ((1, 74), [38]),
    ((113, 150), [150]),
    ((76, 111), []),
    (None, [150, 112, 75, 38])])
def test_outside_the_interval_one_pass_is_made_and_it_has_the_class(
        interval: tuple[int, int] | None, guided: list[int]) -> None:
    single, paired = Counting(), CountingPairs()
    draw(2.0, interval, single)
    draw(2.0, interval, paired)
    expected = []
    for t in STEPS:
        expected.append((t, True))
        if t in guided:
            expected.append((t, False))
    assert single.passes == expected
    assert paired.pairs == guided
    assert paired.passes == [(t, True) for t in STEPS if t not in guided]


@pytest.mark.parametrize("w", [2.0, -1.0, torch.tensor([3.0, 0.5, -1.0])])
def test_limited_sampling_equals_a_loop_by_hand(w: float | Tensor) -> None:
    given, null = (0.7, 0.3), (-0.4, 1.5)                        # (mean, variance) for c and for ∅
    model = GaussianModel(SCHEDULE, *given, *null)
    x_T = torch.randn(3, 4, generator=seeded(2), dtype=torch.float64)
    process = reverse_process(model, SCHEDULE, x_T, C, w, interval=(40, 112), solver=DDIM(), steps=len(STEPS),
                              clip=False)
    frames = list(process)
    signal, noise = SCHEDULE.alpha_bars.sqrt().tolist(), (1 - SCHEDULE.alpha_bars).sqrt().tolist()
    weight, x = torch.as_tensor(w, dtype=torch.float64).reshape(-1, 1), x_T

    def exact_eps(mean: float, variance: float) -> Tensor:
        return (x - signal[t] * mean) * noise[t] / (signal[t]**2 * variance + noise[t]**2)

    for frame, t, s in zip(frames, STEPS, (*STEPS[1:], 0)):
        eps_c, eps_null = exact_eps(*given), exact_eps(*null)
        eps = eps_c + weight * (eps_c - eps_null) if t in (112, 75) else eps_c
        x_0_hat = (x - noise[t] * eps) / signal[t]
        assert frame[0] == t
        torch.testing.assert_close(frame[1], x, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(frame[2], x_0_hat, rtol=1e-10, atol=1e-10)
        x = signal[s] * x_0_hat + noise[s] * eps
    torch.testing.assert_close(frames[-1][1], x, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("w, c, message", [
    (float("nan"), C, "finite"),
    (torch.ones(2), C, "one per image"),
    (1.0, None, "needs a condition")])
def test_a_wrong_weight_is_refused_at_once_also_where_the_interval_begins_later(
        w: float | Tensor, c: Tensor | None, message: str) -> None:
    x_T = torch.zeros(3, 1, 8, 8)
    with pytest.raises(ValueError, match=message):
        next(reverse_process(NET, SCHEDULE, x_T, c, w, interval=(1, 2), steps=4))
