"""Makes the numbers of docs/evaluation.md: do the metrics rank images of known quality, do the observers observe?

python scripts/check_evaluator.py ../shared/clips/test --workers 2            (about 10 minutes on two free cores)
python scripts/check_evaluator.py ../shared/clips/test --limit 6 --pairs-per-clip 2                   (a minute)
"""

import argparse
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dagan.data.clips import find_clips
from dagan.data.protocols import count_frames, read_chosen_frames
from dagan.evaluation.doctor import photo
from dagan.evaluation.evaluator import Evaluator, EvaluatorConfig
from dagan.evaluation.evaluator_check import DRIVING, check, run_pieces
from dagan.evaluation.metrics.pairwise import head_pose_error
from dagan.evaluation.plans import PairChoice, make_plan
from dagan.evaluation.synthetic_heads import close_eyes, open_mouth, turn_head
from dagan.evaluation.systems import TestPiece
from dagan.observers import MediaPipeFace
from dagan.observers.blendshape_units import BLINK, JAW_DROP

TURNS = [(yaw, 0, 0) for yaw in (-25, -15, 15, 25)] + [(0, pitch, 0) for pitch in (-20, -10, 10, 20)]
TURNS += [(0, 0, roll) for roll in (-20, 20)] + [(15, 10, -10), (-15, -10, 10)]
FRAMES_PER_CLIP = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips")
    parser.add_argument("--pairs-per-clip", type=int, default=4)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, help="write the Markdown there too")
    args = parser.parse_args()
    choice = PairChoice(root=args.clips, pairs_per_clip=args.pairs_per_clip, limit=args.limit)
    plan = make_plan(choice, TestPiece(name=DRIVING), EvaluatorConfig())
    checked = check(run_pieces(plan, args.clips, args.workers))
    with EvaluatorConfig().build() as evaluator:
        lines = [*poses(evaluator), *units(evaluator), *identities(evaluator, args.clips, args.limit)]
    text = checked.to_markdown() + "\n" + "\n".join(lines) + "\n"
    print(text, end="")
    if args.out:
        args.out.write_text(text)
    return bool(checked.violations)


def poses(evaluator: Evaluator) -> list[str]:
    """The photo's head turned by known angles."""
    with MediaPipeFace() as face:
        seen = face.observe(photo())
    rest = evaluator.look(photo()).head_pose
    errors = {}
    for turn in TURNS:
        pose = evaluator.look(turn_head(photo(), seen.landmarks, *turn)).head_pose
        errors[turn] = head_pose_error([a - b for a, b in zip(pose, rest, strict=True)], turn)
    worst = max(errors, key=errors.get)
    mean = np.mean(list(errors.values()))
    return [f"- head pose, {len(TURNS)} known turns: error {mean:.2f} degrees, at most {errors[worst]:.2f} at {worst}"]


def units(evaluator: Evaluator) -> list[str]:
    """The photo's mouth opened and its eyes closed."""
    with MediaPipeFace() as face:
        landmarks = face.observe(photo()).landmarks
    names, rest = evaluator.action_units.names, evaluator.look(photo()).action_units
    lines = []
    for what, image, name in (
        ("opened mouth", open_mouth(photo(), landmarks, 22), JAW_DROP),
        ("closed eyes", close_eyes(photo(), landmarks), BLINK),
    ):
        after, place = evaluator.look(image).action_units, names.index(name)
        lines.append(f"- {what}: {name} {rest[place]:.2f} before, {after[place]:.2f} after")
    return lines


def identities(evaluator: Evaluator, clips_root: str, limit: int | None) -> list[str]:
    """Trials of two frames of one person (of different clips where there are some) and one of another person."""
    if evaluator.identity is None:
        return list(evaluator.unavailable)
    seen: dict[str, list[tuple[str, np.ndarray]]] = {}
    for clip in tqdm(find_clips(clips_root)[:limit], desc="identities", disable=None, leave=False):
        count = count_frames(clip)
        wanted = sorted({int(place) for place in np.linspace(0, count - 1, FRAMES_PER_CLIP)})
        for frame in read_chosen_frames(clip, wanted, 256).values():
            embedding = evaluator.look(frame).identity
            if embedding is not None:
                seen.setdefault(clip.identity, []).append((clip.name, embedding))
    same, other, wins, trials = [], [], 0, 0
    strangers = {name: np.stack([e for other, es in seen.items() if other != name for _, e in es]) for name in seen}
    for name, found in seen.items():
        many = len({clip for clip, _ in found}) > 1
        for (first_clip, first), (second_clip, second) in combinations(found, 2):
            if many and first_clip == second_clip:
                continue
            cosine, others = float(first @ second), strangers[name] @ first
            same.append(cosine)
            other += others.tolist()
            wins += int((cosine > others).sum())
            trials += len(others)
    return [
        f"- identity, {len(seen)} people: same person {np.mean(same):.3f}, another {np.mean(other):.3f}; same above "
        f"other in {wins / trials:.1%} of {trials} trials"
    ]


if __name__ == "__main__":
    sys.exit(main())
