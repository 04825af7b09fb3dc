"""The process that draws: it imports matplotlib while the training is under way, then draws what it is told.

Importing matplotlib and drawing two plots takes a second, a fifth of a short command. ``python -m topwork.draw`` reads
one JSON list a line: the name of a function of `topwork.plots`, its arguments, and those that it takes by name.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from topwork.errors import TopworkError, of_machine


class Pencil:
    """Draws beside the caller; a context manager that ends when all is drawn, or at once if an error passes."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "topwork.draw"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, process_group=0)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind:
            self._process.kill()
        self._process.communicate()
        if not kind and self._process.returncode:
            raise TopworkError(f"a plot could not be drawn: the drawing process ended with {self._process.returncode}.")

    def draw(self, plot: str, path: Path, *arguments: Any, **options: Any) -> None:
        """Ask for ``topwork.plots.<plot>(*arguments, path, **options)``; it is there when the context ends."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps([plot, [*arguments, str(path.absolute())], options]) + "\n")
        self._process.stdin.flush()


def main() -> None:
    """Draw until the input ends."""
    import matplotlib.figure  # noqa: F401

    from topwork import plots

    for line in sys.stdin:
        plot, arguments, options = json.loads(line)
        try:
            getattr(plots, plot)(*arguments, **options)
        except OSError as error:
            sys.exit(str(of_machine(error)))


if __name__ == "__main__":
    main()
