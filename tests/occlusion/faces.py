"""Landmarks of invented faces."""

import numpy as np

from fer_space.occlusion.average import AVERAGE

# How far the average face's landmarks stand off a flat face, in sides: jaw lines far back, the nose in front.
_DEPTH = np.concatenate(
    [
        [-0.45, -0.43, -0.4, -0.35, -0.28, -0.18, -0.08, -0.01, 0.02],
        [-0.01, -0.08, -0.18, -0.28, -0.35, -0.4, -0.43, -0.45],
        [-0.12, -0.04, 0.0, 0.03, 0.04, 0.04, 0.03, 0.0, -0.04, -0.12],
        [0.03, 0.08, 0.12, 0.16],
        [0.05, 0.08, 0.09, 0.08, 0.05],
        [-0.08, -0.03, -0.03, -0.03, -0.03, -0.03, -0.03, -0.03, -0.03, -0.08, -0.03, -0.03],
        [0.0, 0.05, 0.08, 0.08, 0.08, 0.05, 0.0, 0.04, 0.07, 0.08, 0.07, 0.04],
        [0.0, 0.06, 0.07, 0.06, 0.0, 0.06, 0.07, 0.06],
    ]
)


def landmarks_at(
    x: float = 75.0, y: float = 55.0, side: float = 90.0, degrees: float = 0.0, yaw: float = 0.0
) -> np.ndarray:
    """The average face with its square's centre at (x, y), tilted by `degrees` and turned by `yaw`."""
    across, down = (AVERAGE - 0.5).T
    about = np.deg2rad(yaw)
    seen = np.stack([across * np.cos(about) + _DEPTH * np.sin(about), down], axis=1)
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return (seen * side @ rotation.T + [x, y]).astype(np.float32)
