"""The experiment `notebooks`: a lesson is run from nothing, and is written back with what it showed."""

import nbformat
from little_world import LittleWorld


def test_the_first_lesson_is_run_to_its_end_and_written_back(world: LittleWorld) -> None:
    made = world.made("notebooks")
    (row,) = made.record["rows"]
    book = nbformat.read(made.out / f"{row['lesson']}.ipynb", as_version=4)
    assert row["lesson"] == "01_UNets" and row["minutes"] > 0 and row["cells"] == len(book.cells)
    code = [cell for cell in book.cells if cell.cell_type == "code" and cell.source.strip()]
    outputs = [output for cell in code for output in cell.outputs]
    assert code and all(cell.execution_count is not None for cell in code)
    assert not any(output.output_type == "error" for output in outputs)
    said = "".join(output.get("text", "") for output in outputs)
    assert "Garments drawn by the course stand in" in said, "the kernel found neither data nor a network"


def test_a_lesson_keeps_nothing_in_the_users_runs_folder(world: LittleWorld) -> None:
    assert world.made("notebooks").kept == []
