"""Start the command line: `piktid`, or `python -m piktid_async`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say in one sentence what it lacks."""
    try:
        _run()
    except KeyboardInterrupt:  # before a command has begun; commands see to it themselves
        raise SystemExit(130) from None


def _run() -> None:
    # Here, and not above, so that Ctrl-C while they are loaded ends it as calmly as later.
    import importlib.util
    import io

    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"The command line needs {' and '.join(missing)}: pip install 'piktid-async[cli]'\n"
        )
        raise SystemExit(2)

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")

    from piktid_async.cli.app import run

    run()


if __name__ == "__main__":
    main()
