"""The sliders; the only module that imports ipywidgets, and no mathematics.

Each widget sets the bytes of one `Image` in place: nothing flickers, nothing piles up. Callbacks run synchronously, so
a test may set a `.value` and look. Written for ipywidgets 7.7 (Colab) and 8. Used in every notebook.
"""

import html
import io
from collections.abc import Iterable

import ipywidgets
import torch
from matplotlib.figure import Figure

from ddpm_course.checkpoints import TrainedJudge
from ddpm_course.explorer import COLUMNS, ONE_OF_EACH, GuidanceExplorer
from ddpm_course.mixture import CLASS_NAMES, SOLVER_NAMES, MixtureExplorer, lesson_mixture
from ddpm_course.parameterization import VelocityModel
from ddpm_course.plotting import plot_losses, show_grid
from ddpm_course.randomness import normal
from ddpm_course.sampling import IMAGE_SHAPE, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.training import TrainingRun
from ddpm_course.views import NoiseView, StepsView, TrajectoryView

_WIDE = {"description_width": "110px"}


def _layout(width: str) -> ipywidgets.Layout:
    """Return a layout of that width, or of the page's where the page is narrower."""
    return ipywidgets.Layout(width=width, max_width="100%")


def _slider(kind: type, value: float | tuple[int, int], low: float, high: float, text: str, width: str = "560px",
            **options) -> ipywidgets.Widget:
    """Return a slider that reports when it is let go."""
    return kind(value=value, min=low, max=high, description=text, continuous_update=False, style=_WIDE,
                layout=_layout(width), **options)


def _dropdown(options: list, text: str, value: int | str, width: str = "280px") -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(options=options, value=value, description=text, style=_WIDE, layout=_layout(width))


def _row(*controls: ipywidgets.Widget) -> ipywidgets.HBox:
    """Put controls beside each other, or under each other where the page is narrow."""
    return ipywidgets.HBox(controls, layout=ipywidgets.Layout(flex_flow="row wrap"))


def _words(text: str) -> str:
    return f'<div style="line-height: 1.4">{html.escape(text)}</div>'


def picture_frame(png: bytes = b"", *, width: int = 1002) -> ipywidgets.Image:
    """Return a frame that shows PNG bytes; set its `value` to show others in the same place, as while training."""
    return ipywidgets.Image(value=png, format="png", width=width, layout=ipywidgets.Layout(max_width="100%"))


class PictureWidget(ipywidgets.VBox):
    """A picture and its caption under some rows of controls; when a control moves, both are set in place.

    `picture()` returns the PNG bytes and the caption for the controls' values; `image` and `caption` show them.
    """

    def __init__(self, rows: list[ipywidgets.Widget], controls: list[ipywidgets.Widget], *, width: int) -> None:
        self.image, self.caption = picture_frame(width=width), ipywidgets.HTML()
        super().__init__([*rows, self.image, self.caption])
        for control in controls:
            control.observe(self._redraw, names="value")
        self._redraw(None)

    def picture(self) -> tuple[bytes, str]:
        """Return what to show."""
        raise NotImplementedError

    def notice(self) -> str:
        """Return what the caption says while a picture is drawn that takes seconds; nothing for the quick ones."""
        return ""

    def _redraw(self, change: dict | None) -> None:
        if notice := self.notice():
            self.caption.value = _words(notice)
        self.image.value, text = self.picture()
        self.caption.value = _words(text)


