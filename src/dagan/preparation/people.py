"""Who is who: clips whose faces look alike are of one person, and each person is in one split only."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from dagan.data.clips import lot
from dagan.errors import UserError
from dagan.preparation.rows import Row

SAME = 0.363  # least cosine of two SFace embeddings of one person, as its authors give it
JOINED = 0.45  # of two groups' means, which are steadier than single faces
ROUNDS = 8  # of joining groups, at most
BLOCK = 1024  # groups that are compared at once


def group(embeddings: Float[np.ndarray, "n d"]) -> list[int]:
    """A number of the person for each embedding, in the order of first appearance.

    Each embedding joins the group whose mean it is most like, or begins one; then groups that are alike are joined.
    Embeddings have unit length; their order counts, so callers sort them.
    """
    sums = np.zeros((0, embeddings.shape[1]), np.float32)  # those of groups, with room for more
    means = sums.copy()
    labels: list[int] = []
    count = 0
    for embedding in embeddings.astype(np.float32):
        likeness = means[:count] @ embedding
        best = int(likeness.argmax()) if count else -1
        if best < 0 or likeness[best] < SAME:
            best, count = count, count + 1
            if count > len(sums):
                room = ((0, len(sums) + 64), (0, 0))
                sums, means = np.pad(sums, room), np.pad(means, room)
        sums[best] += embedding
        means[best] = sums[best] / np.linalg.norm(sums[best])
        labels.append(best)
    return _joined(labels, sums[:count])


def _joined(labels: list[int], sums: Float[np.ndarray, "g d"]) -> list[int]:
    """The labels after groups whose means are alike have become one."""
    target = list(range(len(sums)))
    totals = sums.copy()
    for _ in range(ROUNDS):
        alive = [number for number, goal in enumerate(target) if goal == number]
        means = totals[alive] / np.linalg.norm(totals[alive], axis=1, keepdims=True)
        pairs = [
            (-float(likeness[row, column]), alive[start + row], alive[column])
            for start in range(0, len(alive), BLOCK)
            for likeness in [means[start : start + BLOCK] @ means.T]
            for row, column in np.argwhere(likeness >= JOINED).tolist()
            if start + row < column
        ]
        changed: set[int] = set()
        for _, kept, gone in sorted(pairs):
            if not {kept, gone} & changed:
                target[gone] = kept
                totals[kept] += totals[gone]
                changed |= {kept, gone}
        if not changed:
            break
    return [_goal(target, label) for label in labels]


def _goal(target: Sequence[int], label: int) -> int:
    while target[label] != label:
        label = target[label]
    return label


def name_people(rows: Sequence[Row], embeddings: Mapping[str, Float[np.ndarray, " d"]]) -> dict[str, str]:
    """The person of each kept clip, by its name: as the list says; else by faces; else the raw file's.

    A person without a name is called p and a mark of his or her first clip, which later runs do not change.
    """
    named = {row.name: row.person for row in rows if row.person}
    seen = sorted(row.name for row in rows if not row.person and row.name in embeddings)
    people = dict(named)
    if seen:
        first: dict[int, str] = {}
        for name, label in zip(seen, group(np.stack([embeddings[name] for name in seen])), strict=True):
            people[name] = first.setdefault(label, _mark(name))
    for row in rows:
        people.setdefault(row.name, _mark(row.source))
    return people


def _mark(text: str) -> str:
    return f"p{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def split_people(rows: Sequence[Row], people: Mapping[str, str], validation: float, test: float) -> dict[str, str]:
    """The split of each person. People who share a raw video go together, so that no room or evening is in two splits.

    A person's lot decides, so that more clips later change as little as possible. `Row.split` of a list wins.

    Raises:
        UserError: a list puts one person into two splits.
    """
    leader = {person: person for person in people.values()}

    def lead(person: str) -> str:
        while leader[person] != person:
            person = leader[person]
        return person

    first_of: dict[str, str] = {}
    said: dict[str, str] = {}
    for row in rows:
        person = people[row.name]
        if row.split:
            if said.setdefault(person, row.split) != row.split:
                raise UserError(f"the list has {person} in two splits: {said[person]} and {row.split}")
            continue
        a, b = sorted((lead(person), lead(first_of.setdefault(row.source, person))))
        leader[b] = a
    return {person: said.get(person) or _split_of(lead(person), validation, test) for person in leader}


def _split_of(person: str, validation: float, test: float) -> str:
    chance = lot(person)
    return "test" if chance < test else "validation" if chance < test + validation else "train"


def check_splits(rows: Sequence[Row]) -> None:
    """Raises RuntimeError when a person is in two splits: then these functions are wrong."""
    seen: dict[str, str] = {}
    for row in rows:
        if not row.reason and seen.setdefault(row.person, row.split) != row.split:
            raise RuntimeError(f"{row.person} is in {seen[row.person]} and in {row.split}")
