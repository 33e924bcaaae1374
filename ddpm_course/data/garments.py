"""Ten garments, drawn: what the lessons train on where Fashion-MNIST is not to be had.

The pictures have Fashion-MNIST's size, classes and look (grey on black, shirts from the front, shoes from the side with
the toe on the left). No file is behind them: each is drawn from its label and its style, a row of random numbers.
`load_fashion` in `images` says so when they stand in.
"""

import torch
from torch import Tensor

from ddpm_course.data.drawing import SIZE, STYLE, Number, Pen, Point, common, join
from ddpm_course.randomness import uniform


def draw_t_shirt(pen: Pen) -> None:
    """A straight body, short sleeves that stand out, a round neck."""
    top, hem, half, wide = pen.vary(-12.5, -11), pen.vary(10, 13), pen.vary(6.2, 7.8), pen.vary(2.8, 4)
    x, y, thick = half + pen.vary(3.2, 4.6), top + pen.vary(6.5, 9), pen.vary(2.6, 3.3)
    body = pen.panel([(top, wide), (top + 1.5, half), (hem, half + pen.vary(-0.5, 0.8))])
    sleeve = common(pen.limb((half - 2, top + 3), (x, y), thick), (pen.x - x) * 0.6 + (pen.y - y) * 0.8 - 0.5)
    neck = pen.oval(0, top - 0.4, wide + 0.3, pen.vary(1.8, 3.4))
    pen.paint(common(join(body, sleeve), -neck), pen.cloth, rim=0.3)


def draw_trouser(pen: Pen) -> None:
    """Two legs from a waistband, with a gap between them that opens downwards."""
    top, hem, waist, crotch = pen.vary(-13.5, -12.5), pen.vary(12, 13.5), pen.vary(3.6, 4.8), pen.vary(-7, -4)
    gap, width = pen.vary(0.9, 3.1), pen.vary(2.7, 3.8)
    outside = pen.panel([(top, waist), (top + 5, waist + 0.8), (hem, gap + width)])
    pen.paint(common(outside, -pen.panel([(crotch, 0.0), (hem + 1, gap)])), pen.cloth, rim=0.35)
    pen.paint(common(outside, (pen.y - top - 1.8).abs() - 0.35), 0.65 * pen.cloth)


def sleeved(pen: Pen, body: tuple[Number, Number, Number], *, flare: Number, reach: Number, cuff: Number) -> Tensor:
    """Join a body (top, half width, hem) and long sleeves: the cut of pullovers, coats and shirts."""
    top, half, hem = body
    middle = pen.panel([(top, 3.8), (top + 1.5, half), (top + 8, half - 0.5), (hem, half + flare)])
    sleeve = pen.limb((half - 1.2, top + 3.2), (half + reach, cuff), 2.7, 1.9)
    return join(middle, common(sleeve, pen.y - cuff - 0.5))


def draw_pullover(pen: Pen) -> None:
    """Long sleeves, and ribs at the neck, the cuffs and the hem."""
    top, half, hem, cuff = pen.vary(-12, -10.5), pen.vary(5.8, 6.8), pen.vary(10, 12), pen.vary(8.5, 11)
    shape = sleeved(pen, (top, half, hem), flare=pen.vary(-0.5, 0.3), reach=pen.vary(3.4, 4.6), cuff=cuff)
    neck = pen.oval(0, top - 0.3, 4.5, pen.vary(1.8, 2.8))
    ribs = join(hem - 1.6 - pen.y, common(cuff - 1 - pen.y, half + 0.8 - pen.x), neck - 1.3)
    pen.paint(common(shape, -neck), pen.cloth, rim=0.35)
    pen.paint(common(shape, ribs, -neck), 0.7 * pen.cloth)


def draw_dress(pen: Pen) -> None:
    """Short sleeves, a narrow waist, and a pleated skirt that flares to the hem."""
    waist, slim, bust = pen.vary(-4.5, -1.5), pen.vary(2.3, 3.2), pen.vary(3.2, 4.2)
    skirt = [(waist, slim), (waist + 4, slim + pen.vary(1.2, 2.4)), (13.2, pen.vary(5.2, 8.2))]
    body = pen.panel([(-13.0, bust - 0.6), (-8.0, bust), *skirt])
    sleeve = pen.limb((bust - 1, -11.2), (bust + pen.vary(0, 2.6), pen.vary(-9, -7)), 1.7, 1.3)
    neck = pen.oval(0, -13.5, pen.vary(1.8, 2.6), pen.vary(2.5, 4.5))
    pen.paint(common(join(body, sleeve), -neck), pen.cloth, rim=0.35)
    pen.paint(common(body, (pen.y - waist).abs() - 0.6), pen.vary(0.5, 1) * pen.cloth)
    pen.paint(pen.limb((1.2, waist + 3), (2.4, 13), 0.35), 0.8 * pen.cloth)


