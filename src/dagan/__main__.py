"""`python -m dagan` is `dagan`."""

from dagan.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
