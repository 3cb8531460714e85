"""The finished jobs of an evaluation, one line each, so that an interrupted evaluation can continue."""

import base64
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from dagan.config import from_plain
from dagan.evaluation.job import JobResult
from dagan.evaluation.metrics.temporal import ClipMotion
from dagan.evaluation.records import SkippedClip, plain, sample_from_plain
from dagan.files import room_for, write_text

FILE = "unfinished.jsonl"


class ProgressFile:
    """Appends results to a file whose first line identifies the evaluation. With path None nothing is written."""

    def __init__(self, path: Path | None, key: str) -> None:
        self._path = path
        self.done: list[JobResult] = []
        if path is None:
            return
        if path.is_file() and (lines := path.read_text(encoding="utf-8", errors="replace").splitlines()):
            if _load(lines[0]) == {"key": key}:
                results = (_result(_load(line)) for line in lines[1:])
                self.done = [result for result in results if result is not None]
            else:
                warnings.warn(
                    f"{path} is of another evaluation (model, pairs or evaluator differ); starting again", stacklevel=2
                )
        text = [json.dumps({"key": key}), *(_line(result) for result in self.done)]
        write_text(path, "\n".join(text) + "\n")

    def add(self, result: JobResult) -> None:
        """Writes one job; it is in the file when this returns."""
        self.done.append(result)
        if self._path is not None:
            with room_for(self._path), self._path.open("a", encoding="utf-8") as file:
                file.write(_line(result) + "\n")


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
    except (RecursionError, ValueError):
        return None


def _result(found: Any) -> JobResult | None:
    try:
        packed = found["features"]
        features = None
        if packed is not None:
            count, images, width = packed["shape"]
            features = np.frombuffer(base64.b64decode(packed["float32"]), "<f4").reshape(count, images, width)
        return JobResult(
            from_plain(int, found["job"]),
            tuple(sample_from_plain(sample) for sample in found["samples"]),
            from_plain(SkippedClip, found["skipped"]) if found["skipped"] else None,
            features,
            from_plain(int, found["num_changed"]),
            from_plain(ClipMotion, found["motion"]) if found["motion"] else None,
        )
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None  # the line was cut off when the run was killed: that job is repeated
