"""The null condition: how often it is drawn, what it replaces, and which row learns from it."""

import pytest
import torch
from helpers import seeded

from ddpm_course.conditioning import LabelEmbedding, VectorEmbedding, drop_condition


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_conditions_are_dropped_at_the_asked_rate(p):
    n = 20_000
    dropped = drop_condition(torch.zeros(n, dtype=torch.long), torch.tensor(10), p, generator=seeded()) == 10
    assert abs(int(dropped.sum()) - n * p) < 4 * (n * p * (1 - p)) ** 0.5


def test_nothing_is_dropped_at_0_and_everything_at_1():
    c, null = torch.arange(10).repeat(2000), torch.tensor(10)
    assert torch.equal(drop_condition(c, null, 0.0, generator=seeded()), c)
    assert torch.equal(drop_condition(c, null, 1.0, generator=seeded()), torch.full_like(c, 10))


def test_a_dropped_label_becomes_the_null_label_and_never_class_0():
    c = torch.full((1000,), 5)
    dropped = drop_condition(c, torch.tensor(10), 0.5, generator=seeded())
    assert dropped.unique().tolist() == [5, 10] and dropped.dtype == c.dtype
    assert torch.equal(c, torch.full((1000,), 5)), "the labels passed in must stay as they are"


def test_a_vector_is_kept_or_dropped_as_a_whole():
    c, null = torch.randn(1000, 16, generator=seeded(1)), torch.full((16,), -7.0)
    out = drop_condition(c, null, 0.3, generator=seeded())
    is_null, is_kept = (out == null).all(dim=1), (out == c).all(dim=1)
    assert bool((is_null ^ is_kept).all())
    assert abs(int(is_null.sum()) - 300) < 60


def test_the_same_generator_drops_the_same_samples():
    c, null = torch.arange(200) % 10, torch.tensor(10)
    first = drop_condition(c, null, 0.5, generator=seeded(4))
    assert torch.equal(first, drop_condition(c, null, 0.5, generator=seeded(4)))
    assert not torch.equal(first, drop_condition(c, null, 0.5, generator=seeded(5)))


def test_looking_up_a_label_is_a_one_hot_vector_times_the_table():
    embedding, c = LabelEmbedding(10, 6), torch.tensor([0, 3, 9, 10, 3])
    one_hot = (c[:, None] == torch.arange(11)).float()           # (5, 11)
    torch.testing.assert_close(embedding(c), one_hot @ embedding.table.weight)


def test_the_null_label_has_a_row_of_its_own_behind_the_classes():
    embedding = LabelEmbedding(10, 6)
    assert embedding.table.weight.shape == (11, 6) and int(embedding.null) == 10
    assert not any(torch.equal(embedding.table.weight[10], row) for row in embedding.table.weight[:10])
    assert "null" not in embedding.state_dict()


def test_a_dropped_sample_teaches_the_null_row_and_no_class_row():
    embedding, c = LabelEmbedding(10, 6), torch.tensor([0, 1, 2])
    embedding(drop_condition(c, embedding.null, 1.0)).sum().backward()
    touched = embedding.table.weight.grad.abs().sum(dim=1) > 0
    assert touched.nonzero().flatten().tolist() == [10]


def test_a_kept_sample_teaches_its_own_row_only():
    embedding = LabelEmbedding(10, 6)
    embedding(drop_condition(torch.tensor([4]), embedding.null, 0.0)).sum().backward()
    assert (embedding.table.weight.grad.abs().sum(dim=1) > 0).nonzero().flatten().tolist() == [4]


def test_a_vector_embedding_projects_and_its_null_learns_from_dropped_samples_only():
    embedding, c = VectorEmbedding(5, 3), torch.randn(7, 5, generator=seeded())
    expected = c @ embedding.project.weight.T + embedding.project.bias
    torch.testing.assert_close(embedding(c), expected)
    embedding(drop_condition(c, embedding.null, 0.0)).sum().backward()
    assert embedding.null.grad is None or not embedding.null.grad.any()
    embedding(drop_condition(c, embedding.null, 1.0)).sum().backward()
    torch.testing.assert_close(embedding.null.grad, 7 * embedding.project.weight.sum(dim=0))
    assert "null" in embedding.state_dict()


@pytest.mark.parametrize("labels, error", [
    (torch.tensor([1.0, 2.0]), TypeError),                       # floats
    (torch.eye(10)[:2], TypeError),                              # one-hot floats
    (torch.tensor([True, False]), TypeError),
    (torch.eye(10, dtype=torch.long)[:2], ValueError),           # one-hot integers
    (torch.tensor(3), ValueError),                               # no batch
    (torch.tensor([0, 11]), ValueError),
    (torch.tensor([-1, 0]), ValueError),
])
def test_labels_that_are_no_labels_are_refused(labels, error):
    with pytest.raises(error, match="labels"):
        LabelEmbedding(10, 6)(labels)


@pytest.mark.parametrize("c", [torch.zeros(2, 4), torch.zeros(5), torch.zeros(2, 1, 5)])
def test_vectors_of_another_shape_are_refused(c):
    with pytest.raises(ValueError, match="shape"):
        VectorEmbedding(5, 3)(c)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_drop_rate_that_is_no_probability_is_refused(p):
    with pytest.raises(ValueError, match="probability"):
        drop_condition(torch.zeros(3, dtype=torch.long), torch.tensor(10), p)


@pytest.mark.parametrize("c, null", [
    (torch.zeros(3, dtype=torch.long), torch.tensor([10, 10, 10])),
    (torch.zeros(3, 5), torch.tensor(0.0)),
    (torch.zeros(3, 5), torch.zeros(3)),
])
def test_a_null_of_another_shape_than_one_condition_is_refused(c, null):
    with pytest.raises(ValueError, match="null"):
        drop_condition(c, null, 0.5)
