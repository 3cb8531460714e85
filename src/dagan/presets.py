"""Every named model of the paper (Tables 1 to 4) and ours, as values."""

from dataclasses import replace
from typing import NamedTuple, TypeVar

from dagan.models.decoder import BlendDecoderConfig, PlainDecoderConfig
from dagan.models.dense_motion import MotionConfig
from dagan.models.depth import FaceDepthConfig
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.families import JudgeConfig, ModelConfig
from dagan.models.families.monkeynet import MonkeyNetConfig, MonkeyNetDiscriminatorConfig
from dagan.models.families.osfv import OsfvConfig, VolumeGeneratorConfig
from dagan.models.families.osfv_motion import CanonicalConfig, VolumeMotionConfig
from dagan.models.families.osfv_pose import PoseNetConfig
from dagan.models.families.x2face import X2FaceConfig
from dagan.models.generator import GeneratorConfig
from dagan.models.keypoints import KeypointConfig, Modality
from dagan.models.refine import AttentionConfig
from dagan.models.spade import SpadeDecoderConfig
from dagan.models.talking_head import FaceConfig, TalkingHeadConfig
from dagan.nn.blocks import FixedSize, ReleasedScaleBy, ScaleBy
from dagan.transfer.retargeting import FaceRetargetingConfig

Guided = TypeVar("Guided", TalkingHeadConfig, OsfvConfig)  # models that depth can guide
AnyModel = TypeVar("AnyModel", bound=ModelConfig)


def with_fdn(config: Guided, depth: FaceDepthConfig | None = None) -> Guided:
    """The model with depth-guided keypoints (Sec. 3.3)."""
    return replace(
        config,
        depth=depth or config.depth or FaceDepthConfig(),
        keypoints=replace(config.keypoints, modality=Modality.RGBD),
    )


def with_cam(config: Guided, depth: FaceDepthConfig | None = None, *, gated: bool = False) -> Guided:
    """The model with cross-modal attention (Sec. 3.4)."""
    return replace(
        config,
        depth=depth or config.depth or FaceDepthConfig(),
        generator=replace(config.generator, refine=AttentionConfig(needs_depth=True, gated=gated)),
    )


def with_sa(config: TalkingHeadConfig, *, gated: bool = False) -> TalkingHeadConfig:
    """The model with self-attention in place of cross-modal attention (appendix B.3)."""
    return replace(config, generator=replace(config.generator, refine=AttentionConfig(needs_depth=False, gated=gated)))


def without_face(config: AnyModel) -> AnyModel:
    """The model whose keypoints mean nothing in particular: for training without landmarks. Families stay as they
    are."""
    return replace(config, face=None) if isinstance(config, TalkingHeadConfig) else config


def nine_variants(
    baseline: TalkingHeadConfig,
    fomm: TalkingHeadConfig,
    depth: FaceDepthConfig | None = None,
    *,
    gated: bool = False,
) -> dict[str, TalkingHeadConfig]:
    """The rows of Table 4, in its order, from its two models without depth; `depth` and `gated` are for all alike."""
    with_depth = with_fdn(baseline, depth)
    return {
        "baseline": baseline,
        "baseline_fdn": with_depth,
        "baseline_cam": with_cam(baseline, depth, gated=gated),
        "dagan_sa": with_sa(with_depth, gated=gated),
        "dagan": with_cam(with_depth, gated=gated),
        "fomm": fomm,
        "fomm_fdn": with_fdn(fomm, depth),
        "fomm_cam": with_cam(fomm, depth, gated=gated),
        "fomm_fdn_cam": with_cam(with_fdn(fomm, depth), gated=gated),
    }


BASELINE = TalkingHeadConfig()
FOMM = replace(
    BASELINE,
    keypoints=KeypointConfig(num_keypoints=10, has_jacobian=True),
    motion=MotionConfig(local_motion="affine"),
)
DAGAN = with_cam(with_fdn(BASELINE))

TABLE_4 = nine_variants(BASELINE, FOMM)

