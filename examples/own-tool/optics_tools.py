"""Lenses and apertures."""

import numpy as np
from scipy.special import j1

from physlab import tool


@tool("optics.lens")
def lens(focal_length: float, distance: float) -> dict[str, float]:
    """Form the image of a thin lens: 1/image = 1/focal_length - 1/distance.

    Args:
        focal_length: Focal length [m].
        distance: Distance of the object [m].

    Returns:
        image: Distance of the image, negative when it is virtual [m].
        magnification: Size of the image over that of the object, negative when it is upside down [1].
    """
    image = 1 / (1 / focal_length - 1 / distance)
    return {"image": image, "magnification": -image / distance}


@tool("optics.airy", libraries=("scipy",))
def airy(diameter: float, wavelength: float = 550e-9, samples: int = 401) -> dict[str, np.ndarray]:
    """Compute the Airy pattern of a round aperture, out to its third dark ring (Born & Wolf, section 8.5.2).

    Args:
        diameter: Diameter of the aperture [m].
        wavelength: Wavelength of the light [m].
        samples: How many angles.

    Returns:
        angle: Angle from the axis [rad].
        intensity: Intensity over that on the axis.
    """
    angle = np.linspace(-3.5, 3.5, samples) * wavelength / diameter
    u = np.pi * diameter * np.sin(angle) / wavelength
    nowhere_zero = np.where(u == 0, 1.0, u)
    return {"angle": angle, "intensity": np.where(u == 0, 1.0, (2 * j1(nowhere_zero) / nowhere_zero) ** 2)}
