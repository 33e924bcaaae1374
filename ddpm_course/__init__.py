"""The support package of a course on diffusion models. Each module holds one concept; open the one you need.

    schedule            the fixed forward process q and its algebra
    parameterization    ε, x_0 and v: three names for one prediction; the two losses
    conditioning        condition → vector, and the null condition ∅
    unet                the network ε_θ(x_t, t, c): class-free encoder, decoder that knows the class
    basic_unet          the first lessons' small U-Nets, one choice at a time
    denoising           one noise level, and the network that removes it
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
    explorer, views     what stands behind the sliders
    widgets             the sliders
    onepage             the guidance slider as one HTML page, without a kernel
    lecture             a lesson's interactive pieces without code: `python -m ddpm_course lecture 04`
    doctor              is this machine ready for class? `python -m ddpm_course doctor`
    checks, reports     the exercises' checks, lesson 04's first; and what they are made of
    checks_unets        the checks of lesson 01
    checks_diffusion    the checks of lesson 02
    checks_training     the checks of lesson 03
    lesson              a notebook's folded sources and its tables
    start               sets everything up: `python -m ddpm_course.start lab`
"""

__version__ = "0.1.0"
