"""Procedural heads before a pinhole camera, with exact depth, pose, intrinsics, optical flow and occlusion.

No footage and no model of real faces is used: shapes, colours and movements are formulas and seeds.
"""

from dagan.data.synthetic.world import BACKGROUND, BODY, HEAD, SyntheticClip, synthetic_clip

__all__ = ["BACKGROUND", "BODY", "HEAD", "SyntheticClip", "synthetic_clip"]
