"""The ledger of an unfinished evaluation: one line for each job that is done, so that it can be taken up again."""

import base64
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from dagan.evaluation.records import SkippedClip, plain, sample_from_plain
from dagan.evaluation.work import JobResult, Plan
from dagan.files import write_text
from dagan.observers.faces import ObserverVersion

FILE = "unfinished.jsonl"


class Ledger:
    """Appends results to a file whose first line says what they belong to; None keeps nothing."""

    def __init__(self, path: Path | None, key: str) -> None:
        self._path = path
        self.done: list[JobResult] = []
        if path is None:
            return
        if path.is_file() and (lines := path.read_text(encoding="utf-8").splitlines()):
            if _load(lines[0]) == {"key": key}:
                results = (_result(_load(line)) for line in lines[1:])  # the last line may be torn
                self.done = [result for result in results if result is not None]
            else:
                warnings.warn(
                    f"{path} is of another evaluation (model, pairs or evaluator differ): starting anew", stacklevel=2
                )
        text = [json.dumps({"key": key}), *(_line(result) for result in self.done)]
        write_text(path, "\n".join(text) + "\n")

    def add(self, result: JobResult) -> None:
        """Writes down one job; it is safe on disk when this returns."""
        self.done.append(result)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(result) + "\n")

    def finish(self) -> None:
        """Removes the file: the report holds everything now."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def key_of(plan: Plan, observers: dict[str, ObserverVersion], fingerprint: str) -> str:
    """Changes when the results could: with the images, the pairs, the frames' files or the evaluator."""
    facts = (fingerprint, plan.protocol, sorted(observers.items()), [repr(job) for job in plan.jobs])
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _line(result: JobResult) -> str:
    whole = plain(result._replace(features=None))
    whole["features"] = _packed(result.features) if result.features is not None else None
    return json.dumps(whole)


def _packed(features: Float[np.ndarray, "n 3 d"]) -> dict[str, Any]:
    data = base64.b64encode(features.astype("<f4").tobytes()).decode("ascii")
    return {"shape": features.shape, "float32": data}


def _load(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _result(found: Any) -> JobResult | None:
    try:
        packed = found["features"]
        features = None
        if packed is not None:
            features = np.frombuffer(base64.b64decode(packed["float32"]), "<f4").reshape(packed["shape"])
        return JobResult(
            found["job"],
            tuple(sample_from_plain(sample) for sample in found["samples"]),
            SkippedClip(**found["skipped"]) if found["skipped"] else None,
            features,
            found["num_changed"],
        )
    except (KeyError, TypeError, ValueError):
        return None  # a line that was torn when the run was killed: that job is done again
