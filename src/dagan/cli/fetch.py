"""`dagan fetch NAME ...`: downloads the file of a helper network into the cache."""

import argparse

from dagan.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="+",
        help="sface (39 MB): identity, for `dagan evaluate`; vgg16 (64 MB) or vgg19 (548 MB): the perceptual network "
        "of a training",
    )


def run(args: argparse.Namespace) -> int:
    from dagan.data.weight_files import FETCHABLE, download

    for name in args.names:
        if name not in FETCHABLE:
            raise UserError(f"nothing to fetch is called {name!r}; there are: {', '.join(FETCHABLE)}")
    for name in args.names:
        print(f"{download(FETCHABLE[name])} ({FETCHABLE[name].licence})")
    return 0