# Ours for laptops: the same boxes, narrower, each network at its own fixed working size, 20 keypoints with local
# affine frames, and the blend decoder (docs/decisions.md says what each choice is for).
LITE_DEPTH = FaceDepthConfig(base_width=32, working_size=128)
LITE = with_cam(
    with_fdn(
        TalkingHeadConfig(
            keypoints=KeypointConfig(
                num_keypoints=20,
                has_jacobian=True,
                cap=192,
                kernel=3,
                num_stem_blocks=1,
                resize=FixedSize(side=128),
            ),
            motion=MotionConfig(
                local_motion="affine",
                width=32,
                cap=256,
                kernel=3,
                resize=FixedSize(side=64),
                has_mask_prior=True,
                background="registered",
                occludes_outside=True,
            ),
            generator=GeneratorConfig(
                width=16,
                num_down=3,
                cap=160,
                decoder=BlendDecoderConfig(num_res_blocks=4, num_join_blocks=1, num_points=17),
            ),
            face=FaceConfig(retargeting=FaceRetargetingConfig(lips=0.7)),
        ),
        LITE_DEPTH,
    ),
    gated=True,
)

# Table 4 at widths that train on a laptop. Of `lite`, what makes short trainings move at all is in every row alike: the
# mask's start, the blend decoder, and the gate of either attention. What would answer the table's question otherwise is
# in none: landmarks do not guide the keypoints, whose count and motion are the paper's. Maps are at the paper's
# fractions of the image (keypoints and motion at a quarter, attention at an eighth), so a small image costs little.
LITE_BASELINE = TalkingHeadConfig(
    keypoints=KeypointConfig(width=16, cap=128, kernel=3, num_stem_blocks=1, resize=ScaleBy(factor=0.5)),
    motion=MotionConfig(width=32, cap=128, kernel=3, has_mask_prior=True),
    generator=GeneratorConfig(width=16, num_down=3, cap=128, decoder=BlendDecoderConfig()),
)
LITE_FOMM = replace(
    LITE_BASELINE,
    keypoints=replace(LITE_BASELINE.keypoints, num_keypoints=10, has_jacobian=True),
    motion=replace(LITE_BASELINE.motion, local_motion="affine"),
)
LITE_TABLE_4 = nine_variants(LITE_BASELINE, LITE_FOMM, LITE_DEPTH, gated=True)

# What published checkpoints compute (docs/checkpoints.md). FOMM's first weights want pixels="corners": `dagan import
# --sampling aligned`.
FOMM_RELEASED = TalkingHeadConfig(
    keypoints=KeypointConfig(
        num_keypoints=10,
        has_jacobian=True,
        padded=False,
        pixels="mixed",
        summation="in_order",
        resize=ReleasedScaleBy(),
    ),
    motion=MotionConfig(local_motion="affine", pixels="mixed", channels_last=False, resize=ReleasedScaleBy()),
    generator=GeneratorConfig(pixels="mixed"),
)
DAGAN_RELEASED = with_fdn(
    replace(
        FOMM_RELEASED,
        depth=FaceDepthConfig(),
        keypoints=replace(FOMM_RELEASED.keypoints, num_keypoints=15),
        generator=replace(FOMM_RELEASED.generator, refine=AttentionConfig(gated=True, activation="relu")),
    )
)
DAGAN_SPADE_RELEASED = replace(
    DAGAN_RELEASED, generator=replace(DAGAN_RELEASED.generator, decoder=SpadeDecoderConfig())
)
RELEASED = {
    "dagan_released": DAGAN_RELEASED,
    "dagan_spade_released": DAGAN_SPADE_RELEASED,
    "fomm_released": FOMM_RELEASED,
}
RELEASED_DISCRIMINATORS = {
    "dagan_released": DiscriminatorConfig(num_keypoints=15, pixels="mixed"),
    "dagan_spade_released": DiscriminatorConfig(num_keypoints=15, pixels="mixed"),
    "fomm_released": DiscriminatorConfig(pixels="mixed", spectral=True),
}

# Other methods (docs/families.md), at the sizes of their publications and narrow.
MONKEYNET = MonkeyNetConfig()
X2FACE = X2FaceConfig()
OSFV = OsfvConfig()
LITE_MONKEYNET = MonkeyNetConfig(width=8, cap=128, num_levels=6, num_res_blocks=2)
LITE_X2FACE = X2FaceConfig(width=16, cap=128, num_levels=7, vector=64)
LITE_OSFV = OsfvConfig(
    keypoints=CanonicalConfig(width=8, cap=128, num_blocks=4, depth_size=8),
    pose=PoseNetConfig(width=16),
    motion=VolumeMotionConfig(width=8, cap=64, num_blocks=4, kernel=3),
    generator=VolumeGeneratorConfig(
        width=16, volume_channels=8, depth_size=8, num_volume_blocks=2, decoder=PlainDecoderConfig(num_res_blocks=3)
    ),
)
FAMILY_PRESETS: dict[str, ModelConfig] = {
    "monkeynet": MONKEYNET,
    "x2face": X2FACE,
    "osfv": OSFV,
    "osfv_fdn_cam": with_cam(with_fdn(OSFV)),
    "lite_monkeynet": LITE_MONKEYNET,
    "lite_x2face": LITE_X2FACE,
    "lite_osfv": LITE_OSFV,
}

