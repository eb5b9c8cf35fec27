"""Golden gathers, scatters and sorts, float64, from JAX: indexing.npz. Needs the `bench` extra.

- kind `gather`: `lax.gather(x, indices, GatherDimensionNumbers(**numbers), slice_sizes, mode=mode, fill_value=fill_value)`; parts `x indices y ct dx`.
- kind `scatter`, `scatter_add`, ...: `lax.<kind>(x, indices, u, ScatterDimensionNumbers(**numbers), mode=mode, unique_indices=unique)`;
  parts `x indices u y`, and `ct dx du` where JAX differentiates it. With repeated indices a `scatter` writes equal values, for JAX leaves the order open.
- kind `sort`: `lax.sort(operands, dimension, num_keys=num_keys)` of `count` operands; parts `x0 x1 ... y0 y1 ...`.
- kind `top_k`: `lax.top_k(x, k)`; parts `x values indices`.
"""

import jax
import numpy as np
from golden_io import encode, save
from jax import lax

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)


def normal(*shape):
    return np.round(rng.normal(size=shape) * 64) / 64


def split_dims(ndim, count):
    """`count` of `ndim` dimensions, ascending."""
    return sorted(rng.choice(ndim, count, replace=False).tolist())


def draw_windows(inside=False):
    """An operand's shape, dimension numbers in gather's terms, window sizes, and index vectors, some of them out of range unless `inside`."""
    ndim = int(rng.integers(1, 4))
    shape = rng.integers(1, 6, ndim).tolist()
    batching = split_dims(ndim, int(rng.integers(0, 2))) if ndim > 1 else []
    free = [d for d in range(ndim) if d not in batching]
    collapsed = [d for d in free if rng.random() < 0.5]
    mapped = rng.permutation([d for d in free if rng.random() < 0.7]).astype(int).tolist()
    sizes = [1 if d in collapsed or d in batching else int(rng.integers(1, n + 1)) for d, n in enumerate(shape)]
    batch = rng.integers(1, 4, int(rng.integers(len(batching), 3))).tolist()
    indices_batching = split_dims(len(batch), len(batching))
    for d, k in zip(batching, indices_batching):
        batch[k] = shape[d]
    if not mapped and np.prod(batch) > 1:  # XLA reads several empty index vectors as one in the derivative
        return draw_windows(inside)
    lows = [0 if inside or rng.random() < 0.7 else -2 for _ in mapped]
    columns = [rng.integers(low, shape[d] - sizes[d] + 1 - low, batch) for d, low in zip(mapped, lows)]
    indices = np.stack(columns, -1) if mapped else np.zeros((*batch, 0), int)
    kept = [d for d in free if d not in collapsed]
    result_ndim = len(batch) + len(kept)
    offset = split_dims(result_ndim, len(kept))
    out_shape, window, outer = [], iter([sizes[d] for d in kept]), iter(batch)
    for d in range(result_ndim):
        out_shape.append(next(window) if d in offset else next(outer))
    numbers = (offset, collapsed, mapped, batching, indices_batching)
    return shape, numbers, sizes, indices.astype(np.int32), out_shape


GATHER = (
    "offset_dims",
    "collapsed_slice_dims",
    "start_index_map",
    "operand_batching_dims",
    "start_indices_batching_dims",
)
SCATTER = (
    "update_window_dims",
    "inserted_window_dims",
    "scatter_dims_to_operand_dims",
    "operand_batching_dims",
    "scatter_indices_batching_dims",
)


def named(names, numbers):
    return {n: tuple(v) for n, v in zip(names, numbers)}


def gathers(cases, arrays):
    for k in range(40):
        mode = ["clip", "fill", None, "fill"][k % 4]
        shape, numbers, sizes, indices, _ = draw_windows(inside=mode is None)
        numbers = named(GATHER, numbers)
        fill = 7.0 if k % 4 == 3 else 0.0
        x = normal(*shape)

        def f(x, indices=indices, numbers=numbers, sizes=sizes, mode=mode, fill=fill):
            return lax.gather(x, indices, lax.GatherDimensionNumbers(**numbers), sizes, mode=mode, fill_value=fill)

        y, pull = jax.vjp(f, x)
        ct = normal(*y.shape)
        name = f"gather_{k}"
        cases.append(
            {"name": name, "kind": "gather", "numbers": numbers, "slice_sizes": sizes, "mode": mode, "fill_value": fill}
        )
        arrays.update(
            {f"{name}_{p}": v for p, v in {"x": x, "indices": indices, "y": y, "ct": ct, "dx": pull(ct)[0]}.items()}
        )


