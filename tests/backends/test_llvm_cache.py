"""The cache of object code: used, private, and never trusted when something is wrong with it."""

from __future__ import annotations

import os
import stat

import numpy as np
import pytest

import fnets
import fnets.numpy as fnp

pytest.importorskip("llvmlite")

from fnets.backends.llvm.runtime import cache, loading, pool

x = np.linspace(-2, 2, 50).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pool.start()  # is compiled once, before anything is counted
    monkeypatch.setenv("FNETS_CACHE_DIR", str(tmp_path / "deep" / "cache"))
    monkeypatch.delenv("FNETS_CACHE", raising=False)
    return tmp_path / "deep" / "cache"


@pytest.fixture
def compiled(monkeypatch):
    """How often a module was compiled."""
    times = []
    real = loading.object_code
    monkeypatch.setattr(
        loading, "object_code", lambda *modules, **options: times.append(modules) or real(*modules, **options)
    )
    return times


def use() -> None:
    got = fnets.jit(lambda x: fnp.tanh(x) * 2 + 1, backend="llvm")(x)
    np.testing.assert_allclose(got, np.tanh(x) * 2 + 1, rtol=1e-5)


def entries(folder):
    return sorted(folder.glob("*.o"))


def test_second_use_reads(folder, compiled):
    use()
    assert len(compiled) == len(entries(folder)) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    use()
    assert len(compiled) == 1


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_a_damaged_entry_is_rebuilt(folder, compiled, damage):
    use()
    (path,) = entries(folder)
    good = path.read_bytes()
    bad = {
        "flip": good[:-1] + bytes([good[-1] ^ 1]),
        "cut": good[: len(good) // 2],
        "empty": b"",
        "foreign": b"\0" * 32 + good[32:],
    }[damage]
    path.write_bytes(bad)
    use()
    assert len(compiled) == 2 and path.read_bytes()[32:] == good[32:]
    use()
    assert len(compiled) == 2


def test_an_entry_under_another_name_does_not_count(folder, compiled):
    use()
    (path,) = entries(folder)
    other = cache.key_of("other")
    (folder / f"{other}.o").write_bytes(path.read_bytes())
    assert cache.read(other) is None


def test_another_secret_invalidates(folder, compiled):
    use()
    (folder / "key").write_bytes(os.urandom(32))
    use()
    assert len(compiled) == 2


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_directory_open_to_others_is_not_used(folder, compiled, mode):
    folder.mkdir(parents=True)
    folder.chmod(mode)
    use()
    use()
    assert len(compiled) == 2 and not entries(folder)


def test_it_can_be_turned_off(folder, compiled, monkeypatch):
    monkeypatch.setenv("FNETS_CACHE", "0")
    use()
    assert len(compiled) == 1 and not folder.exists()


def test_a_place_that_cannot_be_made(compiled, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("FNETS_CACHE_DIR", str(blocked / "cache"))
    monkeypatch.delenv("FNETS_CACHE", raising=False)
    use()
    assert len(compiled) == 1


def test_old_entries_go_when_it_is_full(folder, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 3000)
    monkeypatch.setattr(cache, "BETWEEN", 1)
    names = [cache.key_of(str(k)) for k in range(5)]
    for k, name in enumerate(names):
        cache.write(name, bytes(900))
        os.utime(folder / f"{name}.o", (k, k))
    cache.write(cache.key_of("last"), bytes(900))
    assert sum(p.stat().st_size for p in entries(folder)) <= 3000
    assert cache.read(names[0]) is None and cache.read(cache.key_of("last")) == bytes(900)
