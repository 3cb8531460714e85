"""Several frames at once, each on one thread."""

import threading

import torch

from dagan.inference.in_flight import Workers


def test_several_workers_leave_one_thread_to_each_operation_of_pytorch():
    before, found = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        with Workers(2) as workers:
            assert workers.run(lambda _: torch.get_num_threads(), None) == 1
        assert torch.get_num_threads() == 2
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(before)
    assert found == [2]