def draw_coat(pen: Pen) -> None:
    """Long and wide, open in front from the lapels to the hem, with pockets."""
    top, half, close, pocket = pen.vary(-13.2, -12), pen.vary(6.8, 7.8), pen.vary(-5, -1), pen.vary(3, 5.5)
    whole = sleeved(pen, (top, half, 13.3), flare=pen.vary(0.4, 1.4), reach=pen.vary(2.8, 3.8), cuff=pen.vary(8, 10.5))
    coat = common(whole, -pen.panel([(-14.0, 2.6), (close, 0.2), (14.0, pen.vary(0.2, 0.9))]))
    pen.paint(coat, pen.cloth, rim=0.35)
    pen.paint(common(coat, pen.limb((3.0, top + 0.5), (1.4, close + 1), 2.0, 0.9)), 0.7 * pen.cloth)
    pen.paint(pen.limb((2.8, pocket), (5.4, pocket - 0.8)), 0.55 * pen.cloth)


def draw_shirt(pen: Pen) -> None:
    """A pointed collar, buttons on a seam, sleeves to below the elbow and a curved hem."""
    top, half, hem, cuff = pen.vary(-11.5, -10), pen.vary(5, 6), pen.vary(9.5, 11.5), pen.vary(1, 5)
    shape = sleeved(pen, (top, half, hem + 2), flare=pen.vary(0, 0.8), reach=pen.vary(4.4, 5.6), cuff=cuff)
    neck = pen.panel([(-14.0, 2.2), (top + 3.5, 0.1)])
    pen.paint(common(shape, -neck, -pen.oval(half + 1, hem + 3, 3.5, 3.2)), pen.cloth, rim=0.3)
    pen.paint(common(pen.limb((1.6, top - 0.6), (2.9, top + 2.6), 1.2, 0.6), -neck), 0.6 * pen.cloth)
    pen.paint(pen.limb((0, top + 4), (0, hem + 1.5), 0.35), 0.5 * pen.cloth)
    for button in range(4):
        pen.paint(pen.oval(0, top + 5.5 + 4 * button, 0.9, 0.9), pen.contrast)


def draw_sandal(pen: Pen) -> None:
    """An arched sole on a heel, a band over the toes and a strap round the ankle, nothing between them."""
    toe, ground, lift, wide = pen.vary(-13, -11.5), pen.vary(6.5, 8.5), pen.vary(1, 7), pen.vary(0.8, 1.2)
    ball, heel, ankle = (toe + 8.5, ground - 0.8), pen.vary(8.5, 10.5), ground - lift - pen.vary(7, 9)
    back = (heel, ground - lift - 0.8)
    block = common(pen.limb(back, (heel + 0.6, ground), pen.vary(1.5, 2.6), pen.vary(0.9, 2.2)), pen.y - ground)
    band = common(pen.oval(toe + 6, ground - 1, 4.4, pen.vary(4.5, 6)).abs() - wide, pen.y - ground + 1)
    strap = join(pen.limb((toe + 8.5, ground - 5), (heel, ankle), wide), pen.limb((heel, ankle), back, wide))
    pen.paint(join(band, strap), 0.85 * pen.cloth)
    pen.paint(join(pen.limb((toe + 1, ground - 0.9), ball, 1.1), pen.limb(ball, back, 1.2, 1.5), block), pen.cloth)


def foot(pen: Pen, ends: Point, *, ground: Number, instep: Number, height: Number) -> Tensor:
    """Shape a closed shoe up to the ankle between its ends (toe, heel), seen from the side."""
    (toe, heel), back, collar = ends, ends[1] - 2.4, ground - height + 2
    mass = join(pen.limb((toe + 2.4, ground - 2), (heel - 3, ground - 2.6), 2.3, 2.9),
                pen.limb((toe + 4, ground - 2.5), (instep, collar), 2.2),
                pen.limb((instep, collar), (back, collar), 2.2), pen.limb((back, collar), (back, ground - 3), 2.4))
    return common(mass, pen.y - ground)


