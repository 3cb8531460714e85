"""How well `dagan prepare` did on stitched raw videos: tracks, wrong joins, people, crops, cuts and reasons.

    python benchmarks/stitch_raw.py CLIPS RAW
    dagan prepare RAW -o PREPARED
    python benchmarks/score_prepared.py RAW PREPARED

A true track is found if one clip's boxes overlap it by 0.5 over 80 % of its frames.
"""

import argparse
import json
from itertools import combinations
from pathlib import Path

import numpy as np

from dagan.data.decoding import DecodeReport, read_frames
from dagan.preparation.archives import read_boxes
from dagan.preparation.rows import from_lines
from dagan.preparation.shots import ShotFinder

OVERLAP, SHARE = 0.5, 0.8


def shared(boxes, others):
    """Intersection over union, frame by frame."""
    low = np.maximum(boxes[:, :2], others[:, :2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    both = np.clip(high - low, 0, None).prod(1)
    return both / np.maximum(boxes[:, 2:].prod(1) + others[:, 2:].prod(1) - both, 1e-6)


def overlap_frames(true, row, boxes):
    """Frames in which a row's boxes lie on a true track."""
    first, end = max(true["first"], row.first_frame), min(true["end"], row.first_frame + len(boxes))
    if first >= end or not true["boxes"]:
        return 0
    ours = boxes[first - row.first_frame : end - row.first_frame]
    theirs = np.array(true["boxes"])[first - true["first"] : end - true["first"]]
    return int((shared(ours, theirs) >= OVERLAP).sum())


def matches(film, rows, boxes):
    """Of each true stretch the row that lies on most of its frames, and on how many."""
    found = []
    for true in film["truth"]:
        if true["reason"] == "no_face":
            inside = [
                r
                for r in rows
                if r.reason == "no_face"
                and r.first_frame < true["end"]
                and true["first"] < r.first_frame + r.num_frames
            ]
            found.append((true, inside[0] if inside else None, 1.0 if inside else 0.0))
            continue
        counts = [(overlap_frames(true, row, boxes[row.name]), row) for row in rows if row.name in boxes]
        best = max(counts, key=lambda pair: pair[0], default=(0, None))
        found.append((true, best[1] if best[0] else None, best[0] / (true["end"] - true["first"])))
    return found


def meets(true, row):
    return row.first_frame < true["end"] and true["first"] < row.first_frame + row.num_frames


def cut_counts(raw, film):
    """Cuts that were found, wrong ones, and missed ones."""
    finder = ShotFinder()
    for frame in read_frames(raw / film["file"], DecodeReport()):
        finder.add(frame)
    finder.finish()
    ours, truth = set(finder.cuts), set(film["cuts"])
    return len(ours & truth), len(ours - truth), len(truth - ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("prepared", type=Path)
    args = parser.parse_args()
    truth = json.loads((args.raw / "truth.json").read_text())
    rows = from_lines((args.prepared / "manifest.jsonl").read_text())
    boxes = {}
    for archive in sorted((args.prepared / "units").glob("*.tar")):
        boxes |= read_boxes(archive)
    right_cuts, wrong_cuts, missed_cuts = np.sum([cut_counts(args.raw, film) for film in truth["films"]], axis=0)
    print(f"cuts: {right_cuts} found, {wrong_cuts} wrong, {missed_cuts} missed")
    report(truth, rows, boxes)


def report(truth, rows, boxes):
    """Prints the scores."""
    found = []
    for film in truth["films"]:
        own = [row for row in rows if row.source == film["file"]]
        found += [(film["file"], *match) for match in matches(film, own, boxes)]
    for file, true, row, _ in found:
        said = "no row" if row is None else row.reason or "kept"
        if said not in (true["reason"] or "kept", "duplicate"):
            where = f"{file} {true['first']}-{true['end']} {true['clip']}"
            print(f"  {where}: {said}, should be {true['reason'] or 'kept'}")
    report_tracks(truth, [match[1:] for match in found], rows, boxes)
    report_people([match[1:] for match in found], truth, rows)


def share(part, whole):
    return f"{part}/{whole} = {part / max(whole, 1):.3f}"


def report_tracks(truth, found, rows, boxes):
    """Tracks, reasons and crops."""
    stitched = [film["file"] for film in truth["films"]]
    ours = [row for row in rows if row.source in stitched and row.name in boxes]
    right = sum(is_true(row, boxes[row.name], truth) for row in ours)
    shares = [seen for true, _, seen in found if true["boxes"]]
    recall = share(sum(seen >= SHARE for seen in shares), len(shares))
    print(f"tracks: recall {recall}, precision {share(right, len(ours))}")
    defects = [row is not None and row.reason == true["reason"] for true, row, _ in found if true["reason"]]
    print(f"defects with their reason: {share(sum(defects), len(defects))}")
    good = [(true, row) for true, row, _ in found if not true["reason"]]
    kept = sum(row is not None and row.reason in ("", "duplicate") for _, row in good)
    print(f"good stretches kept: {share(kept, len(good))}")
    crops = [crop_overlap(true["place"], row) for true, row in good if row is not None and row.side]
    print(f"crops on the clips they came from: overlap {np.median(crops):.2f}, at least {min(crops):.2f}")


def report_people(found, truth, rows):
    """Who was taken for whom, copies, and sound."""
    known = [(true["person"], row.person) for true, row, _ in found if row is not None and row.person]
    pairs = [(a[0] == b[0], a[1] == b[1]) for a, b in combinations(known, 2)]
    one, two = [ours for same, ours in pairs if same], [ours for same, ours in pairs if not same]
    print(f"people: {share(sum(one), len(one))} pairs of one person together, {share(sum(two), len(two))} of two")
    copies = [row for row in rows if row.source in (*truth["copies"], *truth["copies"].values())]
    print(
        f"copies: {sum(row.reason == 'duplicate' for row in copies)} duplicates found, "
        f"{sum(not row.reason for row in copies)} clips kept of the two videos"
    )
    for sounds, name in ((True, "from the mouth"), (False, "of others or none")):
        values = sorted(row.sync for true, row, _ in found if row and row.sync is not None and true["sounds"] == sounds)
        print(f"sync with sound {name}: {np.round(values, 2).tolist()}")


def is_true(row, box, truth):
    """Whether a row lies on one true track over most of its own frames: it joins no two people."""
    film = next(film for film in truth["films"] if film["file"] == row.source)
    return max((overlap_frames(true, row, box) for true in film["truth"]), default=0) >= SHARE * len(box)


def crop_overlap(place, row):
    """Intersection over union of a crop and of where the clip lies."""
    x, y, side = place
    return float(
        shared(np.array([[x, y, side, side]], float), np.array([[row.x, row.y, row.side, row.side]], float))[0]
    )


if __name__ == "__main__":
    main()
