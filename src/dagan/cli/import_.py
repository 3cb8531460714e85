"""`dagan import CKPT.pth.tar -o MODEL.safetensors`: converts a published checkpoint to a model file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.geometry.warp import PixelConvention
    from dagan.models.families import JudgeConfig, ModelConfig
    from dagan.released.published import Published

SAMPLING: "dict[str, PixelConvention]" = {
    "edges": "mixed",
    "aligned": "corners",
}  # what -1 and +1 meant to the sampling: our `pixels`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("files", metavar="CKPT", type=Path, nargs="*", help="published checkpoint (.pth.tar or .pth)")
    add(
        "--depth",
        metavar=("ENCODER", "DEPTH"),
        type=Path,
        nargs=2,
        default=[],
        help="encoder.pth and depth.pth of the face depth network; without CKPT, only these are imported",
    )
    add(
        "--sampling",
        choices=list(SAMPLING),
        help="where coordinates -1 and +1 were in the training of the weights: on the image's edges (edges, default) "
        "or on the centres of its outermost pixels (aligned, as for FOMM's first weights)",
    )
    add(
        "--variant",
        metavar="NAME",
        help="what names in a checkpoint do not tell: vox (default) or vox-full of Monkey-Net; new or beta of OSFV, by "
        "the order of rotations (default: beta if its detector works at full size)",
    )
    add("-o", "--output", metavar="MODEL.safetensors", type=Path, required=True, help="model file to write")


def run(args: argparse.Namespace) -> int:
    files = [*args.files, *args.depth]
    _check(files, args.output)
    from dagan.released.published import DEPTH, read_published

    published = read_published(files)
    provenance = _provenance(published, files)
    if published.kind == DEPTH:
        facts = _write_depth(published, args.output, provenance)
    else:
        facts = _write_model(published, args, provenance)
    print(f"{args.output}: {facts}")
    return 0


def _check(files: list[Path], output: Path) -> None:
    from dagan.files import check_output, check_place

    if not files:
        raise UserError("nothing to import: give a checkpoint, or --depth ENCODER DEPTH, or both")
    check_place(output)
    check_output(output, files)


def _write_model(published: "Published", args: argparse.Namespace, provenance: dict[str, str]) -> str:
    import json

    from dagan.config import to_plain
    from dagan.models.weights import DISCRIMINATOR, save_state
    from dagan.released.foreign import FAMILIES, convert, shapes_of

    config, judge = (_family if published.kind in FAMILIES else _talking_head)(published, args)
    parts: dict[str, object] = {"model": config}
    if judge is not None:
        parts[DISCRIMINATOR] = judge
        provenance = {**provenance, DISCRIMINATOR: json.dumps(to_plain(judge))}
    save_state(args.output, convert(published, shapes_of(**parts)), config, provenance)
    depth = f", depth by ResNet-{published.num_layers}" if "encoder" in published.sections else ""
    kept = "with its discriminator" if judge is not None else "without a discriminator"
    return f"{published.title}{_keypoints(config)}{depth}, {kept}"


def _keypoints(config: "ModelConfig") -> str:
    count = getattr(getattr(config, "keypoints", config), "num_keypoints", None)
    return f", {count} keypoints" if count is not None else ""


def _talking_head(published: "Published", args: argparse.Namespace) -> "tuple[ModelConfig, JudgeConfig | None]":
    """What DaGAN's or FOMM's checkpoint computes, at its sizes."""
    from dagan.presets import RELEASED, RELEASED_DISCRIMINATORS
    from dagan.released.foreign import sized_discriminator, sized_model, with_pixels

    if args.variant is not None:
        raise UserError(f"{published.title} has one variant; leave --variant out")
    pixels = SAMPLING[args.sampling or "edges"]
    judge = sized_discriminator(published, RELEASED_DISCRIMINATORS[published.kind], pixels)
    return with_pixels(sized_model(published, RELEASED[published.kind]), pixels), judge


def _family(published: "Published", args: argparse.Namespace) -> "tuple[ModelConfig, JudgeConfig | None]":
    """What another family's checkpoint computes, at its sizes."""
    from dagan.released.foreign import FAMILIES

    adapter = FAMILIES[published.kind]
    if args.sampling is not None:
        raise UserError(f"the sampling of {published.title} is known; leave --sampling out")
    if args.variant is not None and args.variant not in adapter.variants:
        known = f"it has: {', '.join(adapter.variants)}" if adapter.variants else "it has one: leave --variant out"
        raise UserError(f"{published.title} has no variant {args.variant!r}; {known}")
    return adapter.sized(published, args.variant or ""), adapter.sized_judge(published, args.variant or "")


def _write_depth(published: "Published", output: Path, provenance: dict[str, str]) -> str:
    from dagan.models.weights import save_state
    from dagan.released.foreign import convert, shapes_of, sized_depth
    from dagan.released.published import DEPTH

    config = sized_depth(published)
    state = convert(published, shapes_of(depth=config))
    save_state(output, {name.removeprefix(f"{DEPTH}."): value for name, value in state.items()}, config, provenance)
    return f"{published.title} (ResNet-{published.num_layers}); give it to `dagan train --depth`"


def _provenance(published: "Published", files: list[Path]) -> dict[str, str]:
    """Where the weights come from: the kind of model, and name and SHA-256 of each file."""
    import json

    from dagan import __version__

    sources = [{"file": path.name, "sha256": _sha256(path)} for path in dict.fromkeys(files)]
    return {"published": published.kind, "imported_from": json.dumps(sources), "imported_by": f"dagan {__version__}"}


def _sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
