"""Golden runs of optax: optim.npz (optimizers), optim_transforms.npz (transformations, wrappers) and schedules.npz.

Each case is an expression (see golden_io) that builds a gradient transformation; it takes 20 steps from fixed
parameters along fixed gradients. Cases that need the loss itself descend `objective`. Needs the `bench` extra.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from golden_io import build, call, decode, encode, ref, save

STEPS = 20
COUNTS = np.arange(41)
MASK = {"w": True, "b": False}

Tree = dict[str, Any]
Expression = dict[str, Any]


def optimizers() -> list[Expression]:
    decay = call("exponential_decay", 0.1, 5, 0.7)
    warm = call("warmup_cosine_decay_schedule", 0.0, 0.2, 5, 20, end_value=0.01)
    return [
        call("sgd", 0.1),
        call("sgd", 0.1, momentum=0.9),
        call("sgd", 0.1, momentum=0.9, nesterov=True),
        call("sgd", decay, momentum=0.5),
        call("adam", 0.1),
        call("adam", 0.05, b1=0.8, b2=0.95, eps=1e-3, eps_root=1e-4),
        call("adam", 0.1, nesterov=True),
        call("adam", warm),
        call("adamw", 0.1),
        call("adamw", 0.1, weight_decay=0.05, mask=MASK),
        call("adamw", decay, weight_decay=0.1, nesterov=True),
        call("rmsprop", 0.05),
        call("rmsprop", 0.05, decay=0.8, eps=1e-3, eps_in_sqrt=False),
        call("rmsprop", 0.05, initial_scale=1.0, momentum=0.9),
        call("rmsprop", 0.05, centered=True, momentum=0.9, nesterov=True),
        call("rmsprop", 0.05, bias_correction=True),
        call("rmsprop", 0.05, centered=True, bias_correction=True, eps=0.1),
        call("adagrad", 0.1),
        call("adagrad", 0.1, initial_accumulator_value=0.0, eps=1e-3),
        call("adabelief", 0.1),
        call("adabelief", 0.1, b1=0.8, eps=1e-8, eps_root=1e-8, nesterov=True),
        call("adadelta", 1.0),
        call("adadelta", 0.5, rho=0.8, eps=1e-4, weight_decay=0.05, weight_decay_mask=MASK),
        call("adadelta"),
        call("adafactor", 0.1),
        call("adafactor", 0.1, min_dim_size_to_factor=2),
        call("adafactor", min_dim_size_to_factor=2, momentum=0.9, weight_decay_rate=0.01, clipping_threshold=0.5),
        call("adafactor", 0.1, min_dim_size_to_factor=2, multiply_by_parameter_scale=False, clipping_threshold=None),
        call("adafactor", 0.1, factored=False, decay_rate=0.6),
        call("adamax", 0.1),
        call("adamax", 0.1, b1=0.8, b2=0.9, eps=1e-4),
        call("adamaxw", 0.1, weight_decay=0.05, mask=MASK),
        call("amsgrad", 0.1),
        call("amsgrad", 0.1, b2=0.7, eps_root=1e-6),
        call("amsgrad", 0.1, b2=0.7, bias_correction_mu=False, bias_correction_nu=False),
        call("lamb", 0.1),
        call("lamb", 0.1, weight_decay=0.05, mask=MASK, eps_root=1e-6),
        call("lars", 0.5),
        call("lars", 0.5, weight_decay=0.05, weight_decay_mask=MASK, trust_coefficient=0.1, eps=1e-6, nesterov=True),
        call("lars", 0.5, trust_ratio_mask=MASK, trust_coefficient=0.1, momentum=0.5),
        call("lion", 0.01),
        call("lion", 0.01, b1=0.8, b2=0.95, weight_decay=0.1, mask=MASK),
        call("nadam", 0.1),
        call("nadamw", 0.1, weight_decay=0.05, mask=MASK),
        call("noisy_sgd", 0.1, key=0),
        call("noisy_sgd", 0.1, eta=0.5, gamma=0.9, key=3),
        call("radam", 0.1),
        call("radam", 0.1, b2=0.9, threshold=4.0, nesterov=True),
        call("rprop", 0.1),
        call("rprop", 0.1, eta_minus=0.4, eta_plus=1.5, min_step_size=1e-3, max_step_size=0.3),
        call("sign_sgd", 0.01),
        call("signum", 0.01),
        call("signum", 0.01, beta=0.5),
        call("yogi", 0.1),
        call("yogi", 0.1, b1=0.8, b2=0.95, eps=1e-2),
        call("adan", 0.1),
        call("adan", 0.1, b1=0.9, b2=0.8, b3=0.95, weight_decay=0.05, mask=MASK),
        call("fromage", 0.1),
        call("fromage", 0.1, min_norm=0.5),
        call("novograd", 0.1),
        call("novograd", 0.1, weight_decay=0.05),
        call("optimistic_adam", 0.1),
        call("optimistic_adam", 0.1, optimism=0.2, b1=0.8, nesterov=False),
        call("optimistic_adam_v2", 0.1),
        call("optimistic_adam_v2", 0.1, alpha=0.8, beta=0.5),
        call("optimistic_gradient_descent", 0.1),
        call("optimistic_gradient_descent", 0.1, alpha=0.8, beta=0.5),
        call("sm3", 0.1),
        call("sm3", 0.1, momentum=0.5),
    ]


def descents() -> list[Expression]:
    """Optimizers whose update also takes the objective."""
    return [
        call("polyak_sgd"),
        call("polyak_sgd", max_learning_rate=0.5, scaling=0.8, f_min=0.5, eps=0.1),
        call("polyak_sgd", variant="sps+"),
        call("lbfgs"),
        call("lbfgs", memory_size=3, scale_init_precond=False),
        call("lbfgs", 0.1, memory_size=5, linesearch=None),
        call("lbfgs", linesearch=call("scale_by_backtracking_linesearch", 15)),
        call("chain", call("sgd", 1.0), call("scale_by_backtracking_linesearch", 20)),
        call(
            "chain",
            call("sgd", 1.0),
            call(
                "scale_by_backtracking_linesearch", 10, decrease_factor=0.5, increase_factor=2.0, max_learning_rate=3.0
            ),
        ),
        call("chain", call("sgd", 1.0), call("scale_by_zoom_linesearch", 15)),
        call("chain", call("adam", 1.0), call("scale_by_zoom_linesearch", 15, initial_guess_strategy="one")),
    ]


def transformations() -> list[Expression]:
    """Atoms, each followed by scale(-0.1)."""
    atoms = [
        call("identity"),
        call("set_to_zero"),
        call("scale", 0.5),
        call("scale_by_learning_rate", 0.5),
        call("scale_by_learning_rate", 0.5, flip_sign=False),
        call("scale_by_schedule", call("linear_schedule", 1.0, 0.1, 10)),
        call("clip", 0.5),
        call("clip_by_global_norm", 1.0),
        call("clip_by_global_norm", 100.0),
        call("clip_by_block_rms", 0.5),
        call("adaptive_grad_clip", 0.1),
        call("adaptive_grad_clip", 0.3, eps=0.5, axis=0),
        call("normalize_by_update_norm"),
        call("normalize_by_update_norm", scale_factor=2.0, eps=1e-2),
        call("centralize"),
        call("ema", 0.9),
        call("ema", 0.7, debias=False),
        call("trace", 0.9),
        call("trace", 0.9, nesterov=True),
        call("apply_every", 4),
        call("add_decayed_weights", 0.1),
        call("add_decayed_weights", 0.1, mask=MASK),
        call("add_noise", 0.1, 0.55, key=7),
        call("scale_by_adam", b1=0.7),
        call("scale_by_amsgrad"),
        call("scale_by_adamax"),
        call("scale_by_adadelta"),
        call("scale_by_adan"),
        call("scale_by_belief"),
        call("scale_by_factored_rms", min_dim_size_to_factor=2),
        call("scale_by_lbfgs", memory_size=4),
        call("scale_by_lion"),
        call("scale_by_lion", mode="smooth", smooth_beta=2.0),
        call("scale_by_novograd"),
        call("scale_by_optimistic_gradient", alpha=0.9, beta=0.5),
        call("scale_by_param_block_norm"),
        call("scale_by_param_block_rms", min_scale=0.5),
        call("scale_by_radam", threshold=4.0),
        call("scale_by_rms", decay=0.8),
        call("scale_by_rprop", 0.1),
        call("scale_by_rss"),
        call("scale_by_sign"),
        call("scale_by_sm3", b1=0.8, b2=0.9),
        call("scale_by_stddev", eps=0.1, bias_correction=True),
        call("scale_by_stddev", decay=0.8, eps_in_sqrt=False),
        call("scale_by_trust_ratio", min_norm=0.1, trust_coefficient=0.5, eps=1e-3),
        call("scale_by_yogi"),
        call("scale_by_distance_over_gradients", reps_rel=0.1),
        call("masked", call("trace", 0.9), MASK),
        call("freeze", MASK),
        call("partition", {"a": call("trace", 0.5), "z": call("set_to_zero")}, {"w": "a", "b": "z"}),
        call("multi_transform", {"a": call("scale_by_adam"), "z": call("clip", 0.2)}, {"w": "z", "b": "a"}),
        call("named_chain", ["first", call("clip", 0.5)], ["second", call("trace", 0.9)]),
        call("flatten", call("scale_by_trust_ratio")),
    ]
    return [call("chain", atom, call("scale", -0.1)) for atom in atoms]


def wrappers() -> list[Expression]:
    adam = call("adam", 0.1)
    decaying = call("polynomial_schedule", 0.3, 0.0, 2, 15)
    return [
        call("chain", call("clip_by_global_norm", 0.5), call("add_decayed_weights", 0.01), adam),
        call("chain", call("sgd", 0.1), call("keep_params_nonnegative")),
        call("chain", call("zero_nans"), call("sgd", 0.1, momentum=0.9)),
        call("apply_if_finite", call("sgd", 0.1, momentum=0.9), 1),
        call("apply_if_finite", adam, 10),
        call("MultiSteps", adam, 4),
        call("MultiSteps", call("sgd", 0.1), 3, use_grad_mean=False),
        call("MultiSteps", call("sgd", 0.1), 2, should_skip_update_fn=ref("skip_not_finite")),
        call(call("inject_hyperparams", ref("sgd")), learning_rate=decaying, momentum=0.9),
        call(call("inject_hyperparams", ref("adamw")), learning_rate=0.1, b1=0.8, weight_decay=decaying),
    ]


NEEDS_NONNEGATIVE = ("keep_params_nonnegative",)
NEEDS_NANS = ("zero_nans", "apply_if_finite", "skip_not_finite")


def schedules() -> list[Expression]:
    return [
        call("constant_schedule", 0.3),
        call("linear_schedule", 1.0, 0.1, 20),
        call("linear_schedule", 0.1, 2.0, 15, transition_begin=8),
        call("linear_schedule", 0.5, 2.0, 0),
        call("polynomial_schedule", 1.0, 0.1, 2, 20),
        call("polynomial_schedule", 1.0, 0.1, 0.5, 25, transition_begin=5),
        call("polynomial_schedule", 1.0, 0.1, 2, -3),
        call("cosine_decay_schedule", 0.5, 30),
        call("cosine_decay_schedule", 0.5, 25, alpha=0.1, exponent=2.0),
        call("exponential_decay", 0.5, 10, 0.7),
        call("exponential_decay", 0.5, 7, 0.6, transition_begin=4, staircase=True),
        call("exponential_decay", 0.5, 3, 0.5, end_value=0.05),
        call("exponential_decay", 0.5, 5, 1.5, end_value=2.0),
        call("exponential_decay", 0.5, 0, 0.5),
        call("exponential_decay", 0.5, 5, 0),
        call("piecewise_constant_schedule", 1.0, {10: 0.5, 20: 0.1, 30: 3.0}),
        call("piecewise_constant_schedule", 0.7),
        call("piecewise_interpolate_schedule", "linear", 1.0, {10: 0.5, 25: 4.0}),
        call("piecewise_interpolate_schedule", "cosine", 1.0, {8: 0.5, 20: 4.0, 33: 0.1}),
        call("join_schedules", [call("linear_schedule", 0.0, 1.0, 10), call("cosine_decay_schedule", 1.0, 20)], [10]),
        call(
            "join_schedules",
            [
                call("constant_schedule", 0.1),
                call("linear_schedule", 1.0, 2.0, 5),
                call("exponential_decay", 3.0, 2, 0.9),
            ],
            [7, 19],
        ),
        call("warmup_constant_schedule", 0.0, 0.5, 12),
        call("warmup_cosine_decay_schedule", 0.0, 1.0, 10, 35),
        call("warmup_cosine_decay_schedule", 0.1, 1.0, 8, 30, end_value=0.05, exponent=2.0),
        call("warmup_exponential_decay_schedule", 0.0, 1.0, 10, 8, 0.6),
        call(
            "warmup_exponential_decay_schedule", 0.1, 1.0, 5, 8, 0.6, transition_begin=3, staircase=True, end_value=0.2
        ),
        call(
            "sgdr_schedule",
            [
                {"init_value": 0.0, "peak_value": 1.0, "decay_steps": 15, "warmup_steps": 4, "end_value": 0.1},
                {"init_value": 0.1, "peak_value": 0.7, "decay_steps": 20, "warmup_steps": 2, "end_value": 0.0},
            ],
        ),
        call("cosine_onecycle_schedule", 35, 2.0),
        call("cosine_onecycle_schedule", 30, 1.0, pct_start=0.5, div_factor=10.0, final_div_factor=100.0),
        call("linear_onecycle_schedule", 35, 2.0),
        call("linear_onecycle_schedule", 30, 1.0, pct_start=0.4, pct_final=0.7, div_factor=10.0, final_div_factor=50.0),
    ]


def problem() -> dict[str, np.ndarray]:
    """Parameters, gradients and the objective's constants. All are exact in float32."""
    rng = np.random.default_rng(20240603)

    def grid(*shape: int) -> np.ndarray:
        return np.round(rng.normal(size=shape) * 256) / 256

    data = {"params_w": grid(3, 4), "params_b": grid(4), "grads_w": grid(STEPS, 3, 4), "grads_b": grid(STEPS, 4)}
    data["grads_w"][:, 0, 0] = 0.0  # a parameter that never gets a gradient
    data["grads_b"][3] = 0.0  # and a step whose whole block has none
    data["target_w"], data["target_b"] = grid(3, 4), grid(4)
    data["scale_w"], data["scale_b"] = np.abs(grid(3, 4)) + 0.25, np.abs(grid(4)) + 0.25
    return data


