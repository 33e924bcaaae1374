"""How fast is the guidance slider on this machine, now? `python tests/benchmarks/guidance_slider.py` tells.

A new strip is ten garments in 20 guided steps with the judge's verdict and the picture. A strip that was seen
before is only looked up.
"""

import statistics
import time
from collections.abc import Callable

import torch

from ddpm_course.checkpoints import load_checkpoint, load_judge
from ddpm_course.parameterization import predict_pair
from ddpm_course.randomness import normal
from ddpm_course.sampling import IMAGE_SHAPE
from ddpm_course.show.guidance_view import ONE_OF_EACH, GuidanceView
from ddpm_course.show.sliders import GuidanceWidget


def seconds(function: Callable[[], object], repeats: int = 9) -> list[float]:
    """Time a function several times, after one call to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def main() -> None:
    """Time moves to new strips and to ones seen before, and the shared encoder against two passes."""
    model, judge = load_checkpoint("fashion"), load_judge()
    view, seeds = GuidanceView(model, judge), iter(range(10_000))
    new = seconds(lambda: view.render(2.0, ONE_OF_EACH, 20, next(seeds), 60))
    widget = GuidanceWidget(view)
    widget.w.value = 1.0
    values = iter([0.0, 1.0] * 100)
    seen = seconds(lambda: setattr(widget.w, "value", next(values)), repeats=50)
    print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    print(f"new strip: median {statistics.median(new):.3f} s, best {min(new):.3f} s, worst {max(new):.3f} s")
    print(f"strip seen before, by the slider's callback: median {1000 * statistics.median(seen):.1f} ms, "
          f"worst {1000 * max(seen):.1f} ms")
    for n in (1, 10, 100):
        x_t, t, c = normal((n, *IMAGE_SHAPE)), torch.full((n,), 60), torch.arange(n) % 10
        with torch.no_grad():
            two = statistics.median(seconds(lambda: (model(x_t, t, c), model(x_t, t, None))))
            pair = statistics.median(seconds(lambda: predict_pair(model, x_t, t, c)))
        print(f"n = {n:3}: two passes take {two / pair:.2f} times as long as the shared encoder")


if __name__ == "__main__":
    main()
