import os
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from dagan.errors import UserError
from dagan.workers import Here, Processes


@dataclass(frozen=True)
class Doubling:
    """Doubles numbers; cannot do 13, and dies of 99."""

    factor: int = 2

    @contextmanager
    def open(self):
        yield self._do

    def _do(self, number):
        if number == 13:
            raise UserError("13 brings bad luck")
        if number == 99:
            os._exit(1)
        return number * self.factor, os.getpid()


@pytest.mark.parametrize("workers", [Here(), Processes(2)])
def test_every_item_is_done_once(workers):
    results = list(workers.run(Doubling(), range(6)))
    assert sorted(value for value, _ in results) == [0, 2, 4, 6, 8, 10]
    assert all((process == os.getpid()) == (workers == Here()) for _, process in results)


@pytest.mark.parametrize("workers", [Here(), Processes(2)])
def test_what_a_user_got_wrong_comes_back_as_such(workers):
    with pytest.raises(UserError, match="bad luck"):
        list(workers.run(Doubling(), [1, 13]))


def test_a_worker_that_dies_is_noticed(monkeypatch):
    monkeypatch.setattr("dagan.workers.PATIENCE", 0.2)
    with pytest.raises(UserError, match="ended unexpectedly"):
        list(Processes(1).run(Doubling(), [99, 1]))