PROBLEM = problem()
NAN_STEPS = {"w": (4, 5), "b": (5, 6, 12)}


def tree(prefix: str, dtype: Any) -> Tree:
    return {leaf: PROBLEM[f"{prefix}_{leaf}"].astype(dtype) for leaf in "wb"}


def gradients(kind: str, dtype: Any) -> list[Tree]:
    grads = tree("grads", dtype)
    if kind == "nan":
        for leaf, steps in NAN_STEPS.items():
            for step in steps:
                grads[leaf][(step,) + (1,) * (grads[leaf].ndim - 1)] = np.nan
    return [{leaf: values[step] for leaf, values in grads.items()} for step in range(STEPS)]


def objective(params: Tree) -> Any:
    """sum(scale * (p - target)**2 / 2 - cos(3 * p) / 4) over both leaves."""
    total = 0.0
    for leaf, p in params.items():
        scale, target = (PROBLEM[f"{name}_{leaf}"].astype(p.dtype) for name in ("scale", "target"))
        total = total + jnp.sum(scale * (p - target) ** 2 / 2 - jnp.cos(3 * p) / 4)
    return total


def run(expression: Expression, mode: str, dtype: Any) -> list[Tree]:
    """The parameters after each step."""
    optimizer = build(optax, decode(encode(expression)))
    params = jax.tree.map(jnp.asarray, tree("params", dtype))
    if mode == "nonnegative":
        params = jax.tree.map(jnp.abs, params)
    state = optimizer.init(params)
    grads = gradients(mode, dtype)
    trail = []
    for step in range(STEPS):
        if mode == "objective":
            value, grad = jax.value_and_grad(objective)(params)
            updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=objective)
        else:
            updates, state = optimizer.update(jax.tree.map(jnp.asarray, grads[step]), state, params)
        params = optax.apply_updates(params, updates)
        trail.append({leaf: np.asarray(p) for leaf, p in params.items()})
    return trail


