"""Write the model card and the weights' checksums.

Takes a moment.

No figure is typed by hand: `ddpm_course/weights/README.md` is what `card` makes of the records, and a test compares the
two. `doctor` compares the weights with the checksums.
"""

from pathlib import Path

from ddpm_course.checkpoints import CHECKSUMS, WEIGHTS, checksums
from ddpm_course.data.images import FASHION_NAMES
from ddpm_course.records import load_record
from ddpm_course.runtime import Runtime
from ddpm_course.whole_files import write_whole


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Write the card and the checksums beside the weights (or into `out`)."""
    folder = out or WEIGHTS
    write_whole(folder / "README.md", card().encode("utf-8"))
    write_whole(folder / CHECKSUMS, checksums().encode("utf-8"))


def card() -> str:
    """Compose the card in Markdown."""
    model, judge, tradeoff, noisy = (load_record(name) for name in ("shipped_model", "judge", "tradeoff",
                                                                    "noisy_classifier"))
    return "\n".join([*_about(model, judge), _classifier(noisy), "", *_figures(tradeoff), "", *_classes(tradeoff), "",
                      *_limits()]) + "\n"


def _about(model: dict, judge: dict) -> list[str]:
    recipe, real, made = model["recipe"], judge["real_test_set"], model["made_with"]
    return [
        "# The shipped weights", "",
        "Written by `python -m ddpm_course.experiments model_card` from the records; stored as float16, measured as "
        "loaded.", "",
        f"* **`fashion.safetensors`**: class-conditional U-Net, {model['parameters']:,} parameters, predicts "
        f"{recipe['predicts']} on the {recipe['schedule']} schedule with T = {recipe['T']} and ᾱ_T = "
        f"{recipe['alpha_bar_T']:.1e}. Trained on the 60,000 training images of Fashion-MNIST (Xiao et al., arXiv "
        f"1708.07747; MIT licence), not mirrored, for {recipe['steps']:,} steps of {recipe['batch_size']} images "
        f"({model['epochs']:.1f} epochs): AdamW, learning rate {recipe['lr']} after {recipe['warmup']} steps of "
        f"warm-up, then half a cosine; weight decay {recipe['weight_decay']}, gradient norm clipped at "
        f"{recipe['clip_norm']}, EMA {recipe['ema_decay']}, p_uncond {recipe['p_uncond']}, seed {recipe['seed']}. "
        f"Made on {made['hardware']}, PyTorch {made['torch']}, {made['date']}. {model.get('note', '')}".rstrip(),
        f"* **`fashion_early.safetensors`**: the same run after {model['early_step']:,} steps; a weak guide for "
        "autoguidance, not for anything else.",
        f"* **`judge.safetensors`**: the classifier that scores generated images, {judge['recipe']['parameters']:,} "
        f"parameters, trained on the first {judge['recipe']['training_images']:,} training images for "
        f"{judge['recipe']['steps']:,} steps of {judge['recipe']['batch_size']}; accuracy on the 10,000 test images "
        f"{real['accuracy']:.2%}. With it ship the mean and covariance of its features on the test set."]


def _classifier(noisy: dict) -> str:
    first, last, recipe = noisy["levels"][0], noisy["levels"][-1], noisy["recipe"]
    return ("* **`classifier.safetensors`**: a classifier of noisy images, for classifier guidance and nothing else; "
            f"{noisy['parameters']:,} parameters, {recipe['steps']:,} steps of {recipe['batch_size']} of the 60,000 "
            f"training images, each under the noise of a random t. It recognises {first['accuracy']:.1%} of "
            f"{noisy['n']:,} test images at t = {first['t']} and {last['accuracy']:.1%} at t = {last['t']}.")


def _figures(tradeoff: dict) -> list[str]:
    real = tradeoff["real_test_set"]
    lines = [
        "## Figures", "",
        f"{tradeoff['sampler']}, {tradeoff['steps']} steps; 95 % intervals in brackets (of the accuracy Wilson's, of "
        "the others by jackknife over rows of 1,000 images, a seed each). Fréchet distance of the judge's features to "
        "the test set's, in per cent of their total variance; compare at equal n only. Diversity: variance within a "
        "class, the real test set's being 1.",
        "", "| w | images | judged accuracy | Fréchet distance, % | diversity | saturation |",
        "|---|---|---|---|---|---|"]
    for point in tradeoff["points"]:
        cells = [f"{point['w']:g}", f"{point['n']:,}", _share(point, "accuracy", 2),
                 _plain(point, "frechet_percent", 2), _plain(point, "diversity", 3), _share(point, "saturation", 2)]
        lines.append("| " + " | ".join(cells) + " |")
    for n, frechet in real["frechet_of_unseen"].items():
        lines.append(f"| real images that the judge never saw | {int(n):,} | | "
                     f"{100 * frechet / real['total_variance']:.2f} | | |")
    lines.append(f"| real test set | {real['n']:,} | {real['accuracy']:.2%} | 0 | 1 | {real['saturation']:.2%} |")
    return lines


def _share(point: dict, name: str, digits: int) -> str:
    low, high = point["intervals"][name]
    return f"{point[name]:.{digits}%} [{low:.{digits}%}, {min(high, 1.0):.{digits}%}]"


def _plain(point: dict, name: str, digits: int) -> str:
    low, high = point["intervals"][name]
    return f"{point[name]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _classes(tradeoff: dict) -> list[str]:
    shown = [point for point in tradeoff["points"] if point["w"] in (0.0, 2.0)]
    lines = ["Judged accuracy by class:", "", "| class | " + " | ".join(f"w = {p['w']:g}" for p in shown)
             + " | real test set |", "|---" * (len(shown) + 2) + "|"]
    for k, name in enumerate(FASHION_NAMES):
        cells = [f"{point['class_accuracy'][k]:.1%}" for point in shown]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {tradeoff['real_test_set']['class_accuracy'][k]:.1%} |")
    return lines


def _limits() -> list[str]:
    return ["## What they are for", "",
            "Teaching. The images are 28 × 28 photographs of clothes and nothing else; the figures depend on this "
            "judge, whose features are not those of the Inception network, and compare with no published FID."]
