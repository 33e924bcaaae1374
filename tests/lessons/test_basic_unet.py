"""The basic U-Net: shapes, every choice, what each skip carries, and what the network must not depend on."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from helpers import seeded
from torch import Tensor, nn

from ddpm_course.lessons.basic_unet import BASIC, MODERN, OPTIONS, BasicUNet, Block, Choices, Pool
from ddpm_course.unet import sinusoidal_embedding

PLAIN = replace(BASIC, time="none")


def built(choices: Choices = BASIC, **options) -> BasicUNet:
    """Build a small network whose weights are always the same, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BasicUNet(choices, channels=(8, 16, 24), **options).eval()


def images(n: int = 3, size: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, size, size, generator=seeded(seed))


EVERY_CHOICE = [(name, value) for name, values in OPTIONS.items() for value in values]


@pytest.mark.parametrize("name, value", EVERY_CHOICE)
def test_every_choice_gives_one_value_per_pixel_and_trains_every_weight(name: str, value: str | bool) -> None:
    net = built(replace(BASIC, **{name: value})).train()
    x, t = images(), torch.tensor([0, 75, 150])
    answer = net(x, t)
    assert answer.shape == x.shape and answer.isfinite().all()
    answer.square().mean().backward()
    idle = {name for name, p in net.named_parameters() if p.grad is None}
    of_time = {name for name, _ in net.named_parameters() if name.startswith("time_mlp")}
    assert idle == (of_time if value == "none" else set())


@pytest.mark.parametrize("name, value", [
    ("norm", "layer"), ("activation", "ReLU"), ("pooling", "mean"), ("time", "t"), ("residual", "yes")])
def test_an_unknown_choice_is_refused_and_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be one of .* got {value!r}"):
        Choices(**{name: value})


def test_lesson_3_changes_every_field_of_lesson_1s_network() -> None:
    assert all(getattr(BASIC, name) == values[0] for name, values in OPTIONS.items())
    assert all(getattr(MODERN, name) == values[1] for name, values in OPTIONS.items())


@pytest.mark.parametrize("shape", [(2, 1, 28, 30), (2, 1, 26, 28), (2, 3, 28, 28), (1, 28, 28)])
def test_a_wrong_shape_or_a_condition_is_refused_with_what_came(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="divisible by 4"):
        built()(torch.zeros(shape), torch.ones(2))
    with pytest.raises(ValueError, match="no condition; got .* and c = "):
        built()(images(2), torch.ones(2), torch.zeros(2))


