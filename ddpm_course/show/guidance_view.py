"""What stands behind the guidance slider: (w, class, steps, seed, t, interval) → one picture, remembered.

The seed fixes the starting noise x_T, and neither w nor the class touches it: what changes between two pictures of one
seed is the guidance alone. No widget appears here; `sliders.guidance_explorer` only wraps `GuidanceView.render`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ddpm_course.checkpoints import TrainedJudge
from ddpm_course.data.images import FASHION_NAMES
from ddpm_course.evaluation import judge_images
from ddpm_course.parameterization import VelocityModel, predict_pair
from ddpm_course.randomness import normal
from ddpm_course.sampling import IMAGE_SHAPE, reverse_process, step_times
from ddpm_course.show.pictures import Row, gray, screen, signed

COLUMNS = 10
ONE_OF_EACH = -1


@dataclass(frozen=True)
class Strip:
    """One finished run: labels (10,), images (10, 1, 28, 28), the judge's confidence (10,), and x_t by t."""

    labels: Tensor
    images: Tensor
    confidence: Tensor
    states: dict[int, Tensor]


class GuidanceView:
    """Draw ten garments for a setting and show what the two predictions said on the way.

    `label` is a class or ONE_OF_EACH. Finished strips and pictures are remembered (`memory` of them, the oldest go
    first). Raises ValueError for a label, step count, t or w out of range.
    """

    def __init__(self, model: VelocityModel, judge: TrainedJudge | None = None, *, memory: int = 100,
                 class_names: tuple[str, ...] = FASHION_NAMES) -> None:
        self.model, self.schedule, self.judge, self.memory = model, model.schedule, judge, memory
        self.class_names = class_names
        self._strips: dict[tuple, Strip] = {}
        self._picture = lru_cache(maxsize=memory)(self._drawn)

    def labels(self, label: int) -> Tensor:
        """Return the ten labels of a strip: (10,) int64."""
        if label == ONE_OF_EACH:
            return torch.arange(COLUMNS) % len(self.class_names)
        if not 0 <= label < len(self.class_names):
            raise ValueError(f"class must be 0 … {len(self.class_names) - 1}, or {ONE_OF_EACH} for one of each; "
                             f"got {label}")
        return torch.full((COLUMNS,), label)

    def strip(self, w: float, label: int, steps: int, seed: int, interval: tuple[int, int] | None = None) -> Strip:
        """Draw the ten garments (or remember them): DPM-Solver++ 2M from the noise of `seed`."""
        key = self._key(w, label, steps, seed, interval)
        if key not in self._strips:
            labels, device = self.labels(label), next(self.model.parameters()).device
            x_T = normal((COLUMNS, *IMAGE_SHAPE), generator=torch.Generator().manual_seed(seed), device=device)
            states = {t: x_t.cpu() for t, x_t, _ in
                      reverse_process(self.model, self.schedule, x_T, labels.to(device), float(w),
                                      interval=key[-1], steps=steps)}
            confidence = torch.full((COLUMNS,), float("nan"))
            if self.judge is not None:
                confidence = judge_images(self.judge.judge, states[0]).probabilities[torch.arange(COLUMNS), labels]
            self._strips[key] = Strip(labels, states[0], confidence, states)
            if len(self._strips) > self.memory:
                del self._strips[next(iter(self._strips))]       # the oldest
        return self._strips[key]

    def remembers(self, w: float, label: int, steps: int, seed: int, interval: tuple[int, int] | None = None) -> bool:
        """Say whether a strip would come at once."""
        return self._key(w, label, steps, seed, interval) in self._strips

    def _key(self, w: float, label: int, steps: int, seed: int, interval: tuple[int, int] | None) -> tuple:
        whole = (1, self.schedule.T)
        return round(float(w), 6), label, steps, seed, whole if interval is None else tuple(interval)

    @torch.no_grad()
    def predictions(self, strip: Strip, t: int) -> tuple[int, Tensor, Tensor]:
        """Return (t', ε_c, ε_∅) of the step nearest to t, each (10, 1, 28, 28): what the network said there."""
        if not 1 <= t <= self.schedule.T:
            raise ValueError(f"t must lie in 1 … {self.schedule.T}; got {t}")
        nearest = min((step for step in strip.states if step > 0), key=lambda step: abs(step - t))
        device = next(self.model.parameters()).device
        x_t, times = strip.states[nearest].to(device), torch.full((COLUMNS,), nearest, device=device)
        eps_c, eps_null = predict_pair(self.model, x_t, times, strip.labels.to(device))
        return nearest, eps_c.cpu(), eps_null.cpu()

    def render(self, w: float, label: int, steps: int, seed: int, t: int,
               interval: tuple[int, int] | None = None) -> bytes:
        """Return the whole picture as PNG bytes: garments, the judge's confidence, ε_c, ε_∅ and ε_c - ε_∅."""
        return self._picture(*self._key(w, label, steps, seed, interval), t)

    def _drawn(self, w: float, label: int, steps: int, seed: int, interval: tuple[int, int], t: int) -> bytes:
        strip = self.strip(w, label, steps, seed, interval)
        nearest, eps_c, eps_null = self.predictions(strip, t)
        sure = ["not scored" if math.isnan(p) else f"{100 * p:.0f} %" for p in strip.confidence.tolist()]
        captions = tuple(f"{self.class_names[k]}\n{text}" for k, text in zip(strip.labels.tolist(), sure))
        return screen([
            Row(f"garments\nw = {w:g}\n\njudge's\nconfidence", gray(strip.images), captions),
            Row(f"x_t, t = {nearest}", gray(strip.states[nearest] / 2)),
            Row("ε_c\nwith class", signed(eps_c, 3.0)), Row("ε_∅\nno class", signed(eps_null, 3.0)),
            Row("ε_c − ε_∅\n12 × enlarged", signed(eps_c - eps_null, 0.25))])

    def describe(self, w: float, label: int, steps: int, seed: int, interval: tuple[int, int] | None = None) -> str:
        """Say in words what the picture shows, for readers who cannot see it."""
        strip = self.strip(w, label, steps, seed, interval)
        what = "one garment of each class" if label == ONE_OF_EACH else f"ten of class {self.class_names[label]}"
        text = f"{what}, w = {w:g}, {steps} steps, noise seed {seed}"
        if interval is not None and tuple(interval) != (1, self.schedule.T):
            text += f", guided only for t in {interval[0]} … {interval[1]}"
        if self.judge is None:
            return f"{text}; not scored"
        sure = int((strip.confidence > 0.5).sum())
        return (f"{text}: the judge recognises {sure} of {COLUMNS}, mean confidence "
                f"{100 * strip.confidence.mean():.0f} %")

    def times(self, steps: int) -> list[int]:
        """List the timesteps at which predictions can be shown: T … the last one above 0."""
        return step_times(self.schedule.T, steps)[:-1]
