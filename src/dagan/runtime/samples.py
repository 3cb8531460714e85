"""Pictures that come with the package: what graphs are checked, measured and quantized with."""

from importlib.resources import files

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.data.pictures import read_image
from dagan.images import Crop, apply_crop
from dagan.models.family import Family

NUM_DRAWN_FACES = 5
PORTRAIT_CROP = Crop(124, 21, 198)  # what `inference.crop` chooses for the bundled portrait
STEP = 2  # pixels that the portrait moves between driving frames


def portrait_frames(size: int, num_driving: int) -> tuple[Float[Tensor, "1 3 h w"], list[Float[Tensor, "1 3 h w"]]]:
    """The bundled portrait, and driving frames: it, moved sideways."""
    photo = read_image(str(files("dagan") / "assets" / "astronaut.png"))
    crop = PORTRAIT_CROP
    moved = [crop._replace(x=crop.x + STEP * index) for index in range(num_driving)]
    image, *driving = (apply_crop(photo, place, size)[None] for place in (crop, *moved))
    return image, driving


def show_samples(model: Family, size: int) -> None:
    """Runs an animation of the portrait, in light, darkness and mirrored, and of drawn faces of several people."""
    from dagan.data.drawn_faces import drawn_clip

    image, (_, other, last) = portrait_frames(size, 3)
    clips = [torch.cat([image, other.flip(3), last * 0.6])]
    for seed in range(NUM_DRAWN_FACES):
        drawn = torch.from_numpy(drawn_clip(3, size, seed))
        clips.append(rearrange(drawn, "t h w c -> t c h w").float() / 255)
    for clip in clips:
        source = model.encode(model.detect(clip[:1]))
        for frame in torch.split(clip[1:], 1):
            model.render(source, model.detect(frame).code)
