"""The network: what reaches which half, that nothing is lost on the way down, and that all inputs matter."""

import numpy as np
import pytest
import torch
from helpers import seeded, tiny_unet
from torch import Tensor, nn

from ddpm_course.conditioning import VectorEmbedding
from ddpm_course.unet import Downsample, ResidualBlock, UNet, Upsample, sinusoidal_embedding

T = torch.tensor([1, 75, 150])
C = torch.tensor([0, 4, 9])


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed))


def largest_difference(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


def test_sinusoidal_embedding_agrees_with_the_formula():
    t = [0, 1, 7, 150]
    rows = [[f(step / 10_000 ** (i / 7)) for f in (np.sin, np.cos) for i in range(8)] for step in t]
    np.testing.assert_allclose(sinusoidal_embedding(torch.tensor(t), 16).numpy(), np.array(rows), atol=2e-5)


def test_sinusoidal_embedding_gives_one_row_per_sample_and_tells_all_times_apart():
    rows = sinusoidal_embedding(torch.arange(151), 16)
    for t in (0, 3, 150):
        torch.testing.assert_close(rows[t:t + 1], sinusoidal_embedding(torch.tensor([t]), 16))
    assert (torch.cdist(rows, rows) + torch.eye(151)).min() > 0.1


def test_sinusoidal_embedding_refuses_odd_widths_and_other_shapes():
    for t, dim in ((T, 15), (torch.tensor(1), 16), (torch.ones(2, 1), 16)):
        with pytest.raises(ValueError, match="even dim"):
            sinusoidal_embedding(t, dim)


def test_group_norms_have_groups_of_eight_channels():
    net = UNet(channels=(16, 32), n_down=(1, 0), n_up=(1, 2))
    norms = [part for part in net.modules() if isinstance(part, nn.GroupNorm)]
    assert {(norm.num_channels, norm.num_groups) for norm in norms} == {(16, 2), (32, 4)}
    out = ResidualBlock(16, 4).norm_1(3 + 5 * noise(2, 16, 4, 4)).detach()
    for group in out.reshape(2, 2, -1).flatten(0, 1):
        assert abs(group.mean()) < 1e-5 and abs(group.var(correction=0) - 1) < 1e-3


def test_a_new_residual_block_passes_its_input_on_and_still_learns():
    block, x = ResidualBlock(16, 4), noise(2, 16, 4, 4)
    (out := block(x, noise(2, 4))).square().sum().backward()
    assert torch.equal(out, x) and block.conv_2.weight.grad.abs().max() > 0


def test_a_residual_block_scales_and_shifts_by_its_embedding():
    block, x, emb = ResidualBlock(8, 4), noise(2, 8, 4, 4), noise(2, 4)
    with torch.no_grad():
        block.conv_2.weight.normal_(generator=seeded())
        h = block.conv_1(nn.functional.gelu(block.norm_1(x)))
        variance = h.var((1, 2, 3), keepdim=True, correction=0)
        h = (h - h.mean((1, 2, 3), keepdim=True)) / (variance + 1e-5).sqrt()
        gamma, delta = (emb @ block.scale_shift.weight.T + block.scale_shift.bias).split(8, dim=1)
        h = torch.stack([(1 + gamma[b, i]) * h[b, i] + delta[b, i] for b in range(2) for i in range(8)])
        expected = x + block.conv_2(nn.functional.gelu(h.reshape(2, 8, 4, 4)))
        torch.testing.assert_close(block(x, emb), expected, rtol=1e-4, atol=1e-4)


def test_going_down_loses_no_pixel_and_going_up_undoes_it():
    down, up, x = Downsample(3, 12), Upsample(12, 3), noise(2, 3, 6, 4)
    with torch.no_grad():
        for layer in (down.mix, up.mix):                         # leave the rearranging alone to do its work
            layer.weight.copy_(torch.eye(12)[:, :, None, None])
            layer.bias.zero_()
        small = down(x)                                          # (2, 12, 3, 2)
        assert torch.equal(small.flatten(1).sort().values, x.flatten(1).sort().values)
        assert torch.equal(up(small), x)


def test_a_prediction_has_the_shape_of_its_image():
    for net in (tiny_unet(), tiny_unet(None)):
        assert net(noise(3, 1, 8, 12), T).shape == (3, 1, 8, 12)


def test_a_pair_equals_two_passes():
    net, x = tiny_unet(), noise(3, 1, 8, 8)
    with torch.no_grad():
        with_class, without = net.predict_pair(x, T, C)
        torch.testing.assert_close(with_class, net(x, T, C), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(without, net(x, T, None), rtol=1e-4, atol=1e-5)
        assert torch.equal(net(x, T, None), net(x, T, torch.full((3,), 10)))
        assert largest_difference(with_class, without) > 1e-3


def test_a_vector_condition_pairs_with_its_learned_null():
    net = UNet(VectorEmbedding(5, 12), channels=(8, 16), n_down=(1, 1), n_up=(1, 1), d_emb=16)
    x, c = noise(3, 1, 8, 8), noise(3, 5)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.1 * noise(*weight.shape, seed=1))
        pair = net.predict_pair(x, T, c)
        torch.testing.assert_close(pair[0], net(x, T, c), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(pair[1], net(x, T, net.embedder.null.expand(3, 5)), rtol=1e-4, atol=1e-5)


def test_the_encoder_knows_the_time_and_no_class():
    net, x = tiny_unet(), noise(3, 1, 8, 8)
    features, time = net.encode(x, T)
    total = sum(f.sum() for f in features) + time.sum()
    to_class, to_time = torch.autograd.grad(
        total, [net.embedder.table.weight, net.time_mlp[0].weight], allow_unused=True)
    assert to_class is None and to_time.abs().max() > 0
    other, _ = net.encode(x, T + 40)
    assert all(largest_difference(a, b) > 1e-3 for a, b in zip(features, other))


def test_what_the_encoder_found_at_each_resolution_reaches_the_prediction():
    net = tiny_unet()
    features, time = net.encode(noise(3, 1, 8, 8), T)
    gradients = torch.autograd.grad(net.decode(features, time, C).square().sum(), features)
    assert len(gradients) == 2 and all(gradient.abs().max() > 1e-3 for gradient in gradients)


def test_time_and_class_matter_and_samples_do_not_mix():
    net, x = tiny_unet(), noise(3, 1, 8, 8)
    with torch.no_grad():
        out = net(x, T, C)
        for t, c in ((T.flip(0), C), (T, C.flip(0))):
            assert largest_difference(out, net(x, t, c)) > 1e-3
        for i in range(3):
            alone = net(x[i:i + 1], T[i:i + 1], C[i:i + 1])
            torch.testing.assert_close(out[i:i + 1], alone, rtol=1e-4, atol=1e-5)


def test_channels_last_gives_the_same_result():
    net, x = tiny_unet(), noise(3, 1, 8, 8)
    with torch.no_grad():
        expected = net(x, T, C)
        found = net.to(memory_format=torch.channels_last)(x, T, C)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_images_that_cannot_be_halved_are_refused():
    for shape in ((3, 1, 7, 8), (3, 1, 8, 9), (1, 8, 8)):
        with pytest.raises(ValueError, match="divisible by 2"):
            tiny_unet()(noise(*shape), T)


def test_a_condition_too_many_or_too_few_is_refused():
    with pytest.raises(ValueError, match="without an embedder"):
        tiny_unet(None)(noise(3, 1, 8, 8), T, C)
    with pytest.raises(ValueError, match="one condition per image"):
        tiny_unet()(noise(3, 1, 8, 8), T, C[:2])
