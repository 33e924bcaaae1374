"""The support package of a course on diffusion models. Each file holds one concept; open the one that you need.

The core: what the slider and the training of the shipped model run on.

    schedule            the fixed forward process q and its algebra
    parameterization    ε, x_0 and v: three names for one prediction; the two losses
    conditioning        condition → vector, and the null condition ∅
    unet                the network ε_θ(x_t, t, c): class-free encoder, decoder that knows the class
    models              the two sizes of it that the course trains
    guidance            (1 + w) ε_c - w ε_∅
    solvers             one reverse step: DDPM, DDIM, DPM-Solver++ 2M
    sampling            the whole reverse process, with guidance
    training            Algorithm 1, EMA; a training that is kept and goes on
    evaluation          images → numbers, by a judge
    checkpoints         the trained weights that ship, read and written
    randomness          draws that can be repeated
    runtime             device, precision and budgets; all environment variables
    shapes, writing     one value per image; a file whole or not at all

The folders: each imports from the core and from the folders before it.

    records             what the experiments measured (JSON)
    data                Fashion-MNIST, its files, garments drawn by the course
    lessons             what one lesson needs beside the core
    checks              the checks of the exercises, one file a lesson
    show                pictures, plots, views, widgets, pages
    classroom           for teachers: doctor, lecture
    experiments         the command behind each record
    weights             the trained weights (safetensors) and their card

The doors: commands, which no other file imports.

    start               python -m ddpm_course.start lab|test|doctor|lecture
    __main__            python -m ddpm_course
"""

__version__ = "0.1.0"
