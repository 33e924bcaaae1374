"""The command that runs an experiment: it knows the files of its folder."""

from pathlib import Path

import pytest

from ddpm_course import experiments
from ddpm_course.experiments.__main__ import main, names


def test_the_experiments_are_the_files_of_their_folder() -> None:
    assert names() == sorted(file.stem for file in Path(experiments.__file__).parent.glob("[!_]*.py"))


def test_an_unknown_name_ends_with_exit_code_2_and_lists_the_names(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["cold_fusion", "--pace", "ci"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in ["cold_fusion", *names()])


def test_no_name_ends_with_exit_code_2_and_points_to_the_list(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--pace", "ci"])
    assert stopped.value.code == 2 and "--list" in capsys.readouterr().err


def test_the_list_has_a_row_for_every_experiment(capsys: pytest.CaptureFixture) -> None:
    main(["--list"])
    _, _, *rows = capsys.readouterr().out.splitlines()           # below the heading and its line
    assert [row.split("`")[1] for row in rows] == names()
