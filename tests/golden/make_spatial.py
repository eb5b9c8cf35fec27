"""Golden values for rotations, nearest vectors and minima from SciPy: spatial.npz. Needs the `bench` extra."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import scipy.cluster.vq
import scipy.optimize
from golden_io import save
from scipy.spatial.transform import Rotation, Slerp

rng = np.random.default_rng(0)
SEQUENCES = ["".join(p) for n in (1, 2, 3) for p in itertools.product("xyz", repeat=n)]
SEQUENCES = [s for s in SEQUENCES if all(a != b for a, b in zip(s, s[1:]))]


def rotations(arrays: dict[str, Any]) -> list[str]:
    """Every form of seven rotations; returns the sequences of Euler angles."""
    quats, others, vectors, weights = (
        rng.standard_normal((7, 4)), rng.standard_normal((7, 4)), rng.standard_normal((7, 3)), rng.uniform(size=7),
    )  # fmt: skip
    r = Rotation.from_quat(quats)
    at = np.linspace(0, 6, 20)
    arrays |= {
        "quats": quats, "others": others, "vectors": vectors, "weights": weights, "matrix": r.as_matrix(), "rotvec": r.as_rotvec(),
        "rotvec_degrees": r.as_rotvec(degrees=True), "mrp": r.as_mrp(), "magnitude": r.magnitude(),
        "canonical": r.as_quat(canonical=True, scalar_first=True), "product": (r * Rotation.from_quat(others)).as_matrix(),
        "applied": r.apply(vectors), "applied_back": r.apply(vectors[0], inverse=True), "mean": r.mean(weights).as_matrix(),
        "slerp_at": at, "slerp": Slerp(np.arange(7.0), r)(at).as_matrix(),
    }  # fmt: skip
    names = [f(s) for s in SEQUENCES for f in (str, str.upper)]
    for seq in names:
        angles = rng.uniform(-180, 180, (5, len(seq)))
        arrays |= {f"{seq}_angles": angles, f"{seq}_matrix": Rotation.from_euler(seq, angles, degrees=True).as_matrix()}
        if len(seq) < 3:
            continue
        arrays[f"{seq}_euler"] = r.as_euler(seq)
        ends = (0, 180) if seq[0] == seq[2] else (90, -90)
        locked = np.array([[20.0, middle, 30.0] for middle in ends])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # gimbal lock
            found = Rotation.from_euler(seq, locked, degrees=True).as_euler(seq, degrees=True)
        arrays |= {f"{seq}_locked": locked, f"{seq}_unlocked": found}
    return names


def rosenbrock(x: np.ndarray) -> float:
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def himmelblau(p: np.ndarray) -> float:
    return float((p[0] ** 2 + p[1] - 11) ** 2 + (p[0] + p[1] ** 2 - 7) ** 2)


def main() -> None:
    """Write the file."""
    arrays: dict[str, Any] = {}
    config = [{"seq": seq} for seq in rotations(arrays)]
    obs, codes = rng.standard_normal((20, 3)), rng.standard_normal((5, 3))
    arrays |= {"obs": obs, "codes": codes}
    for name, (o, c) in {"vq": (obs, codes), "vq_line": (obs[:, 0], codes[:, 0])}.items():
        arrays[f"{name}_codes"], arrays[f"{name}_distances"] = scipy.cluster.vq.vq(o, c)
    starts = {"rosenbrock_0": np.zeros(4), "himmelblau_0": np.zeros(2), "himmelblau_100": np.full(2, 100.0)}
    for name, x0 in starts.items():
        f = globals()[name.partition("_")[0]]
        arrays |= {f"{name}_start": x0, f"{name}_x": scipy.optimize.minimize(f, x0, method="BFGS", tol=1e-6).x}
    save("spatial", arrays, config)


if __name__ == "__main__":
    main()
