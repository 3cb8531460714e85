"""`dagan evaluate CLIPS_DIR`: how well a model, or another system's images, reenact the people of a folder of clips."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.progress import Progress
from dagan.cli.sizes import pixels
from dagan.cli.workers import add_worker_arguments, pick_workers
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.evaluation.evaluator import EvaluatorConfig
    from dagan.evaluation.pairs import AskedMotion, Selection
    from dagan.evaluation.report import Report
    from dagan.evaluation.run import Plan
    from dagan.evaluation.systems import System, SystemConfig

DEFAULT_PAIRS = 4  # per clip
DEFAULT_SIZE = 256
PROGRESS_FILE = "unfinished.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "clips",
        metavar="CLIPS_DIR",
        help="folder of face videos or of folders of frames, or with the folders source/ and driving/",
    )
    _add_system(parser)
    _add_pairs(parser)
    add_evaluator_arguments(parser)
    add_worker_arguments(parser)
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
        help="write evaluation.json, .md and .html there; an interrupted evaluation continues",
    )
    parser.add_argument(
        "--ghosts",
        action="store_true",
        help="instead of pairs: compose heads over known backgrounds, drive each with three others, and measure how "
        "much of a head stays where it no longer is; --limit heads (default: 12); -o gets ghosts.json, .md and .jpg",
    )
    parser.add_argument(
        "--compare", metavar="RESULT", help="also print the differences from an earlier result on the same pairs"
    )


def _add_system(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("system")
    which = group.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="FILE", help="model to evaluate (default: the package's weights)")
    which.add_argument(
        "--generated", metavar="DIR", help="images or videos that another system generated for the same pairs"
    )
    which.add_argument(
        "--baseline",
        choices=("registrations",),
        help="a system without a network: registrations is the source moved by what --motion registered is told",
    )
    group.add_argument("--name", help="name of the system in the report")


def _add_pairs(parser: argparse.ArgumentParser) -> None:
    pairs = parser.add_argument_group("pairs")
    pairs.add_argument(
        "--protocol",
        choices=("self", "cross", "reconstruction"),
        help="self-reenactment, cross-identity, or the first frame of a clip driven by the whole clip "
        "(default: self; with --pairs, self or cross as its rows are)",
    )
    pairs.add_argument(
        "--motion",
        choices=("relative", "absolute", "registered"),
        help="relative transfers the driver's change from a rest frame, as `dagan animate` does (default); absolute "
        "uses the driver's keypoints as they are, as in the paper's tables; registered also moves background and torso "
        "as they moved between source and target frame, which no animation can know",
    )
    pairs.add_argument(
        "--rest",
        choices=("source", "best", "first"),
        help="frame from which relative motion is measured: source (default for frames of one clip); best (default for "
        "two people): the frame of the whole driving clip whose pose and expression are closest to the source's; "
        "first: the driver's first frame",
    )
    pairs.add_argument("--pairs", metavar="CSV", help="list with columns source,driving[,frame] instead of drawn pairs")
    pairs.add_argument(
        "--pairs-per-clip",
        metavar="N",
        type=positive,
        default=DEFAULT_PAIRS,
        help=f"pairs drawn from each clip (default: {DEFAULT_PAIRS})",
    )
    pairs.add_argument(
        "--every", metavar="N", type=positive, default=1, help="use one frame in N of whole videos (default: 1)"
    )
    pairs.add_argument("--seed", metavar="N", type=int, default=0, help="seed of the drawn pairs (default: 0)")
    pairs.add_argument("--limit", metavar="N", type=positive, help="use only the first N clips, or rows of the list")
    pairs.add_argument(
        "--size",
        metavar="N",
        type=pixels,
        default=DEFAULT_SIZE,
        help=f"frames are resized to N x N pixels (default: {DEFAULT_SIZE})",
    )


def add_evaluator_arguments(parser: argparse.ArgumentParser) -> None:
    """Observers by name, and where their weights are."""
    group = parser.add_argument_group("observers and their weights")
    group.add_argument(
        "--landmarks",
        default="mediapipe478",
        help="mediapipe478 (default), mediapipe68, or dlib68: also a "
        "second observer of what follows the driver; needs the extra dagan[dlib]",
    )
    group.add_argument("--head-pose", default="mediapipe", help="mediapipe (default) or axes")
    group.add_argument(
        "--action-units", default="blendshapes", help="blendshapes (default), or even: one threshold of 0.5 for all"
    )
    group.add_argument("--identity", default="sface", help="sface (default) or none")
    group.add_argument("--identity-weights", metavar="PATH", help="SFace's ONNX file, or its folder")
    group.add_argument("--lpips", default="alex", help="alex (default) or none")
    group.add_argument("--lpips-weights", metavar="DIR", help="folder with the two safetensors files of LPIPS")


def run(args: argparse.Namespace) -> int:
    if args.ghosts:
        return _ghosts(args)
    folder = _out_folder(args) if args.out else None
    from dagan.evaluation.compare import compare
    from dagan.evaluation.report import read_report
    from dagan.evaluation.run import evaluate, make_plan

    workers = pick_workers(args)
    earlier = read_report(args.compare) if args.compare else None
    plan = make_plan(_choice(args), _system(args), evaluator_config(args))
    with Progress("evaluating", unit="clip") as shown:
        system = plan.system.build(plan.protocol.motion) if workers is None else None
        report = evaluate(
            plan,
            workers=workers,
            threads=_threads(args),
            progress_file=folder / PROGRESS_FILE if folder is not None else None,
            progress=lambda done, total, _: shown.update(done, total),
            system=system,
        )
    print(report.to_markdown(), end="")
    if folder is not None:
        _write_results(folder, report, plan, system)
    if earlier is not None:
        print("\n" + compare(earlier, report).to_markdown(), end="")
    return 0


def _threads(args: argparse.Namespace) -> int:
    """Of each worker: its share of this machine's, or the processors that Ray gives it."""
    import torch

    if args.ray is not None:
        return max(1, int(args.ray_cpus))
    return max(1, torch.get_num_threads() // int(args.workers))


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


def _choice(args: argparse.Namespace) -> "Selection":
    motion: AskedMotion = args.motion or ("given" if args.generated is not None else "relative")
    if args.rest is not None and motion != "relative":
        raise UserError("--rest chooses the rest frame of relative motion; add --motion relative")
    from dagan.evaluation.pairs import Selection

    return Selection(
        root=args.clips,
        protocol=args.protocol,
        motion=motion,
        rest=args.rest,
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
    from dagan.evaluation.registrations import Registrations
    from dagan.evaluation.systems import GeneratedFolder
    from dagan.models.weights import load_config

    if args.baseline is not None:
        return Registrations(label=args.name)
    if args.generated is None:
        if args.model is not None:
            load_config(args.model)  # a wrong path is reported before the clips are read
        device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
        return ModelFile(
            path=args.model,
            device=device,
            label=args.name,
            runtime=args.runtime,
            precision=args.precision,
        )
    if (args.runtime, args.precision) != ("torch", "fp32"):
        raise UserError("--runtime and --precision are for a model; leave them out with --generated")
    if args.pairs is None and args.protocol != "reconstruction" and not is_triple_folder(args.clips):
        raise UserError(
            "--generated needs fixed pairs: give --pairs LIST, --protocol reconstruction, or a CLIPS_DIR with source/ "
            "and driving/ (`dagan data pairs --export` writes one)"
        )
    if not Path(args.generated).is_dir():
        raise UserError(f"no such folder of generated images: {args.generated}")
    return GeneratedFolder(path=args.generated, size=args.size, label=args.name)


def _ghosts(args: argparse.Namespace) -> int:
    """`--ghosts`: its own pictures, its own report."""
    from dagan.evaluation.ghosts import GhostSelection, Shown, evaluate_ghosts, sheet, to_json, to_markdown
    from dagan.files import write_text
    from dagan.images import save_page
    from dagan.observers.mediapipe_face import MediaPipeFace

    given = [name for name in ("pairs", "protocol", "motion", "rest", "compare", "generated") if getattr(args, name)]
    if given or args.baseline:
        raise UserError(f"--ghosts draws its own pictures: leave out --{(given or ['baseline'])[0]}")
    folder = _out_folder(args) if args.out else None
    selection = GhostSelection(
        args.clips, args.limit or GhostSelection._field_defaults["num_heads"], args.seed, args.size
    )
    shown: list[Shown] = []
    with Progress("composing", unit="head") as progress, MediaPipeFace() as face:
        report = evaluate_ghosts(selection, _system(args), face, progress.update, shown.append)
    print(to_markdown(report), end="")
    if folder is not None:
        write_text(folder / "ghosts.json", to_json(report))
        write_text(folder / "ghosts.md", to_markdown(report))
        save_page(sheet(shown), folder / "ghosts.jpg")
        print(f"\nwritten: {', '.join(str(folder / f'ghosts.{end}') for end in ('json', 'md', 'jpg'))}")
    return 0


def positive(text: str) -> int:
    """An argument of 1 or more."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too small; expected 1 or more")
    return number


def _out_folder(args: argparse.Namespace) -> Path:
    """The folder for results, made now, so that a mistake is reported before the evaluation starts."""
    from dagan.evaluation.report import RESULT
    from dagan.files import check_folder, check_output

    folder = Path(args.out)
    check_output(folder, [Path(args.clips)])
    if args.compare:
        check_output(folder / RESULT, [Path(args.compare), Path(args.compare) / RESULT])
    if not folder.parent.is_dir():
        raise UserError(f"no such folder: {folder.parent}; make it first, or choose another -o")
    check_folder(folder)
    folder.mkdir(exist_ok=True)
    return folder


def _write_results(folder: Path, report: "Report", plan: "Plan", system: "System | None") -> None:
    """JSON and Markdown first: they are there if the page, which generates the example images again, should fail."""
    from dagan.evaluation.page import draw_examples, to_html
    from dagan.evaluation.report import RESULT, read_report
    from dagan.files import write_text

    names = (RESULT, "evaluation.md", "evaluation.html")
    write_text(folder / names[0], report.to_json())
    write_text(folder / names[1], report.to_markdown())
    stored = read_report(folder)
    write_text(folder / names[2], to_html(stored, draw_examples(stored, plan, system)))
    (folder / PROGRESS_FILE).unlink(missing_ok=True)
    print(f"\nwritten: {', '.join(str(folder / name) for name in names)}")