def mode_of(expression: Expression) -> str:
    text = str(expression)
    if any(name in text for name in NEEDS_NONNEGATIVE):
        return "nonnegative"
    return "nan" if any(name in text for name in NEEDS_NANS) else "plain"


def head_name(expression: Expression) -> str:
    """What a case is called: the innermost interesting function's name."""
    function = expression["call"]
    if isinstance(function, dict):
        return f"{function['call']}_{function['args'][0]['ref']}"
    if function == "chain":
        parts = [head_name(part) for part in expression["args"]]
        return "_".join(part for part in parts if part != "scale") or "scale"
    return function


def make_runs(file: str, cases: list[tuple[Expression, str]]) -> None:
    arrays: dict[str, np.ndarray] = dict(PROBLEM)
    config: list[dict[str, Any]] = []
    for number, (expression, mode) in enumerate(cases):
        name = f"{head_name(expression)}_{number:02d}"
        with jax.enable_x64(True):
            trail = run(expression, mode, np.float64)
        last32 = run(expression, mode, np.float32)[-1]
        for leaf in "wb":
            arrays[f"{name}_{leaf}"] = np.stack([params[leaf] for params in trail])
            arrays[f"{name}_{leaf}32"] = last32[leaf]
            assert arrays[f"{name}_{leaf}"].dtype == np.float64 and last32[leaf].dtype == np.float32, name
        config.append({"name": name, "mode": mode, "expression": encode(expression)})
    save(file, arrays, config)


def make_schedules() -> None:
    arrays: dict[str, np.ndarray] = {"counts": COUNTS}
    config: list[dict[str, Any]] = []
    for number, expression in enumerate(schedules()):
        name = f"{expression['call']}_{number:02d}"
        with jax.enable_x64(True):
            schedule = build(optax, decode(encode(expression)))
            arrays[name] = np.array([schedule(jnp.asarray(count, jnp.int32)) for count in COUNTS], np.float64)
        config.append({"name": name, "expression": encode(expression)})
    save("schedules", arrays, config)


if __name__ == "__main__":
    make_schedules()
    make_runs("optim", [(e, "plain") for e in optimizers()] + [(e, "objective") for e in descents()])
    make_runs("optim_transforms", [(e, mode_of(e)) for e in transformations() + wrappers()])
