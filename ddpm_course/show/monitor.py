"""A training, watched: the loss so far and what the averaged weights draw, redrawn in place."""

import io

import ipywidgets
import torch
from matplotlib.figure import Figure

from ddpm_course.randomness import normal
from ddpm_course.sampling import IMAGE_SHAPE, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.show.guidance_view import COLUMNS
from ddpm_course.show.plotting import plot_losses, show_grid
from ddpm_course.show.widget_parts import in_words, picture_frame
from ddpm_course.training import TrainingRun


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
        self.image = picture_frame(width=900)
        self.caption = ipywidgets.HTML(in_words("waiting for the first steps"))
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
        self.caption.value = in_words(f"step {run.step} of {run.recipe.steps}: loss {sum(recent) / len(recent):.4f} "
                                    f"(mean of the last {len(recent)}); the same noise each time")
