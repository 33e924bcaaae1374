"""The sliders that the notebooks call, each a widget over a view; no mathematics.

    guidance_explorer   w, class, noise, steps, t     lesson 04
    mixture_explorer    w in the plane, exact scores  lesson 04
    noise_explorer      a noise level, or t           lessons 01 and 02
    trajectory_player   a reverse process, played     lesson 02
    steps_explorer      the number of steps           lesson 03
"""

from collections.abc import Iterable

import ipywidgets
import torch

from ddpm_course.checkpoints import TrainedJudge
from ddpm_course.lessons.mixture import MIXTURE_NAMES, lesson_mixture
from ddpm_course.parameterization import VelocityModel
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.show.guidance_view import ONE_OF_EACH, GuidanceView
from ddpm_course.show.mixture_view import SOLVER_NAMES, MixtureView
from ddpm_course.show.views import NoiseView, StepsView, TrajectoryView
from ddpm_course.show.widget_parts import (
    WIDE,
    PictureWidget,
    SliderWidget,
    in_row,
    layout_of,
    make_dropdown,
    make_slider,
)


class GuidanceWidget(PictureWidget):
    """The w slider with its companions. `w`, `interval`, `t`, `label`, `steps`, `seed` and `new_noise` are the
    controls, `image` is the picture, `caption` says in words what it shows; `view` does the work.
    """

    def __init__(self, view: GuidanceView, *, w: float = 0.0, label: int = ONE_OF_EACH, steps: int = 20,
                 seed: int = 0) -> None:
        self.view, T = view, view.schedule.T
        choices = [("one of each class", ONE_OF_EACH)] + [(n, k) for k, n in enumerate(view.class_names)]
        self.w = make_slider(ipywidgets.FloatSlider, w, -1, 8, "guidance w", step=0.5, readout_format=".1f")
        self.interval = make_slider(ipywidgets.IntRangeSlider, (1, T), 1, T, "guide for t in")
        self.t = make_slider(ipywidgets.IntSlider, min(60, T), 1, T, "look at t", width="430px")
        self.label = make_dropdown(choices, "class", label)
        self.steps = make_dropdown([s for s in (5, 10, 20, 50, 150) if s <= T], "steps", steps, width="200px")
        self.seed = ipywidgets.BoundedIntText(seed, min=0, max=999_999, description="noise seed", style=WIDE,
                                              layout=layout_of("240px"))
        self.new_noise = ipywidgets.Button(description="new noise", icon="random")
        rows = [self.w, in_row(self.interval, self.t), in_row(self.label, self.steps, self.seed, self.new_noise)]
        super().__init__(rows, [self.w, self.interval, self.t, self.label, self.steps, self.seed], width=1002)
        self.new_noise.on_click(self._next_noise)

    def setting(self) -> tuple[float, int, int, int]:
        """Return w, class, steps and seed."""
        return self.w.value, self.label.value, self.steps.value, self.seed.value

    def picture(self) -> tuple[bytes, str]:
        return (self.view.render(*self.setting(), self.t.value, self.interval.value),
                self.view.describe(*self.setting(), self.interval.value))

    def notice(self) -> str:
        if self.steps.value < 50 or self.view.remembers(*self.setting(), self.interval.value):
            return ""
        return f"drawing in {self.steps.value} steps …"

    def _next_noise(self, button: ipywidgets.Button) -> None:
        self.seed.value = (self.seed.value + 1) % (self.seed.max + 1)


def guidance_explorer(model: VelocityModel, judge: TrainedJudge | None = None, *, w: float = 0.0,
                      label: int = ONE_OF_EACH, steps: int = 20, seed: int = 0) -> GuidanceWidget:
    """Show the w slider for a class-conditional model: the same noise, another w.

    `label`: a class 0 … 9, or -1 for one of each. Without a judge the strip is not scored.
    """
    return GuidanceWidget(GuidanceView(model, judge), w=w, label=label, steps=steps, seed=seed)


class MixtureWidget(PictureWidget):
    """The w slider over three classes in the plane; `w`, `interval`, `label` and `solver` are the controls."""

    def __init__(self, view: MixtureView, *, w: float = 0.0) -> None:
        self.view, T = view, view.model.schedule.T
        self.w = make_slider(ipywidgets.FloatSlider, w, -1, 8, "guidance w", step=0.5, readout_format=".1f")
        self.interval = make_slider(ipywidgets.IntRangeSlider, (1, T), 1, T, "guide for t in")
        self.label = make_dropdown([(name, k) for k, name in enumerate(MIXTURE_NAMES)], "class", 0)
        self.solver = make_dropdown([(name, key) for key, name in SOLVER_NAMES.items()], "sampler", "ddim")
        super().__init__([self.w, self.interval, in_row(self.label, self.solver)],
                         [self.w, self.interval, self.label, self.solver], width=520)

    def picture(self) -> tuple[bytes, str]:
        setting = (self.w.value, self.label.value, self.solver.value, self.interval.value)
        return self.view.render(*setting), self.view.describe(*setting)


def mixture_explorer(*, w: float = 0.0) -> MixtureWidget:
    """Show guidance with exact scores on three classes in the plane, on the cosine schedule."""
    return MixtureWidget(MixtureView(lesson_mixture(NoiseSchedule.cosine())), w=w)


def noise_explorer(images: torch.Tensor, schedule: NoiseSchedule | None = None) -> SliderWidget:
    """Show images (n, 1, H, W) under noise: a slider over the noise level, or over t where a schedule is given."""
    if schedule is None:
        level = make_slider(ipywidgets.FloatSlider, 0.5, 0, 1, "noise level", step=0.05)
    else:
        level = make_slider(ipywidgets.IntSlider, schedule.T // 3, 0, schedule.T, "timestep t")
    level.continuous_update = True                               # a few milliseconds a picture
    return SliderWidget(NoiseView(images, schedule), level)


def trajectory_player(states: Iterable[tuple[int, torch.Tensor, torch.Tensor]], *, interval: int = 150) -> SliderWidget:
    """Play or scrub a reverse process, x_t above x̂_0: `states` as `reverse_process` yields them; `interval` in ms."""
    view = TrajectoryView(states)
    last = len(view.states) - 1
    step = make_slider(ipywidgets.IntSlider, 0, 0, last, "step")
    step.continuous_update = True
    play = ipywidgets.Play(value=0, min=0, max=last, interval=interval)
    play.observe(lambda change: setattr(step, "value", change["new"]), names="value")
    step.observe(lambda change: setattr(play, "value", change["new"]), names="value")
    return SliderWidget(view, step, play=play)


class StepsWidget(SliderWidget):
    """The steps slider of lesson 03."""

    def notice(self) -> str:
        return f"drawing in {self.slider.value} steps …" if self.slider.value >= 75 else ""


def steps_explorer(model: torch.nn.Module, schedule: NoiseSchedule, c: torch.Tensor | None = None) -> StepsWidget:
    """Show DDIM and the second-order solver from the same noise with few or many steps."""
    choices = [s for s in (2, 3, 5, 8, 10, 15, 20, 30, 50, 75, 100, 150) if s <= schedule.T]
    steps = ipywidgets.SelectionSlider(options=choices, value=min(choices, key=lambda s: abs(s - 10)),
                                       description="steps", continuous_update=False, style=WIDE,
                                       layout=layout_of("560px"))
    return StepsWidget(StepsView(model, schedule, c), steps)
