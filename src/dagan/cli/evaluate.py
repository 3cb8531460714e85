"""`dagan evaluate CLIPS_DIR`: how well a model reenacts the people of a folder of clips, beside the unmoved source.

Also scores what other systems generated (`--generated`), by the same evaluator on the same pairs.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.progress import Progress
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.evaluation.evaluator import EvaluatorConfig
    from dagan.evaluation.plans import PairChoice
    from dagan.evaluation.report import Report
    from dagan.evaluation.systems import System, SystemConfig
    from dagan.evaluation.work import Plan

DEFAULT_PAIRS = 4  # per clip
DEFAULT_SIZE = 256
LEDGER = "unfinished.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "clips", metavar="CLIPS_DIR", help="folder of face videos or of folders of frames; or with source/ and driving/"
    )
    who = parser.add_argument_group("who is measured").add_mutually_exclusive_group()
    who.add_argument("--model", metavar="PATH", help="weights to measure (default: those of the package)")
    who.add_argument("--generated", metavar="DIR", help="images or videos that any system generated for the pairs")
    parser.add_argument("--name", help="what the system is called in the report")
    parser.add_argument(
        "--still-background",
        action="store_true",
        help="between two frames of one clip, keep the background still and let the torso follow its keypoints, as "
        "`dagan animate` does; by default the model is told how both moved",
    )
    _add_pairs(parser)
    add_evaluator_arguments(parser)
    parser.add_argument("--workers", metavar="N", type=positive, default=1, help="processes (default: 1)")
    parser.add_argument("--device", help="for the model: cpu, cuda (default: cuda if there is one)")
    parser.add_argument(
        "--runtime", choices=("torch", "onnx", "openvino"), default="torch", help="what computes (default: torch)"
    )
    parser.add_argument(
        "--precision", choices=("fp32", "bf16", "int8"), default="fp32", help="of the computation (default: fp32)"
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT_DIR",
        help="write evaluation.json, .md and .html there; an interrupted run continues",
    )
    parser.add_argument(
        "--compare", metavar="RESULT", help="an earlier result on the same pairs, for paired differences"
    )


def _add_pairs(parser: argparse.ArgumentParser) -> None:
    pairs = parser.add_argument_group("pairs")
    pairs.add_argument("--protocol", choices=("self", "cross", "reconstruction"), help="default: self, or as the list")
    pairs.add_argument(
        "--motion",
        choices=("absolute", "relative"),
        default="absolute",
        help="with --protocol cross: absolute takes over the driver's own pose and proportions (default, as in the "
        "published tables); relative moves the source as the driver moved since the rest frame, as in `dagan animate`",
    )
    pairs.add_argument(
        "--rest",
        choices=("best", "first"),
        help="driver's frame from which relative motion is measured: best (default) is the one of its whole clip whose "
        "pose and expression are closest to the source's; first is its first frame",
    )
    pairs.add_argument("--pairs", metavar="CSV", help="a list source,driving[,frame] instead of drawn pairs")
    pairs.add_argument(
        "--pairs-per-clip",
        metavar="N",
        type=positive,
        default=DEFAULT_PAIRS,
        help=f"pairs of frames drawn from each clip (default: {DEFAULT_PAIRS})",
    )
    pairs.add_argument("--every", metavar="N", type=positive, default=1, help="of whole videos only each Nth frame")
    pairs.add_argument("--seed", metavar="N", type=int, default=0, help="which pairs are drawn (default: 0)")
    pairs.add_argument("--limit", metavar="N", type=positive, help="use only the first N clips, or rows of the list")
    pairs.add_argument("--size", metavar="N", type=positive, default=DEFAULT_SIZE, help="pixels (default: 256)")


def add_evaluator_arguments(parser: argparse.ArgumentParser) -> None:
    """Observers by name, and where their weights are."""
    group = parser.add_argument_group("observers and their weights")
    group.add_argument("--landmarks", default="mediapipe478", help="mediapipe478 (default) or mediapipe68")
    group.add_argument("--head-pose", default="mediapipe", help="mediapipe (default) or axes")
    group.add_argument("--action-units", default="blendshapes", help="blendshapes (default) or even (threshold 0.5)")
    group.add_argument("--identity", default="sface", help="sface (default) or none")
    group.add_argument("--identity-weights", metavar="PATH", help="SFace's ONNX file, or its folder")
    group.add_argument("--lpips", default="alex", help="alex (default) or none")
    group.add_argument("--lpips-weights", metavar="DIR", help="folder with the two safetensors files of LPIPS")


def run(args: argparse.Namespace) -> int:
    folder = _out_folder(args.out) if args.out else None
    from dagan.evaluation.compare import compare, read_report
    from dagan.evaluation.plans import make_plan
    from dagan.evaluation.run import evaluate

    earlier = read_report(args.compare) if args.compare else None
    plan = make_plan(_choice(args), _system(args), evaluator_config(args))
    ledger = folder / LEDGER if folder is not None else None
    with Progress("evaluating", unit="clip") as shown:
        system = plan.system.build(plan.protocol.rest) if args.workers == 1 else None
        report = evaluate(
            plan,
            num_workers=args.workers,
            ledger_file=ledger,
            progress=lambda done, total, _: shown.update(done, total),
            system=system,
        )
    print(report.to_markdown(), end="")
    if folder is not None:
        _write_results(folder, report, plan, system)
    if earlier is not None:
        print("\n" + compare(earlier, report).to_markdown(), end="")
    return 0


def evaluator_config(args: argparse.Namespace) -> "EvaluatorConfig":
    from dagan.evaluation.evaluator import EvaluatorConfig

    return EvaluatorConfig(
        landmarks=args.landmarks,
        head_pose=args.head_pose,
        action_units=args.action_units,
        identity=args.identity,
        identity_weights=args.identity_weights,
        lpips=args.lpips,
        lpips_weights=args.lpips_weights,
    )


def _choice(args: argparse.Namespace) -> "PairChoice":
    if args.rest is not None and args.motion != "relative":
        raise UserError("--rest is for relative motion: add --motion relative, or leave it out")
    from dagan.evaluation.plans import PairChoice

    return PairChoice(
        root=args.clips,
        protocol=args.protocol,
        rest=(args.rest or "best") if args.motion == "relative" else "",
        pair_list=args.pairs,
        pairs_per_clip=args.pairs_per_clip,
        seed=args.seed,
        size=args.size,
        every=args.every,
        limit=args.limit,
    )


def _system(args: argparse.Namespace) -> "SystemConfig":
    import torch

    from dagan.data.triples import is_triple_folder
    from dagan.evaluation.model_systems import ModelFile
    from dagan.evaluation.systems import GeneratedFolder
    from dagan.models.weights import load_config

    if args.generated is None:
        if args.model is not None:
            load_config(args.model)  # a mistake in the path should not wait for the clips
        device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
        return ModelFile(
            path=args.model,
            device=device,
            label=args.name,
            still_background=args.still_background,
            runtime=args.runtime,
            precision=args.precision,
        )
    if (args.runtime, args.precision) != ("torch", "fp32"):
        raise UserError("--runtime and --precision are for a model; leave them out with --generated")
    if args.pairs is None and args.protocol != "reconstruction" and not is_triple_folder(args.clips):
        raise UserError(
            "--generated needs to know which image is for which pair: give --pairs LIST, --protocol reconstruction, or "
            "a CLIPS_DIR with source/ and driving/ (`dagan data pairs --export` makes one)"
        )
    if not Path(args.generated).is_dir():
        raise UserError(f"no such folder of generated images: {args.generated}")
    return GeneratedFolder(path=args.generated, size=args.size, label=args.name)


def positive(text: str) -> int:
    """An argument that counts something."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too small; expected 1 or more")
    return number


def _out_folder(out: str) -> Path:
    """The folder for results, made now: a mistake should not wait for the end of the evaluation."""
    folder = Path(out)
    if not folder.parent.is_dir():
        raise UserError(f"no such folder: {folder.parent}; make it first, or choose another -o")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; -o takes a folder")
    folder.mkdir(exist_ok=True)
    return folder


def _write_results(folder: Path, report: "Report", plan: "Plan", system: "System | None") -> None:
    from dagan.evaluation.page import to_html
    from dagan.evaluation.pictures import draw_examples
    from dagan.files import write_text

    texts = {
        "evaluation.json": report.to_json(),
        "evaluation.md": report.to_markdown(),
        "evaluation.html": to_html(report, draw_examples(report, plan, system)),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    (folder / LEDGER).unlink(missing_ok=True)
    print(f"\nwritten: {', '.join(str(folder / name) for name in texts)}")
