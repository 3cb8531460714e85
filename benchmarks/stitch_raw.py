"""Raw videos whose truth is known, stitched from face clips: people side by side, cuts, cards, pans, and every defect.

    python benchmarks/stitch_raw.py CLIPS RAW [--videos 6] [--seed 0]

RAW gets raw_NN.mp4 and truth.json: of each stretch its frames, person, the face's box in each frame, where the clip
lies, and the reason for which `dagan prepare` should drop it. The last video is a copy of the first, encoded again.
The boxes are those that the face detector sees in the clips. The mouth's opening sets the loudness of
the stretches that sound.
"""

import argparse
import json
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from dagan.data.clips import find_clips
from dagan.data.decoding import DecodeReport, read_frames
from dagan.inference.face_detector import YuNet
from dagan.observers.clip_landmarks import find_landmarks
from dagan.observers.mediapipe_face import MediaPipeFace
from dagan.preparation.scores import mouth_opening

WIDTH, HEIGHT, RATE, SIDE = 960, 540, 25, 256
LENGTH, LEAST = 75, 75  # frames of a stretch, at most and at least
LOOK_EVERY = 5  # frames of a clip: between them the face's box moves evenly
SAMPLES = 16_000 // RATE  # of sound a frame


class Person:
    """A clip with its frames and what is seen in them."""

    def __init__(self, clip, detector, face):
        self.name, self.identity = clip.name, clip.identity
        self.frames = [frame for frame, _ in zip(read_frames(clip.path, DecodeReport()), range(LENGTH), strict=False)]
        looks = range(0, len(self.frames), LOOK_EVERY)
        seen = [detector.detect(self.frames[number]) for number in looks]
        self.is_useful = len(self.frames) >= LEAST and all(seen)
        if not self.is_useful:
            return
        largest = np.array([max(faces, key=lambda f: f.width * f.height)[:4] for faces in seen])
        numbers = np.arange(len(self.frames))
        self.faces = np.stack([np.interp(numbers, looks, column) for column in largest.T], -1).tolist()
        landmarks = find_landmarks(face, self.frames[::2])
        opening = mouth_opening(landmarks.landmarks.astype(np.float32))
        opening = np.interp(numbers, numbers[::2], opening)
        self.opening = opening / max(float(opening.max()), 1e-6)


class Film:
    """A raw video that grows frame by frame, and its truth."""

    def __init__(self, path, numbers):
        self.path, self.numbers, self.count, self.cuts, self.truth = path, numbers, 0, [], []
        self.container = av.open(str(path), "w")
        self.video = self.container.add_stream("libx264", rate=RATE, options={"crf": "16", "preset": "veryfast"})
        self.video.width, self.video.height, self.video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        self.sound = self.container.add_stream("aac", rate=16_000, layout="mono")

    def scene(self):
        """A background that is not flat."""
        coarse = self.numbers.integers(30, 200, (5, 8, 3), dtype=np.uint8)
        return Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)

    def shot(self, frames, people=(), sound=None):
        """Appends frames. `people`: (person, boxes by frame, where its clip lies, reason)."""
        if self.count:
            self.cuts.append(self.count)
        first = self.count
        for number, frame in enumerate(frames):
            picture = np.asarray(frame.convert("RGB"))
            self.container.mux(self.video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture))))
            loud = 0.0 if sound is None else float(sound[number])
            noise = (self.numbers.normal(size=(1, SAMPLES)) * 0.2 * loud**1.5).astype(np.float32)
            part = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
            part.sample_rate, part.pts = 16_000, self.count * SAMPLES
            self.container.mux(self.sound.encode(part))
            self.count += 1
        for person, boxes, place, reason, *more in people:
            self.truth.append(
                {
                    "first": first,
                    "end": self.count,
                    "person": getattr(person, "identity", ""),
                    "clip": getattr(person, "name", ""),
                    "boxes": boxes,
                    "place": place,
                    "reason": reason,
                    "sounds": bool(more and more[0]),
                }
            )

    def close(self):
        self.container.mux(self.video.encode(None))
        self.container.mux(self.sound.encode(None))
        self.container.close()
        return {"file": self.path.name, "frames": self.count, "cuts": self.cuts, "truth": self.truth}


def placed(person, left, top, scale=1.0, steps=None, count=None):
    """Boxes of a person whose clip lies at (left, top); `steps`: how far it is moved in each frame."""
    steps = steps or [(0, 0)] * len(person.frames)
    return [
        [left + dx + x * scale, top + dy + y * scale, w * scale, h * scale]
        for (x, y, w, h), (dx, dy) in list(zip(person.faces, steps, strict=False))[:count]
    ]


def pasted(scene, pictures):
    """The scene with clips in it."""
    page = scene.copy()
    for frame, left, top, scale in pictures:
        image = frame if isinstance(frame, Image.Image) else Image.fromarray(frame)
        side = round(SIDE * scale)
        page.paste(
            image if scale == 1 else image.resize((side, side), Image.Resampling.LANCZOS), (round(left), round(top))
        )
    return page


