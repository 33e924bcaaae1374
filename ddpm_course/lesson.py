"""What a notebook page needs beside the mathematics: the package's own source, folded, so that the page cannot drift.

Used in every notebook.
"""

import html
import inspect
from pathlib import Path
from typing import Any

from IPython.display import HTML

PACKAGE = Path(__file__).parent


def show_source(*objects: Any) -> HTML:
    """Show the source of functions or classes of the package, folded; click (or Enter) opens it."""
    parts = []
    for thing in map(inspect.unwrap, objects):                   # look behind decorators such as torch.no_grad
        lines, first = inspect.getsourcelines(thing)
        file = Path(inspect.getsourcefile(thing)).relative_to(PACKAGE.parent).as_posix()
        place = f"{file}, line {first}"
        parts.append(f"<details><summary><code>{html.escape(thing.__qualname__)}</code> ({place})</summary>"
                     f"<pre><code>{html.escape(''.join(lines))}</code></pre></details>")
    return HTML("\n".join(parts))
