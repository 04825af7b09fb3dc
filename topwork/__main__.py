"""``python -m topwork`` and the command ``topwork``."""

import sys

from topwork import lean
from topwork.cli import app
from topwork.errors import TopworkError
from topwork.talk import say


def main() -> None:
    """Run the command line; errors of topwork's own become one message and an exit status."""
    lean.own_process = True
    try:
        app()
    except TopworkError as error:
        say(f"{type(error).__name__}: {error}")
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        say("Stopped. What was committed to the store stays; the next run goes on from there.")
        sys.exit(130)


if __name__ == "__main__":
    main()