def draw_sneaker(pen: Pen) -> None:
    """A low shoe on a thick pale sole, with laces."""
    toe, heel, ground, height = pen.vary(-13.3, -12), pen.vary(11.5, 13.2), pen.vary(4.5, 6), pen.vary(7, 9)
    upper = foot(pen, (toe, heel), ground=ground, instep=toe + 14, height=height)
    pen.paint(common(upper, -pen.oval(heel - 5, ground - height - 0.6, 3, 2.2)), pen.cloth, rim=0.3)
    for lace in (0.25, 0.55, 0.85):
        x, y = toe + 6 + 8 * lace, ground - 4.3 - (height - 4.3) * lace
        pen.paint(pen.limb((x - 0.2, y - 0.3), (x + 1.3, y + 1.6), 0.45), pen.contrast)
    pen.paint(pen.limb((toe + 1.2, ground), (heel - 1.2, ground), 1.3, 1.5), pen.vary(0.75, 1.0))


def draw_bag(pen: Pen) -> None:
    """A box with rounded corners under a handle, with a flap and a clasp."""
    top, bottom, half, flap = pen.vary(-4, -0.5), pen.vary(9, 12.5), pen.vary(9, 12.5), pen.vary(2.5, 5)
    box = pen.panel([(top + 1, half - pen.vary(0.4, 2.2)), (bottom - 1, half - 1)]) - 1
    loop = pen.oval(0, top + 0.5, half * pen.vary(0.45, 0.8), pen.vary(5, 9))
    pen.paint(common(loop.abs() - pen.vary(0.6, 1.1), pen.y - top - 0.5), 0.9 * pen.cloth)
    pen.paint(box, pen.cloth, rim=0.35)
    pen.paint(common(box, (pen.y - flap - 0.008 * pen.x**2).abs() - 0.45), 0.5 * pen.cloth)
    pen.paint(pen.oval(0, flap + 0.6, 1.4, 1.2), pen.contrast)


def draw_ankle_boot(pen: Pen) -> None:
    """A high shaft over a foot, on a sole with a heel."""
    toe, heel, front = pen.vary(-13, -11), pen.vary(8, 10.5), pen.vary(-2, 0)
    ground, top, middle, width = pen.vary(9.8, 11.2), pen.vary(-13, -7), (heel + front) / 2, (heel - front) / 2
    shaft = pen.limb((middle, top + 1), (middle, ground - 4), width + pen.vary(-0.4, 0.4), width)
    shoe = foot(pen, (toe, heel), ground=ground, instep=front + 2, height=9)
    pen.paint(common(join(shoe, shaft), pen.y - ground, top - pen.y), pen.cloth, rim=0.35)
    pen.paint(pen.limb((middle, top + 2), (middle, ground - 5), 0.4), 0.65 * pen.cloth)
    sole = join(pen.limb((toe + 1, ground), (heel - 1, ground), 1), pen.limb((heel - 2.6, ground), (heel - 2, 12.6), 2))
    pen.paint(common(sole, ground - 0.6 - pen.y, pen.y - 13), (0.6 * pen.cloth).clamp(0.25))


WARDROBE = (  # in the order of Fashion-MNIST's labels
    draw_t_shirt, draw_trouser, draw_pullover, draw_dress, draw_coat,
    draw_sandal, draw_shirt, draw_sneaker, draw_bag, draw_ankle_boot)


def draw_garments(labels: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw one garment for each label: (N,) integers in 0..9 → uint8 (N, 1, 28, 28).

    Picture i depends on label i and on row i of the styles that are drawn first, on nothing else.
    Raises ValueError for labels outside 0..9 or in another shape.
    """
    if labels.ndim != 1 or labels.is_floating_point() or (len(labels) and not 0 <= labels.min() <= labels.max() <= 9):
        raise ValueError(f"labels have to be integers in 0..9, shape (N,); got {labels.dtype} {tuple(labels.shape)}")
    styles = uniform((len(labels), STYLE), generator=generator)
    images = torch.empty(len(labels), 1, SIZE, SIZE, dtype=torch.uint8)
    for label, draw in enumerate(WARDROBE):
        for rows in (labels.cpu() == label).nonzero().flatten().split(128):
            pen = Pen(styles[rows], folded=draw not in (draw_sandal, draw_sneaker, draw_ankle_boot))
            draw(pen)
            images[rows, 0] = (pen.picture * 255).round().clamp(0, 255).to(torch.uint8)
    return images


def drawn_garments(split: str, n: int) -> tuple[Tensor, Tensor]:
    """Draw a split's first n garments, all classes in turn: uint8 (n, 1, 28, 28) and labels (n,)."""
    if split not in ("train", "test"):
        raise ValueError(f"split has to be 'train' or 'test'; got {split!r}")
    labels = torch.arange(n) % len(WARDROBE)
    return draw_garments(labels, generator=torch.Generator().manual_seed(1 if split == "train" else 2)), labels
