"""``python -m topwork`` and the command ``topwork``."""

import os
import sys

from topwork import lean
from topwork.cli import app
from topwork.errors import TopworkError
from topwork.talk import say


def main() -> None:
    """Run the command line; errors of topwork's own become one message and an exit status."""
    lean.own_process = True
    status: object = 0
    try:
        app()
    except TopworkError as error:
        say(f"{type(error).__name__}: {error}")
        status = error.exit_status
    except KeyboardInterrupt:
        say("Stopped. What was committed to the store stays; the next run goes on from there.")
        status = 130
    except SystemExit as done:
        status = done.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)  # TensorFlow takes 0.5 s to tear down


if __name__ == "__main__":
    main()
