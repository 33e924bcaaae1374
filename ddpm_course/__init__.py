"""The support package of a course on diffusion models: the core at the top, a folder for each use.

The core, in the order in which the lessons need it:

    schedule parameterization conditioning unet models guidance solvers sampling training kept_training
    evaluation checkpoints randomness runtime shapes whole_files

The folders; each imports from the core and from the folders before it:

    records      what the experiments measured
    data         the images: Fashion-MNIST, and garments drawn by the course
    lessons      what one lesson needs beside the core
    checks       the checks of the exercises
    show         pictures, plots, views, widgets, pages
    classroom    for teachers: doctor, lecture
    experiments  the command behind each record
    weights      the trained weights

README.md beside this file says what each file of the core holds, and where a new file goes.
"""

__version__ = "0.1.0"
