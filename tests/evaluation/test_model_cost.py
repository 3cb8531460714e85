from dataclasses import replace

import pytest

from dagan.evaluation.model_cost import cost_table, model_cost
from dagan.models.talking_head import FaceConfig
from dagan.presets import LITE, LITE_BASELINE, LITE_TABLE_4

SIDE = 128
C, N = LITE_BASELINE.generator.widths[-1], (SIDE // 8) ** 2  # channels and positions of the attention


@pytest.mark.slow
def test_self_attention_costs_its_projections_and_its_two_products():
    plain, attended = model_cost(LITE_TABLE_4["baseline_fdn"], SIDE), model_cost(LITE_TABLE_4["dagan_sa"], SIDE)
    inner = C // 8
    assert attended.frame - plain.frame == N * C * (2 * inner + C) + N * N * (inner + C)
    assert attended.parameters - plain.parameters == (C + 1) * (2 * inner + C) + 1  # the gate


def test_the_frozen_depth_network_is_not_counted_as_trained():
    plain, seeing = model_cost(LITE_TABLE_4["baseline"], SIDE), model_cost(LITE_TABLE_4["baseline_fdn"], SIDE)
    assert plain.trained == plain.parameters
    assert seeing.parameters - seeing.trained > 1_000_000
    assert 0 < seeing.trained - plain.trained < 20_000  # one input channel more


@pytest.mark.slow
def test_a_face_reader_is_given_not_trained():
    cost = model_cost(LITE, SIDE)
    without = model_cost(replace(LITE, face=FaceConfig(retargeting=LITE.face.retargeting, reader=None)), SIDE)
    given = cost.parameters - without.parameters
    assert given > 1_600_000
    assert cost.trained == without.trained
    assert cost.frame > without.frame


def test_the_table_has_a_line_for_each_row_in_millions_and_billions():
    lines = cost_table({"baseline": LITE_BASELINE}, SIDE).splitlines()
    cost = model_cost(LITE_BASELINE, SIDE)
    assert lines[2].startswith(f"| baseline | {cost.parameters / 1e6:.2f} | {cost.trained / 1e6:.2f} | ")
    assert lines[2].endswith(f" {cost.frame / 1e9:.2f} |")
    assert f"{SIDE} x {SIDE}" in lines[-1]