class GuidanceWidget(PictureWidget):
    """The w slider with its companions. `w`, `interval`, `t`, `label`, `steps`, `seed` and `new_noise` are the
    controls, `image` is the picture, `caption` says in words what it shows; `explorer` does the work.
    """

    def __init__(self, explorer: GuidanceExplorer, *, w: float = 0.0, label: int = ONE_OF_EACH, steps: int = 20,
                 seed: int = 0) -> None:
        self.explorer, T = explorer, explorer.schedule.T
        choices = [("one of each class", ONE_OF_EACH)] + [(n, k) for k, n in enumerate(explorer.class_names)]
        self.w = _slider(ipywidgets.FloatSlider, w, -1, 8, "guidance w", step=0.5, readout_format=".1f")
        self.interval = _slider(ipywidgets.IntRangeSlider, (1, T), 1, T, "guide for t in")
        self.t = _slider(ipywidgets.IntSlider, min(60, T), 1, T, "look at t", width="430px")
        self.label = _dropdown(choices, "class", label)
        self.steps = _dropdown([s for s in (5, 10, 20, 50, 150) if s <= T], "steps", steps, width="200px")
        self.seed = ipywidgets.BoundedIntText(seed, min=0, max=999_999, description="noise seed", style=_WIDE,
                                              layout=_layout("240px"))
        self.new_noise = ipywidgets.Button(description="new noise", icon="random")
        rows = [self.w, _row(self.interval, self.t), _row(self.label, self.steps, self.seed, self.new_noise)]
        super().__init__(rows, [self.w, self.interval, self.t, self.label, self.steps, self.seed], width=1002)
        self.new_noise.on_click(self._next_noise)

    def setting(self) -> tuple[float, int, int, int]:
        """Return w, class, steps and seed."""
        return self.w.value, self.label.value, self.steps.value, self.seed.value

    def picture(self) -> tuple[bytes, str]:
        return (self.explorer.render(*self.setting(), self.t.value, self.interval.value),
                self.explorer.describe(*self.setting(), self.interval.value))

    def notice(self) -> str:
        slow = self.steps.value >= 50 and not self.explorer.remembers(*self.setting(), self.interval.value)
        return f"drawing in {self.steps.value} steps …" * slow

    def _next_noise(self, button: ipywidgets.Button) -> None:
        self.seed.value = (self.seed.value + 1) % (self.seed.max + 1)


def guidance_explorer(model: VelocityModel, judge: TrainedJudge | None = None, *, w: float = 0.0,
                      label: int = ONE_OF_EACH, steps: int = 20, seed: int = 0) -> GuidanceWidget:
    """Show the w slider for a class-conditional model: the same noise, another w.

    `label`: a class 0 … 9, or -1 for one of each. Without a judge the strip is not scored.
    """
    return GuidanceWidget(GuidanceExplorer(model, judge), w=w, label=label, steps=steps, seed=seed)


class MixtureWidget(PictureWidget):
    """The w slider over three classes in the plane; `w`, `interval`, `label` and `solver` are the controls."""

    def __init__(self, explorer: MixtureExplorer, *, w: float = 0.0) -> None:
        self.explorer, T = explorer, explorer.model.schedule.T
        self.w = _slider(ipywidgets.FloatSlider, w, -1, 8, "guidance w", step=0.5, readout_format=".1f")
        self.interval = _slider(ipywidgets.IntRangeSlider, (1, T), 1, T, "guide for t in")
        self.label = _dropdown([(name, k) for k, name in enumerate(CLASS_NAMES)], "class", 0)
        self.solver = _dropdown([(name, key) for key, name in SOLVER_NAMES.items()], "sampler", "ddim")
        super().__init__([self.w, self.interval, _row(self.label, self.solver)],
                         [self.w, self.interval, self.label, self.solver], width=520)

    def picture(self) -> tuple[bytes, str]:
        setting = (self.w.value, self.label.value, self.solver.value, self.interval.value)
        return self.explorer.render(*setting), self.explorer.describe(*setting)


def mixture_explorer(*, w: float = 0.0) -> MixtureWidget:
    """Show guidance with exact scores on three classes in the plane, on the cosine schedule."""
    return MixtureWidget(MixtureExplorer(lesson_mixture(NoiseSchedule.cosine())), w=w)


