import numpy as np
import pytest
from PIL import Image

from dagan.errors import UserError
from dagan.inference.drivers import check_driver_is_video
from media import blocks, write_video

PICTURE = Image.fromarray(np.zeros((16, 16, 3), np.uint8))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif", "a.bmp", "a.avif"])
def test_a_picture_does_not_drive(tmp_path, name):
    PICTURE.save(tmp_path / name)
    with pytest.raises(UserError, match=r"DRIVING is a picture: .*; give a video or a recorded motion"):
        check_driver_is_video(tmp_path / name)


def test_a_picture_is_known_by_what_it_holds(tmp_path):
    PICTURE.save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="DRIVING is a picture"):
        check_driver_is_video(tmp_path / "a.mp4")


def test_videos_moving_pictures_motions_and_other_files_pass(tmp_path):
    write_video(tmp_path / "a.mp4", blocks(3))
    PICTURE.save(tmp_path / "b.gif", save_all=True, append_images=[PICTURE.point(lambda value: 255 - value)])
    (tmp_path / "c.safetensors").write_bytes(b"no picture")
    for name in ("a.mp4", "b.gif", "c.safetensors"):
        check_driver_is_video(tmp_path / name)
