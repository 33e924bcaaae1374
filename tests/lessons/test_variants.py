"""Models that guide by something else than ∅, each against its formula or against exact scores."""

import math

import pytest
import torch
from helpers import GaussianModel, seeded
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from ddpm_course.experiments.mixture_lab import BayesClassifier, Wrapped
from ddpm_course.lessons.exact import ExactModel, Gaussian, GaussianMixture
from ddpm_course.lessons.mixture import lesson_mixture
from ddpm_course.lessons.variants import Autoguided, ClassifierGuided, Rescaled, cfg_plus_plus_process
from ddpm_course.parameterization import VelocityModel, predict_pair
from ddpm_course.sampling import guided_eps, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import DDIM

SCHEDULE = NoiseSchedule.cosine()
SIGNAL, NOISE = SCHEDULE.alpha_bars.sqrt(), (1 - SCHEDULE.alpha_bars).sqrt()
TIMES, LABELS = torch.tensor([1, 20, 75, 149, 150, 75]), torch.tensor([0, 1, 2, 2, 0, 1])
SHARES = (0.2, 0.5, 0.3)
PARTS = (Gaussian([3.0, 0.0], 0.5), Gaussian([-2.0, 1.0], torch.tensor([[1.0, 0.6], [0.6, 2.0]]).double()),
         Gaussian([0.0, -3.0], 0.1))
MIXTURE = Wrapped(ExactModel.labelled(SCHEDULE, GaussianMixture(SHARES, PARTS)))


class Bayes(nn.Module):
    """log π_k + log p(x_t | k) of MIXTURE by torch's own densities, each sample at its own t."""

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        a, s = SIGNAL[t][:, None], NOISE[t][:, None]             # (B, 1)
        logits = []
        for share, part in zip(SHARES, PARTS):
            covariance = (a**2)[..., None] * part.covariance + (s**2)[..., None] * torch.eye(2).double()
            density = MultivariateNormal(a * part.mean, covariance)
            logits.append(math.log(share) + density.log_prob(x_t))
        return torch.stack(logits, dim=1)


class Rolled(nn.Module):
    """A v-network for (B, 1, 4, 4), in any dtype, whose spread depends on the class."""

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        strength = torch.full((len(x_t),), -0.5) if c is None else 0.3 + 0.4 * c
        return strength.to(x_t).reshape(-1, 1, 1, 1) * x_t.roll(1, -1) + 0.2


class Watched(nn.Module):
    """A model or a classifier that notes in each pass its own mode and that of a part."""

    def __init__(self, answer: nn.Module) -> None:
        super().__init__()
        self.answer, self.part, self.modes = answer, nn.Dropout(0.5), set()

    def forward(self, *asked: Tensor) -> Tensor:
        self.modes.add((self.training, self.part.training))
        return self.answer(*asked)


def plane(n: int = len(TIMES)) -> Tensor:
    return 2 * torch.randn(n, 2, generator=seeded(3), dtype=torch.float64)


def images() -> Tensor:
    return torch.randn(len(TIMES), 1, 4, 4, generator=seeded(4), dtype=torch.float64)


def draw(model: nn.Module, x_T: Tensor, w: float | Tensor, *, steps: int = 10) -> Tensor:
    return sample(model, SCHEDULE, x_T, LABELS[:len(x_T)], w, solver=DDIM(), steps=steps, clip=False)


@pytest.mark.parametrize("w", [-0.5, 0.0, 1.0, 8.0, torch.tensor([0.0, -1.0, 2.0, 9.0, 0.5, 3.0])])
def test_autoguidance_by_the_model_itself_is_no_guidance(w: float | Tensor) -> None:
    itself = Autoguided(MIXTURE, MIXTURE)
    torch.testing.assert_close(draw(itself, plane(), w), draw(MIXTURE, plane(), 0.0), rtol=1e-9, atol=1e-9)


def test_autoguidance_equals_a_guide_by_hand_from_two_known_gaussians() -> None:
    strong, weak, without_class = (0.5, 0.3), (0.2, 0.8), (9.0, 9.0)             # mean and variance of each
    model = Autoguided(GaussianModel(SCHEDULE, *strong, *without_class),
                       GaussianModel(SCHEDULE, *weak, *without_class))
    x_t, a, s = plane(), SIGNAL[TIMES][:, None], NOISE[TIMES][:, None]
    good, bad = (s * (x_t - a * mean) / (a**2 * variance + s**2) for mean, variance in (strong, weak))
    for found, expected in zip(predict_pair(model, x_t, TIMES, LABELS), (good, bad), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model(x_t, TIMES, LABELS), good, rtol=1e-12, atol=1e-12)
    for w in (0.0, 0.5, 3.0):
        guided = guided_eps(model, x_t[2:3], 75, LABELS[2:3], w)
        torch.testing.assert_close(guided, (good + w * (good - bad))[2:3], rtol=1e-10, atol=1e-10)