def positions_repeat(shape, indices, out_shape, numbers, mode):
    ones = np.ones(out_shape)
    counts = lax.scatter_add(np.zeros(shape), indices, ones, lax.ScatterDimensionNumbers(**numbers), mode=mode)
    return bool(counts.size) and float(counts.max()) > 1


def scatters(cases, arrays):
    kinds = ["scatter", "scatter_add", "scatter_sub", "scatter_mul", "scatter_min", "scatter_max"]
    for k in range(72):
        kind = kinds[k % 6]
        shape, numbers, _, indices, out_shape = draw_windows()
        numbers = named(SCATTER, numbers)
        mode = ["clip", "drop", None][k // 6 % 3]
        repeat = positions_repeat(shape, indices, out_shape, numbers, mode)
        x, u = normal(*shape), normal(*out_shape)
        if kind == "scatter" and repeat:
            u = np.full(out_shape, 0.5)
        unique = not repeat

        def f(x, u, kind=kind, indices=indices, numbers=numbers, mode=mode, unique=unique):
            options = {"mode": mode, "unique_indices": unique}
            return getattr(lax, kind)(x, indices, u, lax.ScatterDimensionNumbers(**numbers), **options)

        name = f"{kind}_{k}"
        parts = {"x": x, "indices": indices, "u": u, "y": f(x, u)}
        # JAX 0.10.2 is wrong, by its own finite differences, in the derivatives of scatter_min and scatter_max with clipped indices
        extreme = kind in ("scatter_min", "scatter_max")
        if not (extreme and mode == "clip") and (extreme or not repeat or kind in ("scatter_add", "scatter_sub")):
            ct = normal(*shape)
            dx, du = jax.vjp(f, x, u)[1](ct)
            parts.update(ct=ct, dx=dx, du=du)
        cases.append({"name": name, "kind": kind, "numbers": numbers, "mode": mode, "unique": unique})
        arrays.update({f"{name}_{p}": v for p, v in parts.items()})


def sorts(cases, arrays):
    for k, (count, num_keys, dimension) in enumerate([(1, 1, 0), (2, 1, 1), (3, 2, 0), (3, 3, 1), (2, 2, -1)]):
        operands = [rng.integers(0, 3, (5, 6)).astype(float) for _ in range(count)]
        operands[0][rng.integers(0, 9, (5, 6)) == 0] = np.nan
        if num_keys > 1:
            operands[1] = operands[1].astype(np.int32)
        results = lax.sort(operands, dimension, num_keys=num_keys)
        name = f"sort_{k}"
        cases.append({"name": name, "kind": "sort", "count": count, "dimension": dimension, "num_keys": num_keys})
        arrays.update(
            {f"{name}_x{i}": v for i, v in enumerate(operands)} | {f"{name}_y{i}": v for i, v in enumerate(results)}
        )
    for k, (shape, largest, dtype) in enumerate(
        [((7,), 3, float), ((3, 300), 5, float), ((2, 6), 6, np.int32), ((4, 512), 20, np.int8)]
    ):
        x = rng.integers(-9, 9, shape).astype(dtype)
        if k < 2:
            x[..., 4] = np.nan if k == 0 else np.inf
        values, indices = lax.top_k(x, largest)
        cases.append({"name": f"top_k_{k}", "kind": "top_k", "k": largest})
        arrays.update({f"top_k_{k}_x": x, f"top_k_{k}_values": values, f"top_k_{k}_indices": indices})


if __name__ == "__main__":
    cases: list = []
    arrays: dict = {}
    gathers(cases, arrays)
    scatters(cases, arrays)
    sorts(cases, arrays)
    save("indexing", arrays, [encode(c) for c in cases])
