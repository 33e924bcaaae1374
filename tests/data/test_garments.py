"""The drawn garments: repeatable, different, recognisable."""

import time

import pytest
import torch
from helpers import seeded

from ddpm_course.data.drawing import SIZE, STYLE, Pen, common, join, through
from ddpm_course.data.garments import WARDROBE, draw_garments, drawn_garments


def test_pictures_are_bytes_on_black_paper_and_can_be_seen():
    images = draw_garments(torch.arange(10).repeat(20), generator=seeded())
    assert images.shape == (200, 1, 28, 28) and images.dtype == torch.uint8
    assert (images.amax((1, 2, 3)) >= 70).all(), "every garment can be seen"
    ink = (images > 30).float().mean((1, 2, 3))
    assert (ink > 0.08).all() and (ink < 0.8).all()
    assert (images[:, :, 0, 0] == 0).all() and (images[:, :, -1, 0] == 0).all(), "black paper around it"


def test_the_generator_alone_decides():
    labels = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])
    torch.manual_seed(0)
    one = draw_garments(labels, generator=seeded(7))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(one, draw_garments(labels, generator=seeded(7)))
    assert torch.equal(before, torch.get_rng_state()), "the global generator is left alone"
    assert not torch.equal(one, draw_garments(labels, generator=seeded(8)))


def test_a_picture_depends_on_its_own_label_and_style_only():
    one = draw_garments(torch.tensor([0, 1, 2, 3]), generator=seeded())
    other = draw_garments(torch.tensor([9, 1, 8, 3]), generator=seeded())
    same = (one == other).flatten(1).all(1)
    assert same.tolist() == [False, True, False, True]


def test_no_two_pictures_of_a_class_are_alike():
    for label in range(10):
        images = draw_garments(torch.full((50,), label), generator=seeded()).flatten(1)
        assert len(images.unique(dim=0)) == 50


def test_no_garment_takes_more_numbers_than_a_style_has():
    used = []
    for draw in WARDROBE:
        pen = Pen(torch.rand(1, STYLE, generator=seeded()), folded=True)
        draw(pen)
        used.append(STYLE - sum(1 for _ in pen._style))
    assert max(used) <= STYLE and max(used) == 22


def test_splits_differ_and_are_balanced():
    train, labels = drawn_garments("train", 500)
    test, test_labels = drawn_garments("test", 500)
    assert labels.dtype == torch.int64
    assert labels.bincount().tolist() == test_labels.bincount().tolist() == [50] * 10
    both = torch.cat([train, test]).flatten(1)
    assert len(both.unique(dim=0)) == 1000, "no picture is in both splits"
    assert torch.equal(train, drawn_garments("train", 500)[0])


def test_nearest_class_mean_tells_the_classes_apart():
    (train, labels), (test, test_labels) = drawn_garments("train", 3000), drawn_garments("test", 1000)
    means = torch.stack([train[labels == k].float().mean(0).flatten() for k in range(10)])
    guess = torch.cdist(test.flatten(1).float(), means).argmin(1)
    right = (guess == test_labels).float()
    assert right.mean() > 0.9
    assert min(right[test_labels == k].mean() for k in range(10)) > 0.85
    assert torch.pdist(means).min() > 800, "about 30 grey levels a pixel between the two nearest class means"


def test_what_makes_each_garment_itself():
    """Looks at mean pictures in the way a person would: sleeves, gaps, heights."""
    images, labels = drawn_garments("test", 2000)
    t_shirt, trouser, pullover, dress, coat, _, shirt, sneaker, bag, boot = (
        images[labels == k, 0].float().mean(0) for k in range(10))
    middle = slice(13, 15)
    assert trouser[22:26, middle].mean() < 0.3 * trouser[22:26, 9:19].amax(), "a gap between two legs"
    assert coat[20:26, middle].mean() < 0.75 * coat[20:26, 9:12].mean(), "the front is open"
    assert pullover[18:20, :6].amax() > 4 * t_shirt[18:20, :6].amax(), "long sleeves and short ones"
    assert (dress[24] > 60).sum() > (dress[11] > 60).sum() + 5, "the skirt is wider than the waist"
    assert sneaker[:10].amax() < 10 and boot[8].amax() > 100, "a low shoe and a high one"
    assert boot[8, :12].amax() < 20, "the shaft is at the back"
    assert boot[22, :12].amax() > 100, "the toe is on the left"
    assert bag[20, 4:24].amin() > 90, "a box"
    assert bag[7, middle].mean() < 0.7 * bag[20, middle].mean(), "a handle"
    sandal, sneakers = images[labels == 5, 0, 8:22], images[labels == 7, 0, 12:22]
    assert (sandal > 30).float().mean() < 0.8 * (sneakers > 30).float().mean(), "a sandal is mostly air"
    assert shirt[14:20, middle].mean() < 0.95 * shirt[14:20, 10:12].mean(), "a seam with buttons"


def test_front_views_are_symmetric_in_shape_and_side_views_are_not():
    styles = torch.full((1, STYLE), 0.5)           # no shift, no tilt of the light, no stripes
    for label, draw in enumerate(WARDROBE):
        pen = Pen(styles, folded=label not in (5, 7, 9))
        draw(pen)
        ink = (pen.picture > 0).float()
        assert (ink - ink.flip(-1)).abs().sum().lt(1).item() is (label not in (5, 7, 9)), draw.__name__


def test_shapes_are_cut_and_joined_by_their_distances():
    a, b = torch.tensor([-2.0, 3.0, -4.0, 5.0]), torch.tensor([4.0, -5.0, -9.0, 7.0])
    assert torch.equal(common(a, b), torch.tensor([4.0, 3.0, -4.0, 7.0]))
    assert torch.equal(common(a, -b), torch.tensor([-2.0, 5.0, 9.0, 5.0])), "a without b"
    assert torch.equal(join(a, b), torch.tensor([-2.0, -5.0, -9.0, 5.0])), "far apart: the plain minimum"
    near = join(torch.tensor([0.0]), torch.tensor([0.0])).item()
    assert -0.5 < near < 0, "a filled corner, by less than half a pixel"
    line = through([(0.0, 1.0), (2.0, 5.0), (4.0, 4.0)], torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.0, 9.0]))
    assert line.tolist() == [1.0, 1.0, 3.0, 5.0, 4.5, 4.0]


def test_a_disc_has_the_right_area():
    pen = Pen(torch.full((1, STYLE), 0.5), folded=False)
    for shape in (pen.oval(0.0, 0.0, 8.0, 8.0), pen.limb((-0.01, 0.0), (0.01, 0.0), 8.0)):
        assert (0.5 - shape).clamp(0, 1).sum().item() == pytest.approx(torch.pi * 64, rel=0.01)


def test_a_thousand_garments_take_less_than_two_seconds_of_one_core():
    began = time.thread_time()                                   # does not count what other programs take
    drawn_garments("train", 1000)
    assert time.thread_time() - began < 2, "0.12 s where it was written"


@pytest.mark.parametrize("labels", [[10], [-1], [[1]], [1.0]])
def test_labels_that_name_no_class_are_refused(labels):
    with pytest.raises(ValueError, match="0..9"):
        draw_garments(torch.tensor(labels))


def test_no_labels_make_no_pictures():
    assert draw_garments(torch.tensor([], dtype=torch.int64)).shape == (0, 1, SIZE, SIZE)


def test_another_split_is_refused():
    with pytest.raises(ValueError, match="valid"):
        drawn_garments("valid", 3)
