"""The made-up checkpoints of `tests/published.py` have the names and shapes of the real files, and ours fit them."""

import json

import pytest

import published
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.talking_head import TalkingHeadConfig
from dagan.presets import DAGAN_RELEASED, DAGAN_SPADE_RELEASED, FOMM_RELEASED, RELEASED_DISCRIMINATORS
from dagan.released.foreign import DAGAN, shapes_of

FILES = {
    "dagan": "DaGAN_vox_adv_256.pth.tar",
    "spade": "SPADE_DaGAN_vox_adv_256.pth.tar",
    "fomm": "vox-cpk.pth.tar (FOMM)",
}
PRESETS = {"dagan": DAGAN_RELEASED, "spade": DAGAN_SPADE_RELEASED, "fomm": FOMM_RELEASED}
FDN = {18: "depth_face_model", 50: "depth_face_model_Voxceleb2_10w"}
OF_PRESET = {"dagan": "dagan_released", "spade": "dagan_spade_released", "fomm": "fomm_released"}


def full_size(kind: str) -> published.Widths:
    return published.PUBLISHED._replace(keypoints=10) if kind == "fomm" else published.PUBLISHED


@pytest.fixture(scope="module")
def real_names(shared_fixtures):
    return json.loads((shared_fixtures / "checkpoint_keys.json").read_text())


@pytest.mark.data
@pytest.mark.parametrize("kind", FILES)
def test_made_up_checkpoints_have_the_real_names_and_shapes(kind, real_names):
    made_up = published.shapes_of_kind(kind, full_size(kind))
    for section, shapes in real_names[FILES[kind]].items():
        assert {name: list(shape) for name, shape in made_up[section].items()} == shapes


@pytest.mark.data
@pytest.mark.parametrize("layers", FDN)
def test_made_up_depth_networks_have_the_real_names_and_shapes(layers, real_names):
    for file, make in (("encoder", published.depth_encoder), ("depth", published.depth_decoder)):
        made_up = make(layers, published.PUBLISHED)
        real = real_names[f"{FDN[layers]}/{file}.pth (ResNet-{layers})"]
        assert {name: list(shape) for name, shape in made_up.items()} == real


def translated(section: str, shapes: published.Shapes) -> dict[str, tuple[int, ...]]:
    pairs = [(DAGAN.translate(section, name), shape) for name, shape in shapes.items()]
    kept = [(name, shape) for name, shape in pairs if name is not None]
    assert len(dict(kept)) == len(kept), "two published names became one"
    return dict(kept)


def ours(model: TalkingHeadConfig, discriminator: DiscriminatorConfig) -> dict[str, tuple[int, ...]]:
    shapes = shapes_of(model=model, discriminator=discriminator)
    return {name: tuple(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("kind", PRESETS)
def test_each_published_tensor_has_one_place_in_the_preset_and_each_place_one_tensor(kind):
    theirs: dict[str, tuple[int, ...]] = {}
    for section, shapes in published.shapes_of_kind(kind, full_size(kind)).items():
        theirs |= translated(section, shapes)
    if kind != "fomm":
        theirs |= translated("encoder", published.depth_encoder(18, published.PUBLISHED))
        theirs |= translated("decoder", published.depth_decoder(18, published.PUBLISHED))
    assert theirs == ours(PRESETS[kind], RELEASED_DISCRIMINATORS[OF_PRESET[kind]])


def test_what_is_no_name_of_a_section_has_no_translation():
    assert DAGAN.translate("kp_detector", "down.weight") is None
    with pytest.raises(KeyError):
        DAGAN.translate("kp_detector", "elephant.weight")
