import torch

from dagan.data.augment import LUMA, AugmentConfig, augment


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_both_frames_get_the_same_augmentation():
    frame = torch.rand(3, 16, 16)
    for seed in range(8):
        frames, _ = augment(torch.stack([frame, frame]), _generator(seed))
        assert torch.equal(frames[0], frames[1])
        assert not torch.equal(frames[0], frame)


def test_pixels_stay_in_range_and_the_input_is_not_changed():
    frames = torch.rand(2, 3, 16, 16).round()
    before = frames.clone()
    strong = AugmentConfig(brightness=0.9, contrast=0.9, saturation=0.9, hue=0.5)
    for seed in range(8):
        result = augment(frames, _generator(seed), strong).frames
        assert 0 <= result.min() <= result.max() <= 1
    assert torch.equal(frames, before)


def test_flips_happen_half_the_time_and_are_told():
    frames = torch.rand(1, 3, 8, 8)
    still = AugmentConfig(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
    flips = 0
    for seed in range(100):
        result = augment(frames, _generator(seed), still)
        torch.testing.assert_close(result.frames, frames.flip(-1) if result.flipped else frames, atol=1e-5, rtol=0)
        flips += result.flipped
    assert 30 < flips < 70


def test_hue_and_saturation_keep_grey_and_brightness_of_colours():
    frames = 0.4 + 0.2 * torch.rand(1, 3, 8, 8)
    luma = torch.tensor(LUMA).view(3, 1, 1)
    config = AugmentConfig(flip=0.0, brightness=0.0, contrast=0.0)
    result = augment(frames, _generator(), config).frames
    assert (result - frames).abs().max() > 0.005
    torch.testing.assert_close((result * luma).sum(1), (frames * luma).sum(1), atol=1e-5, rtol=0)
    grey = torch.rand(1, 1, 8, 8).expand(1, 3, 8, 8)
    torch.testing.assert_close(augment(grey, _generator(), config).frames, grey, atol=1e-5, rtol=0)


def test_contrast_keeps_the_mean_grey():
    frames = 0.3 + 0.4 * torch.rand(2, 3, 8, 8)
    luma = torch.tensor(LUMA).view(3, 1, 1)
    result = augment(frames, _generator(), AugmentConfig(flip=0.0, brightness=0.0, saturation=0.0, hue=0.0)).frames
    torch.testing.assert_close((result * luma).sum(1).mean(), (frames * luma).sum(1).mean())
    assert abs(result.std() / frames.std() - 1) > 0.005
