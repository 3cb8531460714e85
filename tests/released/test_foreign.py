"""Published checkpoints of other widths become models; what does not fit is said in one line."""

import pytest
import torch

import published
from dagan.errors import UserError
from dagan.models.keypoints import Modality
from dagan.presets import RELEASED, RELEASED_DISCRIMINATORS
from dagan.released.foreign import convert, shapes_of, sized_depth, sized_discriminator, sized_model, with_pixels
from dagan.released.published import Published, read_published

PRESET_OF = {"dagan": "dagan_released", "spade": "dagan_spade_released", "fomm": "fomm_released"}


def read(folder, kind: str, **form) -> Published:
    depth = () if kind == "fomm" else published.write_published_depth(folder)
    return read_published([published.write_published(folder, kind, **form), *depth])


@pytest.mark.parametrize("kind", PRESET_OF)
@pytest.mark.parametrize("form", [{}, {"prefix": "module."}, {"zipped": False}], ids=["plain", "module", "legacy"])
def test_a_checkpoint_is_recognised_in_every_form(kind, form, tmp_path):
    found = read(tmp_path, kind, **form)
    assert found.kind == PRESET_OF[kind]
    assert set(found.sections["generator"]) == set(published.generator(kind, published.NARROW))


def test_real_sizes_give_the_preset(tmp_path):
    sizes = {"dagan": published.PUBLISHED, "spade": published.PUBLISHED}
    for kind, preset in PRESET_OF.items():
        sections = published.shapes_of_kind(kind, sizes.get(kind, published.PUBLISHED._replace(keypoints=10)))
        if kind != "fomm":
            sections["encoder"] = published.depth_encoder(18, published.PUBLISHED)
            sections["decoder"] = published.depth_decoder(18, published.PUBLISHED)
        empty = {
            section: {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
            for section, shapes in sections.items()
        }
        found = Published(preset, empty, tmp_path)
        assert sized_model(found, RELEASED[preset]) == RELEASED[preset]
        judge = RELEASED_DISCRIMINATORS[preset]
        assert sized_discriminator(found, judge, "mixed") == judge


def test_narrow_sizes_are_read_from_the_shapes(tmp_path):
    found = read(tmp_path, "dagan")
    config = sized_model(found, RELEASED["dagan_released"])
    assert (config.keypoints.num_keypoints, config.keypoints.width, config.keypoints.num_blocks) == (3, 4, 3)
    assert config.keypoints.modality is Modality.RGBD
    assert (config.generator.width, config.motion.cap) == (8, 16)
    assert config.depth.decoder_widths == published.NARROW.depth


@pytest.mark.parametrize("layers", [18, 50])
def test_the_depth_network_is_recognised_alone_in_any_order(layers, tmp_path):
    encoder, decoder = published.write_published_depth(tmp_path, layers)
    found = read_published([decoder, encoder, encoder])
    assert (found.kind, found.num_layers) == ("depth", layers)
    config = sized_depth(found)
    assert (config.num_layers, config.base_width) == (layers, 8)
    state = convert(found, shapes_of(depth=config))
    value = published.filled(published.depth_decoder(layers, published.NARROW))["decoder.11.conv.weight"]
    assert torch.equal(state["depth.decoder.heads.1.conv.weight"], value)


def test_the_two_halves_must_be_of_one_network(tmp_path):
    (encoder, _), (_, decoder) = (published.write_published_depth(tmp_path, layers) for layers in (18, 50))
    with pytest.raises(UserError, match=r"encoder\.pth is ResNet-18, depth\.pth is for ResNet-50; expected"):
        read_published([encoder, decoder])


@pytest.mark.parametrize(("index", "missing"), [(0, "depth.pth"), (1, "encoder.pth")])
def test_half_a_depth_network_says_which_half_is_missing(index, missing, tmp_path):
    half = published.write_published_depth(tmp_path)[index]
    with pytest.raises(UserError, match=f"{missing}.* is missing; expected .*ResNet-18"):
        read_published([half])


@pytest.mark.parametrize("kind", ["dagan", "spade"])
def test_dagan_without_its_depth_network_asks_for_it(kind, tmp_path):
    path = published.write_published(tmp_path, kind)
    with pytest.raises(UserError, match=r"needs its depth network: add --depth ENCODER\.pth DEPTH\.pth"):
        read_published([path])


def test_fomm_takes_no_depth_network(tmp_path):
    files = [published.write_published(tmp_path, "fomm"), *published.write_published_depth(tmp_path)]
    with pytest.raises(UserError, match="FOMM, which has no depth network"):
        read_published(files)


def test_two_checkpoints_are_one_too_many(tmp_path):
    files = [published.write_published(tmp_path, kind) for kind in ("fomm", "dagan")]
    with pytest.raises(UserError, match="brings a second generator"):
        read_published(files)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {"features.0.weight": torch.zeros(3)}},
        {"generator": {"resblocks_2d.0.weight": torch.zeros(3)}, "kp_detector": {"kp.weight": torch.zeros(3)}},
        {"generator": "G", "kp_detector": None},
        {"encoder.embedding": torch.zeros(3)},
        {},
    ],
    ids=["classifier", "osfv", "not states", "encoder", "empty"],
)
def test_another_projects_file_says_what_is_known(content, tmp_path):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth is of another project .*; dagan knows the published DaGAN"):
        read_published([tmp_path / "other.pth"])


