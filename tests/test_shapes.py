"""One value per image multiplies each image by its own value, whatever the images' shape."""

import pytest
import torch

from ddpm_course.shapes import per_image


@pytest.mark.parametrize("shape", [(3,), (3, 5), (3, 3, 3), (3, 1, 28, 28)])
def test_each_image_meets_its_own_value(shape):
    values, images = torch.tensor([2.0, -1.0, 0.5]), torch.ones(shape)
    together = per_image(values, images) * images
    assert together.shape == shape
    assert all(bool((image == value).all()) for image, value in zip(together, values))


@pytest.mark.parametrize("values", [torch.tensor(2.0), torch.tensor([2.0])])
def test_one_value_serves_all_images(values):
    assert torch.equal(per_image(values, torch.ones(4, 2)) * torch.ones(4, 2), torch.full((4, 2), 2.0))


def test_the_kind_of_number_stays():
    assert per_image(torch.tensor([True, False]), torch.ones(2, 3)).dtype == torch.bool


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), (1, 3), (0,)])
def test_another_number_of_values_is_refused(shape):
    with pytest.raises(ValueError, match=r"one per image, \(3,\), is needed"):
        per_image(torch.zeros(shape), torch.ones(3, 1, 4, 4))