PRESETS: dict[str, ModelConfig] = {
    **TABLE_4,
    "lite": LITE,
    **{f"lite_{name}": config for name, config in LITE_TABLE_4.items()},
    **RELEASED,
    **FAMILY_PRESETS,
}

ROWS = {  # what each row of Table 4 is
    "baseline": "keypoints and offsets, without depth (Table 4)",
    "baseline_fdn": "baseline with depth-guided keypoints (Sec. 3.3)",
    "baseline_cam": "baseline with cross-modal attention (Sec. 3.4)",
    "dagan_sa": "DaGAN with self-attention in place of cross-modal attention (appendix B.3)",
    "dagan": "the paper's model",
    "fomm": "FOMM: 10 keypoints with affine frames, without depth",
    "fomm_fdn": "FOMM with depth-guided keypoints",
    "fomm_cam": "FOMM with cross-modal attention",
    "fomm_fdn_cam": "FOMM with both",
}


class Training(NamedTuple):
    """What a preset brings beside its model: what it is, its recipes by name (`dagan.training.recipes` and
    `.depth_recipes`), its discriminator, and where trained weights come from."""

    description: str
    recipe: str = "paper"
    depth_recipe: str = "paper"
    discriminator: JudgeConfig = DiscriminatorConfig()
    weights: str = "none; train it"


# FOMM's discriminator has spectral norm. Beside a lite generator the paper's would be most of the work.
FOMM_DISCRIMINATOR = DiscriminatorConfig(spectral=True)
LITE_DISCRIMINATOR = DiscriminatorConfig(width=32, cap=256)
IMPORTED = "published; `dagan import`"


TRAINING = {
    **{
        name: Training(what, "fomm", discriminator=FOMM_DISCRIMINATOR) if name.startswith("fomm") else Training(what)
        for name, what in ROWS.items()
    },
    "lite": Training("ours for laptops", "lite", "lite", LITE_DISCRIMINATOR, "in the package"),
    **{
        f"lite_{name}": Training(
            f"{what}; at the widths of lite",
            "table_4_jacobians" if name.startswith("fomm") else "table_4",
            "lite",
            LITE_DISCRIMINATOR,
        )
        for name, what in ROWS.items()
    },
    "monkeynet": Training(
        "Monkey-Net: keypoints with covariances, warped skips",
        "monkeynet",
        discriminator=MonkeyNetDiscriminatorConfig(),
        weights=IMPORTED,
    ),
    "x2face": Training("X2Face: an embedded face and a driving vector, no keypoints", "x2face", weights=IMPORTED),
    "osfv": Training(
        "OSFV (face-vid2vid): a feature volume, free view", "osfv", discriminator=FOMM_DISCRIMINATOR, weights=IMPORTED
    ),
    "osfv_fdn_cam": Training("OSFV with FDN and CAM", "osfv", discriminator=FOMM_DISCRIMINATOR),
    "lite_monkeynet": Training(
        "Monkey-Net at the widths of lite",
        "lite_monkeynet",
        "lite",
        MonkeyNetDiscriminatorConfig(width=16, cap=64),
    ),
    "lite_x2face": Training("X2Face at the widths of lite, for 128 px", "lite_x2face", "lite", LITE_DISCRIMINATOR),
    "lite_osfv": Training("OSFV at the widths of lite", "lite_osfv", "lite", LITE_DISCRIMINATOR),
    "dagan_released": Training(
        "what published DaGAN weights compute", "released", "paper", RELEASED_DISCRIMINATORS["dagan_released"], IMPORTED
    ),
    "dagan_spade_released": Training(
        "what published DaGAN weights with a SPADE decoder compute",
        "released",
        "paper",
        RELEASED_DISCRIMINATORS["dagan_spade_released"],
        IMPORTED,
    ),
    "fomm_released": Training(
        "what published FOMM weights compute",
        "fomm_released",
        "paper",
        RELEASED_DISCRIMINATORS["fomm_released"],
        IMPORTED,
    ),
}
