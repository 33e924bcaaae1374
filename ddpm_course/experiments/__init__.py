"""Named experiments that take longer than a lesson: `python -m ddpm_course.experiments NAME [--pace ci]`.

Each is one short file over the package's public functions; each writes a record (JSON) into `ddpm_course/records/`.
"""
