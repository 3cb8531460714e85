"""Records made by hand."""

from dagan.evaluation.metrics.accumulators import Change
from dagan.evaluation.pairs import EvaluationProtocol
from dagan.evaluation.records import Faces, Following, FrameName, Sample, Scores

SELF = EvaluationProtocol("self-reenactment", 4, 15, 0, 256)


def scores(l1=0.1, distance=4.0, pose=2.0, csim=None, aucon=None):
    return Scores(
        l1=l1,
        ssim=0.5,
        psnr=20.0,
        landmark_distance=distance,
        head_pose_error=pose,
        akd=distance,
        csim=csim,
        aucon=aucon,
    )


def sample(generated, unmoved, jaw=0.0, found=True, person="ann", number=0, driving_face=True, has_image=True):
    following = Following(Change(jaw, jaw / 2), *[Change(jaw, 0.0)] * 4) if found else None
    source, driving = FrameName(f"{person}__c0", person, 3 + number), FrameName(f"{person}__c0", person, 20 + number)
    faces = Faces(found, driving_face, True)
    return Sample(f"{person} {number}", source, driving, generated, unmoved, faces, following, has_image)
