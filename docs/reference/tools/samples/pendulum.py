"""The exact period of a pendulum."""

from math import cos, pi, sqrt
from statistics import fmean


def period(length, amplitude, gravity=9.81):
    """Return the period [s]: an elliptic integral, by Gauss's arithmetic-geometric mean."""
    a, b = 1.0, cos(amplitude / 2)
    while abs(a - b) > 1e-15:
        a, b = fmean((a, b)), sqrt(a * b)
    return 2 * pi * sqrt(length / gravity) / a
