"""A photo moved by a video, without PyTorch: NumPy, ONNX Runtime, PyAV and Pillow.

    dagan export -o graphs --format onnx
    python examples/animate_onnx.py graphs photo.png driving.mp4 out.mp4

Photo and video should be square and show a face as the training clips do; `dagan animate` crops, this does not.
"""

import sys
from pathlib import Path

import av
import numpy as np
import onnxruntime
from PIL import Image


def as_input(image: Image.Image, side: int) -> np.ndarray:
    """1 3 h w, RGB in [0, 1]."""
    pixels = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def main(folder: str, photo: str, video: str, output: str) -> None:
    encode, render = (onnxruntime.InferenceSession(Path(folder) / f"{name}.onnx") for name in ("source", "frame"))
    names, side = [found.name for found in encode.get_outputs()], encode.get_inputs()[0].shape[-1]
    image = as_input(Image.open(photo), side)
    source = dict(zip(names, encode.run(None, {"image": image}), strict=True))
    initial_names = [found.name for found in render.get_inputs() if found.name.startswith("initial_")]
    initial = None
    with av.open(video) as driving, av.open(output, "w") as written:
        stream = written.add_stream("libx264", rate=driving.streams.video[0].average_rate)
        stream.width = stream.height = side
        for decoded in driving.decode(video=0):
            frame = as_input(decoded.to_image(), side)
            if initial is None:  # motion is relative to the driver's first frame
                first = dict(zip(names, encode.run(None, {"image": frame}), strict=True))
                initial = {name: first[name.removeprefix("initial_")] for name in initial_names}
            picture = render.run(None, {"frame": frame, "image": image, **source, **initial})[0][0]
            pixels = (picture.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
            written.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        written.mux(stream.encode(None))


if __name__ == "__main__":
    main(*sys.argv[1:5])
