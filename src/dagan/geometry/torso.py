"""Keypoints that stand where a registered torso carried them."""

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.types import Keypoints


def on_torso(source: Keypoints, driving: Keypoints, torso: Float[Tensor, "b 2 3"], num_face: int) -> Keypoints:
    """The driving keypoints, those after the first `num_face` where the torso carried the source's.

    `torso`: [A t] from driving to source coordinates (`registration.register`): x_d = A^-1 (x_s - t), J_d = A^-1 J_s.
    Where it is exactly [I 0], nothing was registered and the keypoints stay as they were found.
    """
    linear, shift = torso[:, :, :2], torso[:, None, :, 2]
    back = torch.linalg.inv_ex(linear)[0]
    position = (source.position[:, num_face:] - shift) @ back.mT
    registered = (torso != torch.eye(2, 3, dtype=torso.dtype, device=torso.device)).flatten(1).any(1)[:, None, None]
    found = driving.position[:, num_face:]
    placed = driving.position[:, :num_face], torch.where(registered, position, found)
    if source.jacobian is None or driving.jacobian is None:
        return Keypoints(torch.cat(placed, 1))
    frames = back[:, None] @ source.jacobian[:, num_face:]
    frames = torch.where(registered[..., None], frames, driving.jacobian[:, num_face:])
    return Keypoints(torch.cat(placed, 1), torch.cat([driving.jacobian[:, :num_face], frames], 1))
