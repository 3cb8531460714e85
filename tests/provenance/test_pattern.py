import numpy as np

from dagan.provenance.pattern import KEY, SIDE, cosines, lattice, patterns

FIRST_VERSION = 41.785817515315074  # of the weighted sum below


def test_patterns_are_orthonormal():
    assert np.allclose(patterns() @ patterns().T, np.eye(len(patterns())), atol=1e-5)


def test_patterns_fade_to_nothing_at_the_rim():
    squares = patterns().reshape(-1, SIDE, SIDE)
    rim = np.abs(np.concatenate([squares[:, 0], squares[:, -1], squares[:, :, 0], squares[:, :, -1]], axis=1))
    assert rim.max() < 0.01 < np.abs(squares).max() / 5


def test_patterns_hold_no_light_and_shade():
    """A brighter picture, or a slow gradient, is projected on nothing."""
    slow = np.array([np.outer(cosines(SIDE)[y], cosines(SIDE)[x]).ravel() for y in range(2) for x in range(2)])
    assert np.abs(patterns() @ slow.T).max() < 1e-5


def test_the_patterns_of_earlier_files_never_change():
    """Marks that were written with them could no longer be read."""
    weights = np.arange(patterns().size, dtype=np.float64).reshape(patterns().shape) % 101
    assert abs(float((patterns() * weights).sum()) - FIRST_VERSION) < 1e-2


def test_a_key_moves_the_lattices():
    assert np.abs(lattice(KEY).turns - lattice(b"another").turns).mean() > 0.2