def test_the_way_through_written_out() -> None:
    """The network again, in functional calls. A block is two normed, activated convolutions."""
    net, x = built(PLAIN), images()

    def block(part: Block, h: Tensor) -> Tensor:
        for conv, norm in ((part.conv_1, part.norm_1), (part.conv_2, part.norm_2)):
            h = F.conv2d(h, conv.weight, conv.bias, padding=1)
            h = F.batch_norm(h, norm.running_mean, norm.running_var, norm.weight, norm.bias).clamp(min=0)
        return h

    def largest_of_four(h: Tensor) -> Tensor:
        return torch.stack([h[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(dim=0)

    a = block(net.down_1, x)
    b = block(net.down_2, largest_of_four(a))
    h = block(net.bottom, largest_of_four(b))
    for skip, up, join in ((b, net.up_2, net.join_2), (a, net.up_1, net.join_1)):
        h = block(join, torch.cat([F.conv_transpose2d(h, up.weight, up.bias, stride=2), skip], dim=1))
    expected = F.conv2d(h, net.head.weight, net.head.bias, padding=1)
    torch.testing.assert_close(net(x, torch.zeros(3)), expected)


def test_without_skips_everything_passes_through_the_bottom() -> None:
    def reaches(net: BasicUNet, silenced: nn.Module) -> bool:
        handle = silenced.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
        answers = [net(images(seed=seed), torch.zeros(3)) for seed in (0, 1)]
        handle.remove()
        return not torch.equal(*answers)

    with torch.no_grad():
        for skips in (True, False):
            net = built(PLAIN, skips=skips)
            assert reaches(net, net.bottom) is skips             # bottom silenced: the skips are left
            assert reaches(net, nn.Identity())


def test_cutting_the_skips_changes_no_weight_and_no_shape() -> None:
    with_skips, without = built(PLAIN), built(PLAIN, skips=False)
    assert all(torch.equal(p, q) for p, q in zip(with_skips.parameters(), without.parameters(), strict=True))
    assert not torch.equal(with_skips(images(), torch.zeros(3)), without(images(), torch.zeros(3)))


def test_t_enters_as_a_fraction_as_waves_or_not_at_all() -> None:
    x, early, late = images(), torch.full((3,), 10), torch.full((3,), 140)
    for time in OPTIONS["time"]:
        net = built(replace(BASIC, time=time))
        assert torch.equal(net(x, early), net(x, late)) == (time == "none")
    fraction, waves = built(), built(replace(BASIC, time="sinusoidal"))
    t, t_over_T = torch.tensor([0, 30, 150]), torch.tensor([[0.0], [0.2], [1.0]])
    torch.testing.assert_close(fraction.time_vector(t), fraction.time_mlp(t_over_T))
    torch.testing.assert_close(waves.time_vector(t), waves.time_mlp(sinusoidal_embedding(t, 64)))
    assert built(PLAIN).time_vector(t) is None
    assert torch.equal(built(T=150)(x, early), built(T=300)(x, 2 * early))


def test_batch_norm_looks_at_the_company_in_train_mode_only_and_group_norm_never() -> None:
    for norm, depends in (("batch", True), ("group", False)):
        net, x, t = built(replace(PLAIN, norm=norm)).train(), images(4), torch.zeros(4)
        together, alone = net(x, t)[:1], net(x[:1], t[:1])
        assert torch.allclose(together, alone, atol=1e-5) is not depends
        net.eval()
        torch.testing.assert_close(net(x, t)[:1], net(x[:1], t[:1]), rtol=1e-4, atol=1e-5)


def test_each_pool_halves_the_size_and_keeps_the_channels() -> None:
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    assert Pool(2, "max")(x).tolist() == [[[[5, 7], [13, 15]], [[21, 23], [29, 31]]]]
    pool = Pool(2, "space_to_depth")
    with torch.no_grad():
        taken = pool.mix.weight.fill_(0).reshape(2, 8)
        taken[0, 3] = 1                                          # the last of the first channel's four pixels
        pool.mix.bias.zero_()
    assert pool(x).tolist() == [[[[5, 7], [13, 15]], [[0, 0], [0, 0]]]]


@pytest.mark.parametrize("c_in, c_out", [(8, 8), (8, 16)])
def test_a_residual_block_adds_its_input(c_in: int, c_out: int) -> None:
    block = Block(c_in, c_out, replace(PLAIN, residual=True), 4).eval()
    x = torch.randn(2, c_in, 4, 4, generator=seeded())
    with torch.no_grad():
        block.norm_2.weight.zero_()                              # silences the two convolutions
        block.norm_2.bias.zero_()
        expected = x if c_in == c_out else F.conv2d(x, block.shortcut.weight, block.shortcut.bias)
        torch.testing.assert_close(block(x, None), expected)


def test_a_block_adds_one_number_per_channel_for_the_time() -> None:
    block, x, time = Block(1, 8, BASIC, 4).eval(), images(2), torch.randn(2, 4, generator=seeded())
    with torch.no_grad():
        block.conv_2.weight.zero_()[range(8), range(8), 1, 1] = 1                 # hands h on as it is
        block.conv_2.bias.zero_()
        block.norm_2 = nn.Identity()
        before = F.relu(block.norm_1(block.conv_1(x)))
        torch.testing.assert_close(block(x, time), F.relu(before + block.add_time(time)[:, :, None, None]))
