"""The support package of a course on diffusion models. Each module holds one concept; open the one you need.

    schedule            the fixed forward process q and its algebra
    parameterization    ε, x_0 and v: three names for one prediction; the two losses
    conditioning        condition → vector, and the null condition ∅
    unet                the network ε_θ(x_t, t, c): class-free encoder, decoder that knows the class
    models              the two sizes of it that the course trains
    guidance            (1 + w) ε_c - w ε_∅
    solvers             one reverse step: DDPM, DDIM, DPM-Solver++ 2M
    sampling            the whole reverse process, with guidance
    training            Algorithm 1, EMA, save and resume
    variants            guidance by something else than ∅, over the same samplers
    classifier          a classifier of noisy images, and its gradient
    exact, mixture      densities whose scores are known in closed form; three classes in the plane
    evaluation          images → numbers, by a judge
    data, garments      Fashion-MNIST, digits, and garments drawn by the course itself
    randomness          draws that can be repeated
    runtime             device, precision and budgets; all environment variables
    checkpoints         the trained weights that ship
    records             what the long experiments measured; made by `experiments`
    plotting, pictures  tensors → axes; tensors → PNG bytes
    explorer, widgets   what stands behind the sliders; the sliders
    checks, lesson      the exercises' checks; a notebook's folded sources
    start               sets everything up: `python -m ddpm_course.start lab`
"""

__version__ = "0.1.0"
