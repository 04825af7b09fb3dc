"""``python -m topwork`` and the command ``topwork``."""

import os
import sys
from contextlib import suppress

from topwork.commands.cli import app
from topwork.errors import MissingExtra, TopworkError, of_machine, of_text
from topwork.system import keras_settings
from topwork.system.advice import at_command_line
from topwork.system.messages import say
from topwork.system.text import HANDLER


def main() -> None:
    """Run the command line and end the process with its exit status."""
    keras_settings.own_process = True
    os.environ.update(keras_settings.DRAWING)
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # its idle threads would keep a core busy for 30 ms each time
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.reconfigure(errors=HANDLER)
    status = run()
    with suppress(BrokenPipeError):  # the program that reads the output may have closed the pipe
        sys.stdout.flush()
    os._exit(status)  # skips the clean-up of TensorFlow, which takes 0.5 s


def run(words: list[str] | None = None) -> int:
    """Run one command. An error is printed as one message on stderr.

    Args:
        words: the command-line arguments after ``topwork``; by default those of this process.

    Returns:
        The exit status. 0: done. 1: the data or the model failed a check. 2: wrong use. 3: the machine lacks disk,
        memory or network. 130: Ctrl-C.
    """
    try:
        with at_command_line():
            app(words)
        return 0
    except TopworkError as error:
        stopped = error
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("topwork"):
            raise
        stopped = MissingExtra(
            f"topwork needs the package {error.name!r}, which is not installed. 'topwork doctor' lists all that are "
            "missing or too old, and how to install them."
        )
    except (OSError, MemoryError) as error:
        stopped = of_machine(error)
    except UnicodeEncodeError as error:
        stopped = of_text(error)
    except SystemExit as done:
        status = int(done.code or 0)
        if status == 130:
            kept = " What was committed to the store stays; the next run continues there."
            say("Stopped." + (kept if (words or sys.argv[1:])[0] in ("train", "extract", "choose") else ""))
        return status
    say(f"{type(stopped).__name__}: {stopped}")
    return stopped.exit_status


if __name__ == "__main__":
    main()
