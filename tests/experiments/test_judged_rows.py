"""The intervals of judged rows: the jackknife, and Student's t."""

import statistics

import pytest
import scipy.stats

from ddpm_course.experiments._judged_rows import jackknife, t_quantile


def test_the_jackknife_of_a_mean_is_its_usual_standard_error() -> None:
    x = [0.3, 1.7, -2.0, 4.4, 0.0]
    mean, error = statistics.mean(x), statistics.stdev(x) / 5**0.5
    left_out = [statistics.mean(x[:k] + x[k + 1:]) for k in range(5)]
    assert jackknife(mean, left_out) == pytest.approx((mean - 2.776 * error, mean + 2.776 * error))


@pytest.mark.parametrize("freedom", [1, 4, 9, 11, 30])
def test_the_quantile_is_students(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=2e-3)
