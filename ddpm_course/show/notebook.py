"""What a notebook shows beside the mathematics: tables, and the package's own source, folded."""

import html
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from IPython.display import HTML

PACKAGE = Path(__file__).parents[1]


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


def show_table(rows: Sequence[Mapping[str, str]]) -> HTML:
    """Show rows with the same keys as a table, the keys being its head. Raises ValueError when the keys differ."""
    if not rows or any(list(row) != list(rows[0]) for row in rows):
        raise ValueError("a table needs at least one row, and the same keys in the same order in every row")
    head = "".join(f'<th scope="col" style="text-align: left">{html.escape(key)}</th>' for key in rows[0])
    body = "".join("<tr>" + "".join(f'<td style="text-align: left">{html.escape(cell)}</td>' for cell in row.values())
                   + "</tr>" for row in rows)
    return HTML(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