def test_autoguidance_asks_both_models_for_the_same_class() -> None:
    strong, weak = (Wrapped(lesson_mixture(SCHEDULE, blur=blur)) for blur in (0.0, 0.4))
    for c in range(3):
        guided = guided_eps(Autoguided(strong, weak), plane(), 75, torch.full((len(TIMES),), c), 2.0)
        expected = 3 * strong.exact.eps(plane(), 75, c) - 2 * weak.exact.eps(plane(), 75, c)
        torch.testing.assert_close(guided, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("model", [
    Autoguided(MIXTURE, MIXTURE),
    ClassifierGuided(MIXTURE, Bayes(), SCHEDULE),
    Rescaled(VelocityModel(Rolled(), SCHEDULE), 1.0)], ids=lambda model: type(model).__name__)
def test_without_a_class_there_is_no_prediction_and_the_error_says_so(model: nn.Module) -> None:
    x_T = images() if isinstance(model, Rescaled) else plane()
    message = f"{type(model).__name__}.*w = -1 and c = None.*plain model"
    for c, w in ((LABELS, -1.0), (None, 0.0)):
        with pytest.raises(ValueError, match=message):
            sample(model, SCHEDULE, x_T, c, w, steps=2)
    with pytest.raises(ValueError, match=message):
        model(x_T, TIMES)


@pytest.mark.parametrize("kind", ["auto", "classifier", "CFG++"])
@pytest.mark.parametrize("fails", [False, True])
def test_every_part_is_in_eval_mode_while_sampling_and_then_as_it_was(kind: str, fails: bool) -> None:
    one, other = Watched(MIXTURE), Watched(Bayes() if kind == "classifier" else MIXTURE)
    model = ClassifierGuided(one, other, SCHEDULE) if kind == "classifier" else Autoguided(one, other)
    model.train()
    other.eval()
    other.part.train()
    before = [part.training for part in model.modules()]
    assert True in before and False in before
    c = LABELS + 7 if fails else LABELS                          # no such class: an IndexError on the way
    try:
        if kind == "CFG++":
            for _ in cfg_plus_plus_process(model, SCHEDULE, plane(), c, 0.5, steps=3):
                assert [part.training for part in model.modules()] == before     # between two steps, too
        else:
            sample(model, SCHEDULE, plane(), c, 1.5, steps=3)
    except IndexError:
        assert fails
    else:
        assert not fails and other.modes == {(False, False)}
    assert [part.training for part in model.modules()] == before and one.modes == {(False, False)}


@pytest.mark.parametrize("w", [0.0, 0.7, 3.0])
def test_an_exact_classifier_guides_as_the_exact_null_does(w: float) -> None:
    """By Bayes' rule ∇ log p(c | x_t) = ∇ log p(x_t | c) - ∇ log p(x_t), so both predictions are one."""
    guided = ClassifierGuided(MIXTURE, Bayes(), SCHEDULE)
    for t in (1, 10, 75, 140, 150):
        free = guided_eps(MIXTURE, plane(), t, LABELS, w)
        torch.testing.assert_close(guided_eps(guided, plane(), t, LABELS, w), free, rtol=0, atol=1e-8)
    x_0 = draw(guided, plane(), w, steps=25)
    torch.testing.assert_close(x_0, draw(MIXTURE, plane(), w, steps=25), rtol=0, atol=1e-8)
    assert w == 0 or not torch.allclose(x_0, draw(MIXTURE, plane(), 0.0, steps=25), atol=0.01)


def test_an_exact_classifiers_null_is_the_exact_null_at_each_samples_own_t_and_class() -> None:
    eps_c, eps_null = predict_pair(ClassifierGuided(MIXTURE, Bayes(), SCHEDULE), plane(), TIMES, LABELS)
    torch.testing.assert_close(eps_c, MIXTURE(plane(), TIMES, LABELS), rtol=0, atol=1e-10)
    torch.testing.assert_close(eps_null, MIXTURE(plane(), TIMES, None), rtol=0, atol=1e-8)


def test_the_labs_bayes_classifier_guides_as_the_lessons_null_does() -> None:
    lesson = Wrapped(lesson_mixture(SCHEDULE))
    guided = ClassifierGuided(lesson, BayesClassifier(lesson.exact), SCHEDULE)
    torch.testing.assert_close(draw(guided, plane(), 2.0), draw(lesson, plane(), 2.0), rtol=0, atol=1e-8)


@pytest.mark.parametrize("w", [-1.0, 0.0, 0.5, 4.0])
def test_rescaled_with_phi_0_is_plain_guidance(w: float) -> None:
    plain = VelocityModel(Rolled(), SCHEDULE)
    rescaled = Rescaled(plain, w, 0.0)
    torch.testing.assert_close(draw(rescaled, images(), 0.0), draw(plain, images(), w), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("phi", [0.0, 0.7, 1.0])
def test_rescaled_scales_the_guided_v_by_one_number_per_image(phi: float) -> None:
    x_t, net, w = images(), Rolled(), 3.0
    v_c, v_null = net(x_t, TIMES, LABELS), net(x_t, TIMES)
    v = v_c + w * (v_c - v_null)
    ratios = torch.stack([one.std() / other.std() for one, other in zip(v_c, v)])
    factor = (phi * ratios + 1 - phi).reshape(-1, 1, 1, 1)
    a, s = SIGNAL[TIMES].reshape(-1, 1, 1, 1), NOISE[TIMES].reshape(-1, 1, 1, 1)
    eps = Rescaled(VelocityModel(net, SCHEDULE), w, phi)(x_t, TIMES, LABELS)
    torch.testing.assert_close(eps, s * x_t + a * factor * v, rtol=1e-10, atol=1e-10)


def test_rescaled_with_phi_1_has_the_spread_of_the_conditional_v() -> None:
    x_t, net = images(), Rolled()
    eps = Rescaled(VelocityModel(net, SCHEDULE), 3.0, 1.0)(x_t, TIMES, LABELS)
    v = torch.stack([(e - NOISE[t] * x) / SIGNAL[t] for e, t, x in zip(eps, TIMES, x_t)])
    spread = net(x_t, TIMES, LABELS).std(dim=(1, 2, 3))
    torch.testing.assert_close(v.std(dim=(1, 2, 3)), spread, rtol=1e-9, atol=0)
    assert spread.max() > 2 * spread.min()                       # and not all images' spreads are one


def test_rescaled_is_guided_already_so_that_a_second_guidance_is_refused() -> None:
    with pytest.raises(ValueError, match="Rescaled has no prediction without a class"):
        draw(Rescaled(VelocityModel(Rolled(), SCHEDULE), 1.0), images(), 1.0)


@pytest.mark.parametrize("lam, steps", [(0.0, 7), (0.05, 30), (0.4, 7), (1.0, 7), (1.0, 1)])
def test_cfg_plus_plus_is_guided_ddim_with_a_w_of_the_step(lam: float, steps: int) -> None:
    frames = list(cfg_plus_plus_process(MIXTURE, SCHEDULE, plane(), LABELS, lam, steps=steps))
    times = [t for t, _, _ in frames]
    assert times[0] == 150 and times[-1] == 0 and len(times) == steps + 1
    assert torch.equal(frames[0][1], plane())
    assert torch.equal(frames[-1][1], frames[-1][2]) and torch.equal(frames[-1][1], frames[-2][2])
    half_log_snr = (SIGNAL / NOISE).log().tolist()               # λ_0 = ∞, so the last step has 1 + w = λ
    x = plane()
    for t, s, (_, x_t, x_0_hat) in zip(times[:-1], times[1:], frames):
        torch.testing.assert_close(x_t, x, rtol=1e-8, atol=1e-8)
        t_of_all = torch.full_like(LABELS, t)
        eps_c, eps_null = MIXTURE(x, t_of_all, LABELS), MIXTURE(x, t_of_all)
        denoise = eps_null + lam * (eps_c - eps_null)
        torch.testing.assert_close(x_0_hat, (x - NOISE[t] * denoise) / SIGNAL[t], rtol=1e-8, atol=1e-8)
        w = lam / (1 - math.exp(half_log_snr[t] - half_log_snr[s])) - 1
        eps = (1 + w) * eps_c - w * eps_null
        x = SIGNAL[s] * (x - NOISE[t] * eps) / SIGNAL[t] + NOISE[s] * eps
    torch.testing.assert_close(frames[-1][1], x, rtol=1e-8, atol=1e-8)


def test_cfg_plus_plus_never_clips_and_visits_every_t_unless_told() -> None:
    far = GaussianModel(SCHEDULE, 6.0, 0.01, 6.0, 0.01)
    frames = list(cfg_plus_plus_process(far, SCHEDULE, plane().requires_grad_(), LABELS, 1.0))
    assert [t for t, _, _ in frames] == list(range(150, -1, -1))
    assert all(x_0_hat.min() > 5 for _, _, x_0_hat in frames)
    assert not frames[-1][1].requires_grad                       # no graph is built over the steps


@pytest.mark.parametrize("lam", [-0.1, 1.5, math.nan])
def test_cfg_plus_plus_refuses_what_is_no_lambda(lam: float) -> None:
    with pytest.raises(ValueError, match="λ"):
        list(cfg_plus_plus_process(MIXTURE, SCHEDULE, plane(), LABELS, lam, steps=2))


@pytest.mark.parametrize("c", [None, torch.tensor([0])])
def test_cfg_plus_plus_wants_one_class_per_image(c: Tensor | None) -> None:
    with pytest.raises(ValueError, match="one class per image"):
        next(cfg_plus_plus_process(MIXTURE, SCHEDULE, torch.zeros(3, 2), c, 0.5, steps=2))
