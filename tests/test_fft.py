"""Fourier transforms against NumPy for drawn shapes, lengths, axes and norms; their gradients, and error messages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fnets
import fnets.numpy as fnp
from fnets.errors import ArgumentError, AxisError, DTypeError, ShapeError
from fnets.lax import fourier
from fnets.numpy import fft

rng = np.random.default_rng(0)
DTYPES = ["int32", "bool", "float32", "float64", "complex64", "complex128"]
REAL_ONLY = ("rfft", "rfft2", "rfftn", "ihfft")
ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
MORE = ("fftn", "ifftn", "rfftn", "irfftn")
NORMS = [None, "backward", "ortho", "forward"]


def array(shape, dtype) -> np.ndarray:
    dtype = np.dtype(dtype)
    x = rng.standard_normal(shape) * 3
    return (x + 1j * rng.standard_normal(shape)).astype(dtype) if dtype.kind == "c" else x.astype(dtype)


def same(got, expected) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    tol = 1e-5 if expected.dtype.name in ("float32", "complex64") else 1e-12
    np.testing.assert_allclose(got, expected, rtol=tol, atol=tol * max(1, np.abs(expected).max(initial=0)))


@given(
    st.sampled_from(ONE),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.data(),
    st.sampled_from(DTYPES),
    st.sampled_from(NORMS),
)
def test_one_axis_equals_numpy(name, shape, data, dtype, norm):
    if name in REAL_ONLY and np.dtype(dtype).kind == "c":
        dtype = "float64"
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    n = data.draw(st.none() | st.integers(1, 9))
    if name in ("irfft", "hfft") and n is None and shape[axis] == 1:
        n = 1
    x = array(shape, dtype)
    same(getattr(fft, name)(x, n, axis, norm), getattr(np.fft, name)(x, n, axis, norm))


@given(
    st.sampled_from(MORE),
    st.lists(st.integers(2, 5), min_size=1, max_size=4),
    st.data(),
    st.sampled_from(DTYPES),
    st.sampled_from(NORMS),
)
def test_more_axes_equal_numpy(name, shape, data, dtype, norm):
    if name in REAL_ONLY and np.dtype(dtype).kind == "c":
        dtype = "float32"
    axes = data.draw(
        st.none() | st.permutations(range(len(shape))).flatmap(lambda p: st.integers(1, len(p)).map(lambda k: p[:k]))
    )
    s = None
    if axes is not None and data.draw(st.booleans()):
        s = [data.draw(st.integers(1, 6)) for _ in axes]
    x = array(shape, dtype)
    same(getattr(fft, name)(x, s, axes, norm), getattr(np.fft, name)(x, s, axes, norm))


@pytest.mark.parametrize("name", ["fft2", "ifft2", "rfft2", "irfft2"])
@pytest.mark.parametrize("axes", [(-2, -1), (0, 2), (2, 0)])
def test_two_axes_equal_numpy(name, axes):
    x = array((3, 4, 5), "float64")
    same(getattr(fft, name)(x, axes=axes), getattr(np.fft, name)(x, axes=axes))
    same(getattr(fft, name)(x, (4, 6), axes), getattr(np.fft, name)(x, (4, 6), axes))


def test_as_many_axes_as_lengths_and_lengths_left_as_they_are():
    x = array((3, 4, 5), "float64")
    same(fft.fftn(x, (2, 3)), np.fft.fftn(x, (2, 3), axes=(1, 2)))
    same(fft.rfftn(x, (-1, 4), (0, 1)), np.fft.rfftn(x, (3, 4), (0, 1)))
    same(fft.irfftn(x, (-1, -1), (0, 1)), np.fft.irfftn(x, axes=(0, 1)))


def test_half_precision_and_lists():
    assert fft.fft(np.ones(4, np.float16)).dtype == np.complex64
    same(fft.fft([1.0, 2.0]), np.fft.fft([1.0, 2.0]))
    assert fft.irfft(np.ones(4, np.complex64)).dtype == np.float32


def test_no_points_give_no_frequencies():
    assert fft.fft(np.zeros((2, 0))).shape == (2, 0)
    assert fft.fftn(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("name", ["fftfreq", "rfftfreq"])
def test_frequencies(name, n):
    for d in (1.0, 0.25, np.float64(3.0)):
        expected = getattr(np.fft, name)(n, d)
        same(getattr(fft, name)(n, d, dtype="float64"), expected)
        assert getattr(fft, name)(n, d).dtype == np.float32
    grad = fnets.grad(lambda d: fnp.sum(getattr(fft, name)(n, d) ** 2))(0.5)
    assert grad == pytest.approx(-2 * np.sum(getattr(np.fft, name)(n, 0.5) ** 2) / 0.5)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), st.data())
def test_shifts_equal_numpy(shape, data):
    x = rng.standard_normal(shape)
    axes = data.draw(
        st.none()
        | st.integers(-len(shape), len(shape) - 1)
        | st.lists(st.integers(0, len(shape) - 1), max_size=2, unique=True)
    )
    same(fft.fftshift(x, axes), np.fft.fftshift(x, axes))
    same(fft.ifftshift(x, axes), np.fft.ifftshift(x, axes))
    same(fft.ifftshift(fft.fftshift(x, axes), axes), x)


def directional(f, x, eps=1e-6):
    """A directional derivative by jvp and by central differences."""
    t = array(x.shape, x.dtype)
    return fnets.jvp(f, (x,), (t,))[1], (np.asarray(f(x + eps * t)) - np.asarray(f(x - eps * t))) / (2 * eps)


@pytest.mark.parametrize("name", [*ONE, *MORE])
def test_derivatives_in_both_modes(name):
    def f(x):
        return getattr(fft, name)(x, 5) if name in ONE else getattr(fft, name)(x, (3, 6), (0, 1))

    for n, dtype in ((4, "float64"), (7, "complex128")):
        if name in REAL_ONLY and dtype == "complex128":
            continue
        x = array((n, n), dtype)
        tangent, numeric = directional(f, x)
        np.testing.assert_allclose(tangent, numeric, rtol=1e-7, atol=1e-7)

        def energy(x):
            y = f(x)
            return fnp.sum(fnp.real(y) ** 2 * 0.7 + fnp.imag(y) ** 2)

        t = array(x.shape, dtype)
        slope = fnets.jvp(energy, (x,), (t,))[1]
        assert np.real(np.sum(fnets.grad(energy)(x) * t)) == pytest.approx(slope)


def test_jit_and_vmap():
    x = array((3, 4, 6), "float64")

    def f(v):
        return fft.irfft(fft.rfft(v, axis=0) * 2, 4, axis=0)

    same(fnets.jit(f)(x), f(x))
    for axis in range(3):
        got = fnets.vmap(lambda v: fft.rfft2(v, axes=(1, 0)), axis, axis)(x)
        same(got, np.stack([np.fft.rfft2(v, axes=(1, 0)) for v in np.moveaxis(x, axis, 0)], axis))


def test_numpys_own_functions_trace():
    x = array((4, 5), "float64")
    same(
        fnets.grad(lambda v: np.sum(np.abs(np.fft.rfftn(v)) ** 2))(x),
        fnets.grad(lambda v: fnp.sum(fnp.abs(fft.rfftn(v)) ** 2))(x),
    )


def test_parseval():
    x = array((8,), "float64")
    grad = fnets.grad(lambda v: fnp.sum(fnp.abs(fft.fft(v, norm="ortho")) ** 2))(x)
    np.testing.assert_allclose(grad, 2 * x, rtol=1e-12)


@pytest.mark.parametrize("kind", list(fourier.FftType))
def test_lax_fft(kind):
    x = array((2, 3, 6), "float32" if kind == fourier.FftType.RFFT else "complex64")
    n = 10 if kind == fourier.FftType.IRFFT else 6
    expected = getattr(np.fft, f"{kind.name.lower()}n")(x, (3, n), (1, 2))
    for spelled in (kind, kind.name, kind.name.lower()):
        same(fourier.fft(x, spelled, (3, n)), expected)
    assert fourier.fft(x, kind, ()).shape == x.shape


BAD = [
    (lambda: fft.fft(np.ones(3), 0), ArgumentError, "at least one point"),
    (lambda: fft.fft(np.ones(3), norm="wild"), ArgumentError, "expected norm"),
    (lambda: fft.fft(np.ones((3, 3)), axis=2), AxisError, r"\[fft\]"),
    (lambda: fft.fft(np.ones((3, 3)), axis=(0, 1)), ArgumentError, "fftn"),
    (lambda: fft.fft(np.ones(3), out=np.ones(3)), ArgumentError, "out="),
    (lambda: fft.rfft(np.ones(3) * 1j), DTypeError, "real array"),
    (lambda: fft.fftn(np.ones((3, 3)), axes=(1, 1)), AxisError, "named twice"),
    (lambda: fft.fftn(np.ones((3, 3)), s=(3,), axes=(0, 1)), ArgumentError, "as many lengths"),
    (lambda: fft.fft2(np.ones((3, 3)), axes=(0,)), ArgumentError, "two axes"),
    (lambda: fft.fftfreq([1, 2]), ArgumentError, "one number of points"),
    (lambda: fft.rfftfreq(3, [1, 2]), ArgumentError, "one spacing"),
    (lambda: fourier.fft(np.ones(3), "DCT", (3,)), ArgumentError, "FFT, IFFT"),
    (lambda: fourier.fft(np.ones(3), "FFT", (4,)), ShapeError, "expected x of shape"),
    (lambda: fourier.fft(np.ones(3) * 1j, "RFFT", (3,)), DTypeError, "real array"),
]


@pytest.mark.parametrize("call, error, words", BAD)
def test_wrong_calls(call, error, words):
    with pytest.raises(error, match=words):
        call()
