"""The published face depth network with ResNet-50, imported alone: the reference result."""

import pytest
import torch

import published
from dagan.models.weights import load_depth


@pytest.mark.data
def test_the_disparity_of_resnet_50_is_the_published_one(imported, images, reference):
    depth = load_depth(imported("depth", layers=50))
    with torch.inference_mode():
        disparity = depth(images["source"])
    assert published.largest_difference(disparity, reference("dagan")["disp_source_resnet50"]) <= 1e-4