class TrainingMonitor(ipywidgets.VBox):
    """A loss curve and a strip of samples, redrawn in place every `every` steps: pass `monitor.update` as `on_step`.

    The samples always start from the same noise, one per class, with guidance `w`.
    """

    def __init__(self, schedule: NoiseSchedule, labels: torch.Tensor, *, every: int = 50, w: float = 1.0,
                 steps: int = 10) -> None:
        self.schedule, self.labels, self.every, self.guidance, self.steps = schedule, labels, every, w, steps
        if len(labels) != COLUMNS:
            raise ValueError(f"the monitor draws {COLUMNS} samples: it needs as many labels; got {len(labels)}")
        self.noise = normal((COLUMNS, *IMAGE_SHAPE), generator=torch.Generator().manual_seed(0))
        self.image = ipywidgets.Image(format="png", width=900, layout=ipywidgets.Layout(max_width="100%"))
        self.caption = ipywidgets.HTML(_words("waiting for the first steps"))
        super().__init__([self.image, self.caption])

    def update(self, run: TrainingRun) -> None:
        """Redraw when it is time to; called by `train` after every step."""
        if run.step % self.every and run.step != run.recipe.steps:
            return
        device = next(run.ema.model.parameters()).device
        x_0 = sample(run.ema.model, self.schedule, self.noise.to(device), self.labels.to(device), self.guidance,
                     steps=self.steps).cpu()
        figure = Figure(figsize=(9, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 2))
        plot_losses(run.losses, ax=left)
        show_grid(x_0, columns=5, ax=right)
        right.set_title(f"samples of the averaged weights, w = {self.guidance:g}", fontsize=9)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100)
        self.image.value = buffer.getvalue()
        recent = run.losses[-20:]
        self.caption.value = _words(f"step {run.step} of {run.recipe.steps}: loss {sum(recent) / len(recent):.4f} "
                                    f"(mean of the last {len(recent)}); the same noise each time")


class SliderWidget(PictureWidget):
    """One slider over a view of `views`: `slider` is the control, `view` does the work."""

    def __init__(self, view: NoiseView | TrajectoryView | StepsView, slider: ipywidgets.Widget, *,
                 play: ipywidgets.Play | None = None, width: int = 1002) -> None:
        self.view, self.slider, self.play = view, slider, play
        super().__init__([slider] if play is None else [ipywidgets.HBox([play, slider])], [slider], width=width)

    def picture(self) -> tuple[bytes, str]:
        return self.view.render(self.slider.value), self.view.describe(self.slider.value)


def noise_explorer(images: torch.Tensor, schedule: NoiseSchedule | None = None) -> SliderWidget:
    """Show images (n, 1, H, W) under noise: a slider over the noise level, or over t where a schedule is given."""
    if schedule is None:
        slider = _slider(ipywidgets.FloatSlider, 0.5, 0, 1, "noise level", step=0.05)
    else:
        slider = _slider(ipywidgets.IntSlider, schedule.T // 3, 0, schedule.T, "timestep t")
    slider.continuous_update = True                              # a few milliseconds a picture
    return SliderWidget(NoiseView(images, schedule), slider)


def trajectory_player(states: Iterable[tuple[int, torch.Tensor, torch.Tensor]], *, interval: int = 150) -> SliderWidget:
    """Play or scrub a reverse process, x_t above x̂_0: `states` as `reverse_process` yields them; `interval` in ms."""
    view = TrajectoryView(states)
    last = len(view.states) - 1
    slider = _slider(ipywidgets.IntSlider, 0, 0, last, "step")
    slider.continuous_update = True
    play = ipywidgets.Play(value=0, min=0, max=last, interval=interval)
    play.observe(lambda change: setattr(slider, "value", change["new"]), names="value")
    slider.observe(lambda change: setattr(play, "value", change["new"]), names="value")
    return SliderWidget(view, slider, play=play)


class StepsWidget(SliderWidget):
    """The steps slider of lesson 03."""

    def notice(self) -> str:
        return f"drawing in {self.slider.value} steps …" * (self.slider.value >= 75)


def steps_explorer(model: torch.nn.Module, schedule: NoiseSchedule, c: torch.Tensor | None = None) -> StepsWidget:
    """Show DDIM and the second-order solver from the same noise with few or many steps."""
    choices = [s for s in (2, 3, 5, 8, 10, 15, 20, 30, 50, 75, 100, 150) if s <= schedule.T]
    slider = ipywidgets.SelectionSlider(options=choices, value=min(choices, key=lambda s: abs(s - 10)),
                                        description="steps", continuous_update=False, style=_WIDE,
                                        layout=_layout("560px"))
    return StepsWidget(StepsView(model, schedule, c), slider)