def alone(film, person, left=350, top=140, scale=1.0, reason="", change=None, steps=None, count=None, sound=True):
    """One person in a room; `change` works on each of the clip's frames."""
    scene, count = film.scene(), count or len(person.frames)
    steps = steps or [(0, 0)] * count
    change = change or (lambda image: image)
    frames = [
        pasted(scene, [(change(Image.fromarray(frame)), left + dx, top + dy, scale)])
        for frame, (dx, dy) in zip(person.frames[:count], steps, strict=False)
    ]
    place = [left, top, SIDE * scale]
    boxes = placed(person, left, top, scale, steps, count)
    film.shot(frames, [(person, boxes, place, reason, sound)], person.opening if sound else None)


def together(film, people, places, reason="", scale=1.0):
    """Two people in one picture."""
    scene, count = film.scene(), min(len(person.frames) for person in people)
    frames = [
        pasted(scene, [(person.frames[n], *place, scale) for person, place in zip(people, places, strict=True)])
        for n in range(count)
    ]
    truth = [
        (person, placed(person, *place, scale, count=count), [*place, SIDE * scale], reason)
        for person, place in zip(people, places, strict=True)
    ]
    film.shot(frames, truth)


def card(film, seconds=2):
    """A title: no face."""
    page = Image.new("RGB", (WIDTH, HEIGHT), tuple(film.numbers.integers(0, 90, 3).tolist()))
    pen = ImageDraw.Draw(page)
    pen.text((WIDTH / 2, HEIGHT / 2), "PART TWO\nIN CONVERSATION", "white", ImageFont.load_default(56), "mm")
    film.shot([page] * (seconds * RATE), [(None, [], [], "no_face")])


def captioned(image):
    """With a line of large text at its lower edge."""
    page = image.copy()
    pen = ImageDraw.Draw(page)
    for y, text in ((196, "AND THEN I TOLD THEM"), (222, "TO LISTEN MORE")):
        pen.text((128, y), text, "white", ImageFont.load_default(22), "mm", stroke_width=2, stroke_fill="black")
    return page


def blurred(image):
    return image.filter(ImageFilter.GaussianBlur(5))


def pan(film, person, speed):
    """A camera that pans past a person."""
    count = len(person.frames)
    alone(film, person, left=WIDTH - 320, steps=[(-round(speed * n), 0) for n in range(count)], reason="")


def make(film, people, kind):
    """One raw video: every kind has three good stretches and one or two defects."""
    first, second, third, fourth, fifth = people
    alone(film, first)
    together(film, [second, third], [(120, 150), (580, 130)])
    if kind == 0:
        card(film)
        alone(film, fourth, reason="caption", change=captioned, sound=False)
    elif kind == 1:
        alone(film, fourth, reason="blurred", change=blurred, sound=False)
        alone(film, fifth, count=30, reason="short", sound=False)
    elif kind == 2:
        shake = [tuple(film.numbers.integers(-9, 10, 2).tolist()) for _ in fourth.frames]
        alone(film, fourth, steps=shake, reason="shaking", sound=False)
        alone(film, fifth, scale=0.3, reason="small", sound=False)
    elif kind == 3:
        photo = Image.fromarray(fourth.frames[0])
        fourth.faces = [fourth.faces[0]] * len(fourth.faces)
        slide = [(n // 2, n // 4) for n in range(len(fourth.frames))]
        alone(film, fourth, steps=slide, reason="still", change=lambda _: photo, sound=False)
        alone(film, fifth, left=-110, reason="cut_off", sound=False)
    elif kind == 4:
        together(film, [fourth, fifth], [(300, 150), (300 + 165, 150)], reason="crowd")
        card(film)
    else:
        pan(film, fourth, 1.5)
        alone(film, fifth, scale=1.6, top=60)
    return film.close()


def again(raw, copy):
    """A raw video encoded anew, a little smaller."""
    with av.open(str(copy), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "23", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = WIDTH * 3 // 4 // 2 * 2, HEIGHT * 3 // 4 // 2 * 2, "yuv420p"
        for frame in read_frames(raw, DecodeReport()):
            small = Image.fromarray(frame).resize((video.width, video.height), Image.Resampling.BICUBIC)
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(np.asarray(small)))))
        container.mux(video.encode(None))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--videos", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without", default="mer_", help="clips whose names begin so have captions of their own")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(args.seed)
    clips = [clip for clip in find_clips(args.clips) if not clip.name.startswith(args.without)]
    order = iter(numbers.permutation(len(clips)).tolist())
    detector, films = YuNet(), []
    with MediaPipeFace() as face:
        for number in range(args.videos):
            people = []
            while len(people) < 5:
                person = Person(clips[next(order)], detector, face)
                people += [person] if person.is_useful else []
            film = make(Film(args.out / f"raw_{number:02d}.mp4", numbers), people, number % 6)
            films.append(film)
            print(film["file"], film["frames"], "frames", flush=True)
    again(args.out / films[0]["file"], args.out / f"raw_{args.videos:02d}.mp4")
    (args.out / "truth.json").write_text(
        json.dumps({"films": films, "copies": {f"raw_{args.videos:02d}.mp4": films[0]["file"]}})
    )


if __name__ == "__main__":
    main()
