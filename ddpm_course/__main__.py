"""`python -m ddpm_course`: draw garments with the shipped model into a PNG, without a browser.

    python -m ddpm_course --class sneaker --w 0,1,2,5 --out sneakers.png
    python -m ddpm_course explorer -o guidance.html
    python -m ddpm_course lecture 04
    python -m ddpm_course doctor

`explorer` writes the slider as one HTML page, which needs neither Python nor a network to be shown. `lecture` opens a
lesson's interactive pieces without code, large. `doctor` looks whether this machine is ready for class.
"""

import sys

try:
    from ddpm_course.classroom import doctor, lecture
    from ddpm_course.show import page, strip
except ModuleNotFoundError as error:
    raise SystemExit(f"{error.name} is not installed for {sys.executable}. Use the Python of the course's environment "
                     "(.venv/bin/python, on Windows .venv\\Scripts\\python), or in a copy of the repository call "
                     "python -m ddpm_course.start doctor, which installs all that is needed.") from None

COMMANDS = {"explorer": page.main, "lecture": lecture.main, "doctor": doctor.main}


def main(arguments: list[str]) -> int:
    """Do what the first argument says, or draw; return the exit code."""
    command, *rest = arguments or [""]
    if command in COMMANDS:
        return COMMANDS[command](rest)
    if command and not command.startswith("-"):
        print(f"there is no command {command!r}; there are {', '.join(COMMANDS)}, and without a command a picture is "
              "drawn (--help tells its options)", file=sys.stderr)
        return 2
    strip.picture(arguments, about=__doc__)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
