"""What `dagan prepare` asks of a clip: sizes, lengths and floors, as one value that is stored beside the clips."""

from dataclasses import dataclass

# Floors by what clips that people chose by hand score (227 training clips; docs/prepare.md has the table).


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of one folder of clips. A run with other settings is refused there.

    Shares are of a clip's frames or of its crop's area; faces are sizes in pixels of the raw video; motion is in
    percent of the face's contrast, shake in percent of its size. A floor of 0, or a ceiling of 100, passes everything.
    """

    size: int = 256
    key_every: int = 8  # frames between keyframes of the clips
    min_seconds: float = 2.0
    max_seconds: float = 10.0
    min_face: int = 64
    min_confidence: float = 0.7
    min_sharpness: float = 0.007
    min_motion: float = 2.7
    max_shake: float = 5.0
    max_outside: float = 0.12  # of the crop, beyond the frame
    max_crowd: float = 0.1  # of the frames, with another face in the crop
    max_caption: float = 0.05  # of the crop's rows, with text in them
    min_found: float = 0.9  # of the frames, in which the face reader finds the face
    min_likeness: float = 0.3  # of the face to itself over the clip
    min_sync: float = -1.0  # agreement of sound and mouth; -1: not asked for
    people: str = "faces"  # who is who: by faces, or each raw file is one person
    protocol: str = ""
    licence: str = ""
