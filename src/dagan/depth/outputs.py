"""The files that `dagan depth` writes: their forms, names and places."""

import os
from pathlib import Path

from dagan.errors import UserError

# The file of each form in a folder. Where two forms share an ending, the ending alone means the first.
PICTURE_FORMS = {
    "map": "depth.png",
    "raw": "depth_raw.png",
    "npy": "depth.npy",
    "camera": "camera.json",
    "ply": "cloud.ply",
    "glb": "mesh.glb",
    "parallax": "parallax.mp4",
}
SURFACES = {"ply", "glb"}  # forms that trimesh writes
VIDEO_FORMS = {"map": "depth.mp4", "npy": "depth.npy", "raw": "depth_raw"}


def plan_outputs(output: Path, wanted: list[str], is_video: bool) -> dict[str, Path]:
    """The files to write, by form. A folder takes all forms, or those that are wanted; a file the one of its ending.

    Raises:
        UserError: no such form or ending, a form that does not go with the ending, or a place that cannot be written.
    """
    forms = VIDEO_FORMS if is_video else PICTURE_FORMS
    for name in wanted:
        if name not in forms:
            raise UserError(_no_such_form(name, is_video))
    if output.is_dir() or not output.suffix:
        _check_folder(output)
        return {name: output / file for name, file in forms.items() if not wanted or name in wanted}
    fitting = [name for name, file in forms.items() if Path(file).suffix == output.suffix.lower()]
    if not fitting:
        raise UserError(_no_such_ending(output, is_video))
    if len(wanted) > 1:
        raise UserError(f"{len(wanted)} formats need a folder, such as -o {output.with_suffix('')}; got {output}")
    if wanted and wanted[0] not in fitting:
        raise UserError(f"--format {wanted[0]} is written as {forms[wanted[0]]}; give a folder, or not {output}")
    _check_writable(output.parent)
    return {(wanted or fitting)[0]: output}


def _no_such_form(name: str, is_video: bool) -> str:
    if is_video and name in PICTURE_FORMS:
        return f"--format {name} is made of one picture; choose a moment of the video with --at SECONDS"
    return f"no format {name!r}; choose from {', '.join(VIDEO_FORMS if is_video else PICTURE_FORMS)}"


def _no_such_ending(output: Path, is_video: bool) -> str:
    endings = sorted({Path(file).suffix for file in PICTURE_FORMS.values()})
    if is_video and output.suffix.lower() in endings:
        return f"a video becomes .mp4, .npy or a folder; for {output.name} choose a moment of it with --at SECONDS"
    return f"-o must be a folder, or end in {'.mp4, .npy' if is_video else ', '.join(endings)}; got {output}"


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"output is a file without an ending: {folder}; give a folder, or a name such as {folder}.png")
    _check_writable(folder if folder.exists() else folder.parent)


def _check_writable(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"output folder does not exist: {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise UserError(f"output folder cannot be written: {folder}")
