"""Which kernels can be private, and what is done so that they are."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.manager import AsyncKernelManager

from aiinfn_hub.contract.private_kernels import PREFERRED, REQUIRED, VARIABLE
from aiinfn_lab.kernels.prepare import START, NotPrivateError, prepare, safe_command
from aiinfn_lab.kernels.transport import LONGEST, Transport, private_transports, socket_prefix

IPC, CURVE = Transport.IPC, Transport.CURVE


@pytest.mark.parametrize(
    ("argv", "metadata", "known"),
    [
        (["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], {}, [IPC]),
        (
            ["python", "-m", "ipykernel", "-f", "{connection_file}"],
            {"supported_encryption": ["curve"]},
            [IPC, CURVE],
        ),
        (["/opt/env/bin/python3.9", "-Xfrozen_modules=off", "-m", "ipykernel_launcher"], {}, [IPC]),
        (["/opt/conda/bin/xcpp", "-f", "{connection_file}", "-std=c++17"], {}, [IPC]),
        (["R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"], {}, [IPC]),
        (
            [
                "/opt/julia/bin/julia",
                "-i",
                "/home/a/.julia/packages/IJulia/x/src/kernel.jl",
                "{connection_file}",
            ],
            {},
            [IPC],
        ),
        (["evcxr_jupyter", "--control_file", "{connection_file}"], {}, []),
        (["gophernotes", "{connection_file}"], {}, []),
        (["python", "-m", "some_kernel", "-f", "{connection_file}"], {}, []),
        (["python", "-m"], {}, []),
        ([], {}, []),
        (["own-kernel"], {"aiinfn": {"transport": "ipc"}}, [IPC]),
        (["own-kernel"], {"aiinfn": "ipc"}, []),
        (["own-kernel"], {"supported_encryption": "Curve"}, [CURVE]),
        (["own-kernel"], {"supported_encryption": ["none"]}, []),
        (["own-kernel"], {"supported_encryption": 3}, []),
    ],
)
def test_what_a_kernel_can_is_read_from_its_specification(
    argv: list[str], metadata: dict[str, Any], known: list[Transport]
) -> None:
    assert private_transports(argv, metadata) == known


@pytest.mark.parametrize(
    ("argv", "started"),
    [
        (
            ["python", "-m", "ipykernel_launcher", "-f", "x"],
            ["python", START, "ipykernel_launcher", "-f", "x"],
        ),
        (["/a/python3.8", "-E", "-m", "bash_kernel"], ["/a/python3.8", "-E", START, "bash_kernel"]),
        (["python", "kernel.py", "-m", "x"], ["python", "kernel.py", "-m", "x"]),
        (["python", "-m"], ["python", "-m"]),
        (["R", "-m", "x"], ["R", "-m", "x"]),
        ([], []),
    ],
)
def test_only_a_python_module_is_started_by_our_file(argv: list[str], started: list[str]) -> None:
    assert safe_command(argv) == started
    assert safe_command(started) == started, "twice is as once"


def test_the_debugger_is_taken_out_of_an_ipykernel_only() -> None:
    assert safe_command(["python", "-m", "ipykernel"], debugger=False)[2:] == ["--no-debugger", "ipykernel"]
    assert safe_command(["python", "-m", "bash_kernel"], debugger=False)[2:] == ["bash_kernel"]


def test_a_folder_with_a_long_path_is_refused_before_a_kernel_binds_there() -> None:
    longest = Path("/" + "d" * (LONGEST - len("/k12345678-5") - 1))
    assert len(socket_prefix(longest) + "-5") == LONGEST
    with pytest.raises(OSError, match="too long for the sockets"):
        socket_prefix(longest / "e")
    with pytest.raises(OSError, match="too long"):
        socket_prefix(Path("/" + "é" * 60))


def manager(argv: list[str], metadata: Any) -> AsyncKernelManager:
    made = AsyncKernelManager(kernel_name="x")
    made._kernel_spec = SimpleNamespace(argv=argv, metadata=metadata, display_name="X 1")  # type: ignore[assignment]
    return made


def test_a_kernel_that_can_do_neither_is_refused_where_people_have_a_uid_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, REQUIRED)
    with pytest.raises(NotPrivateError, match="others who work here could read its code"):
        prepare(manager(["x"], {}), lambda: tmp_path)
    monkeypatch.setenv(VARIABLE, PREFERRED)
    made = manager(["x"], {})
    prepare(made, lambda: tmp_path)
    assert made.transport == "tcp"


@pytest.mark.parametrize("policy", [REQUIRED, PREFERRED])
def test_sockets_come_first_and_encryption_where_it_is_all_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, policy: str
) -> None:
    monkeypatch.setenv(VARIABLE, policy)
    both = {"supported_encryption": ["curve"]}
    made = manager(["python", "-m", "ipykernel_launcher"], both)
    prepare(made, lambda: tmp_path)
    assert made.transport == "ipc"
    assert made.ip.startswith(f"{tmp_path}/k")
    made = manager(["x"], both)
    made.transport = "ipc"  # as the spawner asks for on the command line
    prepare(made, lambda: pytest.fail("no folder is needed"))
    assert (made.transport, made.transport_encryption) == ("tcp", "required")
    assert made.ip == "127.0.0.1"


def test_in_a_pod_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    made = manager(["x"], {})
    prepare(made, lambda: pytest.fail("no folder is needed"))
    assert made.transport == "tcp"


@pytest.mark.parametrize("safe", ["", "1"])
def test_the_start_takes_only_its_own_folder_off_the_path(tmp_path: Path, safe: str) -> None:
    (tmp_path / "shown.py").write_text("import sys; print(sys.argv[1:], sys.path)")
    done = subprocess.run(
        [sys.executable, START, "shown", "-f", "x"],
        env={"PYTHONPATH": str(tmp_path), "PATH": os.defpath, "PYTHONSAFEPATH": safe},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("['-f', 'x'] ['" + str(tmp_path))
    assert str(Path(START).parent) not in done.stdout
