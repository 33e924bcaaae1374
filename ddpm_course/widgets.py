"""The sliders; the only module that imports ipywidgets, and no mathematics.

Each widget sets the bytes of one `Image` in place: nothing flickers, nothing piles up. Callbacks run synchronously, so
a test may set a `.value` and look. Written for ipywidgets 7.7 (Colab) and 8. Used in notebook 04.
"""

import html
import io

import ipywidgets
import torch
from matplotlib.figure import Figure

from ddpm_course.checkpoints import TrainedJudge
from ddpm_course.explorer import COLUMNS, ONE_OF_EACH, GuidanceExplorer
from ddpm_course.mixture import CLASS_NAMES, MixtureExplorer, lesson_mixture
from ddpm_course.parameterization import VelocityModel
from ddpm_course.plotting import plot_losses, show_grid
from ddpm_course.randomness import normal
from ddpm_course.sampling import IMAGE_SHAPE, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.training import TrainingRun

_WIDE = {"description_width": "110px"}


class GuidanceWidget(ipywidgets.VBox):
    """The w slider with its companions. `w`, `interval`, `t`, `label`, `steps`, `seed` and `new_noise` are the
    controls, `image` is the picture, `caption` says in words what it shows; `explorer` does the work.
    """

    def __init__(self, explorer: GuidanceExplorer, *, w: float = 0.0, label: int = ONE_OF_EACH, steps: int = 20,
                 seed: int = 0) -> None:
        self.explorer = explorer
        wide, narrow = ipywidgets.Layout(width="560px"), ipywidgets.Layout(width="280px")
        choices = [("one of each class", ONE_OF_EACH)] + [(n, k) for k, n in enumerate(explorer.class_names)]
        self.w = ipywidgets.FloatSlider(w, min=-1, max=8, step=0.5, description="guidance w", layout=wide,
                                        style=_WIDE, continuous_update=False, readout_format=".1f")
        self.interval = ipywidgets.IntRangeSlider(value=(1, explorer.schedule.T), min=1, max=explorer.schedule.T,
                                                  description="guide for t in", layout=wide, style=_WIDE,
                                                  continuous_update=False)
        self.t = ipywidgets.IntSlider(60, min=1, max=explorer.schedule.T, description="look at t", layout=wide,
                                      style=_WIDE, continuous_update=False)
        self.label = ipywidgets.Dropdown(options=choices, value=label, description="class", layout=narrow, style=_WIDE)
        self.steps = ipywidgets.Dropdown(options=[s for s in (5, 10, 20, 50, 150) if s <= explorer.schedule.T],
                                         value=steps, description="steps", layout=narrow, style=_WIDE)
        self.seed = ipywidgets.BoundedIntText(seed, min=0, max=999_999, description="noise seed", layout=narrow,
                                              style=_WIDE)
        self.new_noise = ipywidgets.Button(description="new noise", icon="random")
        self.image = ipywidgets.Image(format="png", width=1002, layout=ipywidgets.Layout(max_width="100%"))
        self.caption = ipywidgets.HTML()
        controls = ipywidgets.VBox([self.w, self.interval, self.t, ipywidgets.HBox([self.label, self.steps]),
                                    ipywidgets.HBox([self.seed, self.new_noise])])
        super().__init__([controls, self.image, self.caption])
        for control in (self.w, self.interval, self.t, self.label, self.steps, self.seed):
            control.observe(self._redraw, names="value")
        self.new_noise.on_click(self._next_noise)
        self._redraw(None)

    def _redraw(self, change: dict | None) -> None:
        setting = (self.w.value, self.label.value, self.steps.value, self.seed.value)
        self.image.value = self.explorer.render(*setting, self.t.value, self.interval.value)
        self.caption.value = f"<p>{html.escape(self.explorer.describe(*setting, self.interval.value))}</p>"

    def _next_noise(self, button: ipywidgets.Button) -> None:
        self.seed.value = (self.seed.value + 1) % (self.seed.max + 1)


def guidance_explorer(model: VelocityModel, judge: TrainedJudge | None = None, *, w: float = 0.0,
                      label: int = ONE_OF_EACH, steps: int = 20, seed: int = 0) -> GuidanceWidget:
    """Show the w slider for a class-conditional model: the same noise, another w.

    `label`: a class 0 … 9, or -1 for one of each. Without a judge the strip is not scored.
    """
    return GuidanceWidget(GuidanceExplorer(model, judge), w=w, label=label, steps=steps, seed=seed)


class MixtureWidget(ipywidgets.VBox):
    """The w slider over three classes in the plane; `w`, `interval`, `label` and `solver` are the controls."""

    def __init__(self, explorer: MixtureExplorer, *, w: float = 0.0) -> None:
        self.explorer, T = explorer, explorer.model.schedule.T
        wide, narrow = ipywidgets.Layout(width="520px"), ipywidgets.Layout(width="260px")
        self.w = ipywidgets.FloatSlider(w, min=-1, max=8, step=0.5, description="guidance w", layout=wide,
                                        style=_WIDE, continuous_update=False, readout_format=".1f")
        self.interval = ipywidgets.IntRangeSlider(value=(1, T), min=1, max=T, description="guide for t in", layout=wide,
                                                  style=_WIDE, continuous_update=False)
        self.label = ipywidgets.Dropdown(options=[(name, k) for k, name in enumerate(CLASS_NAMES)],
                                         description="class", layout=narrow, style=_WIDE)
        self.solver = ipywidgets.Dropdown(options=[("DDIM", "ddim"), ("DDPM", "ddpm"), ("DPM-Solver++ 2M", "dpm")],
                                          description="sampler", layout=narrow, style=_WIDE)
        self.image = ipywidgets.Image(format="png", width=520, layout=ipywidgets.Layout(max_width="100%"))
        self.caption = ipywidgets.HTML()
        controls = [self.w, self.interval, ipywidgets.HBox([self.label, self.solver])]
        super().__init__([*controls, self.image, self.caption])
        for control in (self.w, self.interval, self.label, self.solver):
            control.observe(self._redraw, names="value")
        self._redraw(None)

    def _redraw(self, change: dict | None) -> None:
        setting = (self.w.value, self.label.value, self.solver.value, self.interval.value)
        self.image.value = self.explorer.render(*setting)
        self.caption.value = f"<p>{html.escape(self.explorer.describe(*setting))}</p>"


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
        self.caption = ipywidgets.HTML("<p>waiting for the first steps</p>")
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
        self.caption.value = (f"<p>step {run.step} of {run.recipe.steps}: loss {sum(recent) / len(recent):.4f} "
                              f"(mean of the last {len(recent)}); the same noise each time</p>")