@pytest.mark.parametrize(
    ("section", "name", "shape"),
    [
        ("generator", "first.conv.weight", (8, 4, 7, 7)),
        ("generator", "AttnModule.query_conv.weight", (5, 32, 1, 1)),
        ("generator", "dense_motion_network.mask.bias", (9,)),
        ("kp_detector", "jacobian.bias", (2,)),
        ("discriminator", "discs.1.conv.bias", (2,)),
        ("encoder", "encoder.layer2.0.conv1.weight", (16, 8, 1, 1)),
        ("decoder", "decoder.13.conv.bias", ()),
    ],
)
def test_a_shape_that_does_not_fit_is_named_with_the_one_that_would(section, name, shape, tmp_path):
    found = read(tmp_path, "dagan")
    found.sections[section][name] = torch.zeros(shape)
    with pytest.raises(UserError, match=f"does not fit DaGAN: {section} {name} is .*, expected") as error:
        convert_all(found)
    assert "\n" not in str(error.value)


def convert_all(found: Published) -> dict[str, torch.Tensor]:
    model = sized_model(found, RELEASED[found.kind])
    judge = sized_discriminator(found, RELEASED_DISCRIMINATORS[found.kind], "mixed")
    return convert(found, shapes_of(model=model, discriminator=judge))


def test_a_missing_tensor_and_one_without_a_place_are_named(tmp_path):
    found = read(tmp_path, "dagan")
    final = found.sections["generator"].pop("final.bias")
    with pytest.raises(UserError, match=r"not a whole DaGAN checkpoint: it lacks our generator\.decoder\.last\.bias"):
        convert_all(found)
    found.sections["generator"] |= {"final.bias": final, "elephant.weight": final}
    with pytest.raises(UserError, match=r"no place for generator elephant\.weight"):
        convert_all(found)


@pytest.mark.parametrize("name", ["kp.weight", "predictor.decoder.up_blocks.2.conv.weight"])
def test_a_missing_tensor_that_tells_sizes_is_named(name, tmp_path):
    found = read(tmp_path, "dagan")
    del found.sections["kp_detector"][name]
    with pytest.raises(UserError, match=f"kp_detector lacks {name}"):
        convert_all(found)


def test_counters_may_be_missing_and_half_precision_becomes_single(tmp_path):
    found = read(tmp_path, "dagan")
    for states in found.sections.values():
        for name in [name for name in states if name.endswith("num_batches_tracked")]:
            del states[name]
    found.sections["generator"]["final.bias"] = torch.zeros(3, dtype=torch.float16)
    state = convert_all(found)
    assert {value.dtype for value in state.values()} == {torch.float32, torch.int64}


def test_the_meaning_of_pixels_is_set_in_all_parts_or_refused():
    config = with_pixels(RELEASED["fomm_released"], "corners")
    assert (config.keypoints.pixels, config.motion.pixels, config.generator.pixels) == ("corners",) * 3
    from dataclasses import replace

    with pytest.raises(ValueError, match="same pixels"):
        replace(config, motion=replace(config.motion, pixels="mixed"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_no_numbers_are_refused_by_name(value, tmp_path):
    found = read(tmp_path, "dagan")
    found.sections["generator"]["final.bias"] = torch.tensor([0, value, 0], dtype=torch.float64)  # 1e300: in float32
    with pytest.raises(UserError, match=r"NaN or infinity \(first in generator\.decoder\.last\.bias\)"):
        convert_all(found)


def test_a_tensor_that_is_larger_than_what_the_file_holds_is_refused(tmp_path):
    found = read(tmp_path, "dagan")
    final = found.sections["generator"]["final.bias"]
    found.sections["generator"]["final.bias"] = torch.zeros(1).expand(final.shape)
    with pytest.raises(UserError, match=r"generator final\.bias should be 3, and the file holds fewer numbers"):
        convert_all(found)


def test_a_tensor_of_an_unusual_kind_is_refused(tmp_path):
    found = read(tmp_path, "dagan")
    final = found.sections["generator"]["final.bias"]
    for odd in (final.to_sparse(), final.to(torch.complex64)):
        found.sections["generator"]["final.bias"] = odd
        with pytest.raises(UserError, match=r"generator final\.bias is not a plain array"):
            convert_all(found)
