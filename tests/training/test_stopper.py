import signal

import pytest

from dagan.errors import Ended
from dagan.training.stopping import Stopper


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGTERM, Ended), (signal.SIGINT, KeyboardInterrupt)])
def test_a_run_ends_as_the_signal_asks(number, kind):
    with Stopper() as stopper:
        assert not stopper.asked
        signal.raise_signal(number)
    assert stopper.asked
    assert type(stopper.ending) is kind
    assert getattr(stopper.ending, "number", signal.SIGINT) == number
