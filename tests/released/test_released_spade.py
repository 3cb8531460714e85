"""The published SPADE-DaGAN, imported: the reference result."""

import pytest
import torch

import dagan
import published


@pytest.mark.data
def test_the_prediction_is_the_published_one(imported, images, reference):
    model = dagan.load(imported("spade"))
    with torch.inference_mode():
        generated = model(images["source"], images["driving"]).generated
    assert published.largest_difference(generated, reference("dagan")["prediction_spade"]) <= 1e-4
