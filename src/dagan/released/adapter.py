"""What is known of one kind of published checkpoint: how it is recognised, and how its names and sizes become ours."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from dagan.released.published import Published

# section of the published files, how a name starts there, how it starts here; the first line that fits counts
Names = tuple[tuple[str, str, str], ...]


def sizes_of_presets(published: Published, variant: str) -> Any:
    """DaGAN's kinds are sized from `presets.RELEASED` (`foreign.sized_model`)."""
    raise NotImplementedError


def without_judge(published: Published, variant: str) -> None:
    """The checkpoint has no discriminator."""
    return None


def as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def without_time(tensor: Tensor) -> Tensor:
    """A weight of a convolution over one frame (d c 1 i j) as one of an image."""
    return tensor.squeeze(2) if tensor.ndim == 5 else tensor


class Adapter(NamedTuple):
    """`inside` replaces parts of names, `unused` names what we have no place for; `sized` and `sized_judge` give the
    configurations of model and discriminator (None: it has none). `variants` are those that names do not tell.
    `change` is made to every tensor."""

    names: Names
    inside: tuple[tuple[str, str], ...] = ()
    unused: tuple[tuple[str, str], ...] = ()
    variants: tuple[str, ...] = ()
    sized: Callable[[Published, str], Any] = sizes_of_presets
    sized_judge: Callable[[Published, str], Any] = without_judge
    change: Callable[[Tensor], Tensor] = as_it_is

    def translate(self, section: str, name: str) -> str | None:
        """Our name of a published tensor; None where we have no use for it. Raises KeyError for one of neither kind."""
        if any(section == there and name.startswith(start) for there, start in self.unused):
            return None
        for there, start, ours in self.names:
            if section == there and name.startswith(start):
                translated = ours + name.removeprefix(start)
                for old, new in self.inside:
                    translated = translated.replace(old, new)
                return translated
        raise KeyError(name)


def widths_of(published: Published, section: str, pattern: str) -> list[int]:
    """Output channels of the convolutions that `pattern` gives for 0, 1, ..."""
    return [published.shape(section, pattern.format(i))[0] for i in range(published.how_many(section, pattern))]


def cap_of(widths: list[int], uncapped: int, usual: int) -> int:
    """What limits the widths: their last where it stayed behind doubling, else the usual limit or more."""
    last = max(widths, default=0)
    return last if last < uncapped else max(usual, last)
