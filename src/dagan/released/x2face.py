"""Published X2Faces: a level's name repeats `submodule` once for every level above it."""

from dagan.models.families.x2face import NUM_BLOCKS, X2FaceConfig
from dagan.released.adapter import Adapter, cap_of
from dagan.released.published import X2FACE, Published

NETWORKS = {"embedding": "pix2pixUnwrapped", "driving": "pix2pixSampler"}


def _names(levels: int) -> tuple[tuple[str, str, str], ...]:
    """Published and our beginnings of every level's names, deepest level first: its names begin like the others'."""
    lines = []
    for ours, theirs in NETWORKS.items():
        for level in reversed(range(levels)):
            path = f"{theirs}.netG.model." + "submodule." * level
            place = levels - 1 - level  # of the way up, from the bottleneck
            lines += [
                (X2FACE, f"{path}down.{0 if level == 0 else 1}.", f"{ours}.down.levels.{level}.conv."),
                (X2FACE, f"{path}down.2.", f"{ours}.down.levels.{level}.norm."),
                (X2FACE, f"{path}up.2.", f"{ours}.up.levels.{place}.conv."),
                (X2FACE, f"{path}up.3.", f"{ours}.up.levels.{place}.norm."),
            ]
    return tuple(lines)


def sized(published: Published, variant: str) -> X2FaceConfig:
    """The published model of the checkpoint's widths."""
    sampler = f"{NETWORKS['driving']}.netG.model."
    paths = [f"{sampler}{'submodule.' * level}down.{0 if level == 0 else 1}.weight" for level in range(NUM_BLOCKS)]
    widths = [published.shape(X2FACE, path)[0] for path in paths]
    return X2FaceConfig(
        width=widths[0],
        cap=cap_of(widths[:-1], widths[0] * 2 ** (NUM_BLOCKS - 2), X2FaceConfig().cap),
        vector=widths[-1],
        padding="zeros",
    )


X2FACE_ADAPTER = Adapter(_names(NUM_BLOCKS), sized=sized)
