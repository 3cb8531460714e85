"""Eq. 9 and its siblings."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import references
from dagan.models.refine import Attention, AttentionConfig, Gate, PassThroughConfig

SIZE = (2, 16, 3, 4)


def weights_of(attention: Attention) -> dict[str, np.ndarray]:
    named = {"q": attention.query, "k": attention.key, "v": attention.value}
    matrices = {f"W_{name}": layer.weight.detach().double().numpy()[:, :, 0, 0] for name, layer in named.items()}
    return matrices | {f"b_{name}": layer.bias.detach().double().numpy() for name, layer in named.items()}


def flat(features: Tensor) -> np.ndarray:
    return features.detach().double().flatten(1).numpy()


@pytest.mark.parametrize("needs_depth", [True, False], ids=["cross-modal", "self"])
def test_attention_equals_the_loops(needs_depth: bool) -> None:
    attention = AttentionConfig(needs_depth=needs_depth).build(SIZE[1])
    warped, depth = torch.randn(SIZE), torch.randn(SIZE)
    refined = attention(warped, depth, True)
    assert refined.attention is not None
    for b in range(SIZE[0]):
        asking = depth[b] if needs_depth else warped[b]
        feature, rows = references.attention(flat(asking), flat(warped[b]), weights_of(attention))
        assert np.allclose(flat(refined.feature[b]), feature, atol=1e-5)
        assert np.allclose(refined.attention[b].detach().numpy(), rows, atol=1e-5)


@pytest.mark.parametrize("needs_depth", [True, False], ids=["cross-modal", "self"])
def test_attention_rows_sum_to_1_and_the_map_costs_nothing_unless_asked_for(needs_depth: bool) -> None:
    attention = AttentionConfig(needs_depth=needs_depth).build(16)
    warped, depth = torch.randn(SIZE), torch.randn(SIZE)
    rows = attention(warped, depth, True).attention
    assert rows is not None
    assert rows.shape == (2, 12, 12)
    assert torch.allclose(rows.sum(-1), torch.ones(2, 12), atol=1e-5)
    assert attention(warped, depth).attention is None


def test_the_feature_is_the_shown_map_times_the_values() -> None:
    attention = AttentionConfig().build(16)
    warped, depth = torch.randn(SIZE), torch.randn(SIZE)
    refined = attention(warped, depth, True)
    assert refined.attention is not None
    explicit = refined.attention @ attention.value(warped).flatten(2).mT  # b n c
    assert torch.allclose(refined.feature, explicit.mT.reshape(SIZE), atol=1e-5)


def test_gated_attention_starts_as_the_warped_feature() -> None:
    attention, warped = AttentionConfig(gated=True).build(16), torch.randn(SIZE)
    assert torch.equal(attention(warped, torch.randn(SIZE)).feature, warped)


def test_an_opened_gate_adds_what_was_attended() -> None:
    gated, plain = AttentionConfig(gated=True).build(16), AttentionConfig().build(16)
    gated.load_state_dict(plain.state_dict() | {"merge.gamma": torch.tensor([0.3])})
    warped, depth = torch.randn(SIZE), torch.randn(SIZE)
    expected = warped + 0.3 * plain(warped, depth).feature
    assert torch.allclose(gated(warped, depth).feature, expected, atol=1e-5)


def test_the_gate_is_the_first_to_learn_and_the_projections_follow() -> None:
    attention = AttentionConfig(gated=True).build(16)
    warped, depth, weights = torch.randn(SIZE), torch.randn(SIZE), torch.randn(SIZE)
    for _ in range(2):
        attention.zero_grad()
        (attention(warped, depth).feature * weights).sum().backward()
        gate = attention.merge
        assert isinstance(gate, Gate)
        assert gate.gamma.grad is not None
        assert gate.gamma.grad.abs().sum() > 0
        nn.init.constant_(gate.gamma, 0.1)
    learning = {name for name, p in attention.named_parameters() if p.grad is not None and p.grad.abs().sum() > 1e-6}
    assert learning >= {"query.weight", "query.bias", "key.weight", "value.weight", "value.bias"}


def test_depth_decides_where_cross_modal_attention_looks_and_self_attention_does_not_see_it() -> None:
    warped, depth, other = torch.randn(SIZE), torch.randn(SIZE), torch.randn(SIZE)
    cross, self_attention = AttentionConfig().build(16), AttentionConfig(needs_depth=False).build(16)
    assert not torch.allclose(cross(warped, depth).feature, cross(warped, other).feature, atol=1e-3)
    assert torch.equal(self_attention(warped, depth).feature, self_attention(warped, None).feature)


def test_cross_modal_attention_without_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="depth network"):
        AttentionConfig().build(16)(torch.randn(SIZE), None)


def test_passing_through_changes_nothing() -> None:
    warped = torch.randn(SIZE)
    refined = PassThroughConfig().build(16)(warped, None, True)
    assert refined.feature is warped
    assert refined.attention is None
