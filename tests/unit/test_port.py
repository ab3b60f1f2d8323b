"""`tinygen validate --port` reads a board's self-test from a serial port, whatever the port does."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.golden.models import classifier
from tinygen.cli import main
from tinygen.errors import ToolError
from tinygen.validate import port as port_module
from tinygen.validate.port import read_port

pty = pytest.importorskip("pty", reason="pseudo-terminals are missing: they need Linux or macOS")
pytest.importorskip("serial", reason='pyserial is missing: pip install "tinygen[serial]"')

MODEL = f"TINYGEN MODEL classifier {hashlib.sha256(classifier()).hexdigest()[:16]} litert"
CYCLES = "TINYGEN CYCLES classifier 11411"
PASS = "TINYGEN PASS classifier inputs=2 layers=6"
DIFFER = "TINYGEN DIFFER classifier input=0 layer=1 op=DEPTHWISE_CONV_2D crc=00000001 expected=00000002"
FAIL = "TINYGEN FAIL classifier inputs=2 layers=6 different=1"


@dataclass(frozen=True)
class Wire:
    """A board at the other end of a serial port."""

    board: int
    port: str

    def send(self, *lines: str) -> None:
        os.write(self.board, "".join(f"{line}\r\n" for line in lines).encode("latin-1"))


@pytest.fixture
def wire() -> Iterator[Wire]:
    import tty

    board, port = pty.openpty()
    tty.setraw(board)
    tty.setraw(port)
    yield Wire(board, os.ttyname(port))
    for end in (board, port):
        with contextlib.suppress(OSError):  # the test closed it
            os.close(end)


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "classifier.tflite"
    path.write_bytes(classifier())
    return str(path)


opened = threading.Event()


@pytest.fixture(autouse=True)
def told_of_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a port empties it, so a board may speak only afterwards; that comes before the model is read."""
    really_open = port_module.open_port
    opened.clear()

    def open_and_tell(port: str, baud: int) -> object:
        connection = really_open(port, baud)
        opened.set()
        return connection

    monkeypatch.setattr(port_module, "open_port", open_and_tell)


def later(action: Callable[[], None]) -> None:
    """Let the board act when its port is open."""

    def act() -> None:
        if opened.wait(60):
            time.sleep(0.1)
            action()

    threading.Thread(target=act, daemon=True).start()


def validate(model: str, wire: Wire, *more: str) -> int:
    return main(["validate", model, "--board", "nano33", "--port", wire.port, "--timeout", "20", *more])


def test_pass_is_printed_and_exits_with_0(wire: Wire, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    later(lambda: wire.send("\xffboot", MODEL, CYCLES, PASS))
    assert validate(model, wire) == 0
    assert capsys.readouterr().out == f"{MODEL}\n{CYCLES}\n{PASS}\n"


def test_fail_prints_what_differed_and_exits_with_1(wire: Wire, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    later(lambda: wire.send(DIFFER, CYCLES, FAIL))
    assert validate(model, wire) == 1
    assert capsys.readouterr().out == f"{DIFFER}\n{CYCLES}\n{FAIL}\n"


def test_a_fault_exits_with_1(wire: Wire, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = "TINYGEN FAIL classifier fault cause=00000003 pc=0000011c address=-"
    later(lambda: wire.send(line))
    assert validate(model, wire) == 1
    assert capsys.readouterr().out == f"{line}\n"


def test_bytes_may_come_one_by_one(wire: Wire, model: str) -> None:
    def trickle() -> None:
        for byte in f"{MODEL}\r\n{CYCLES}\r\n{PASS}\r\n".encode():
            os.write(wire.board, bytes([byte]))
            time.sleep(0.002)

    later(trickle)
    assert validate(model, wire) == 0


def test_json_has_every_figure(wire: Wire, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    later(lambda: wire.send(DIFFER, MODEL, CYCLES, FAIL))
    assert validate(model, wire, "--json") == 1
    assert json.loads(capsys.readouterr().out) == {
        "name": "classifier",
        "board": "nano33",
        "model": MODEL.partition("classifier ")[2],
        "layers": 6,
        "cycles": 11411,
        "differences": [DIFFER],
        "lines": [DIFFER, MODEL, CYCLES, FAIL],
        "equal": False,
    }


def error_of(wire: Wire, model: str, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert validate(model, wire, *more) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("error: ") and "Traceback" not in shown.err
    return shown.err


def test_a_port_that_vanishes_is_told(wire: Wire, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    later(lambda: os.close(wire.board))
    assert f"port {wire.port}: it vanished before it told anything (" in error_of(wire, model, capsys)


def test_a_port_that_vanishes_in_between_is_told_with_the_last_line(
    wire: Wire, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def send_and_go() -> None:
        wire.send(CYCLES)
        time.sleep(0.5)
        os.close(wire.board)

    later(send_and_go)
    assert f"port {wire.port}: it vanished after '{CYCLES}' (" in error_of(wire, model, capsys)


def test_a_missing_port_is_told(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", model, "--board", "nano33", "--port", "/dev/no such port"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: port /dev/no such port: it cannot be opened: ")
    assert "There is no serial port here." in message or "Ports here: " in message


def test_a_file_in_a_ports_place_is_told(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", model, "--board", "nano33", "--port", model]) == 2
    assert f"error: port {model}: it cannot be opened: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ((), "the last line of classifier did not come in 1 s at 115200 baud, and no other. Flash the self-test"),
        ((CYCLES,), f"; the last one was: {CYCLES}."),
        (("TINYGEN PASS kws inputs=1 layers=13",), "; the board runs the self-test of kws."),
    ],
)
def test_a_board_that_does_not_finish_is_told(
    sent: tuple[str, ...], sentence: str, wire: Wire, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    later(lambda: wire.send(*sent))
    assert sentence in error_of(wire, model, capsys, "--timeout", "1")


def test_another_model_of_the_same_name_is_told(wire: Wire, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    later(lambda: wire.send(MODEL, "TINYGEN PASS classifier inputs=2 layers=7"))
    assert "the board's classifier has 7 layers, " in error_of(wire, model, capsys)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ((MODEL.replace(MODEL[-12:-7], "00000"),), "00000"),
        ((MODEL.replace("litert", "tflm"),), "tflm"),
    ],
    ids=["other file", "other reference"],
)
def test_a_pass_of_another_file_or_reference_is_none(
    said: tuple[str, ...], shown: str, wire: Wire, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    later(lambda: wire.send(*said, CYCLES, PASS))
    error = error_of(wire, model, capsys)
    assert "the board's classifier is of another model file or reference than " in error and shown in error


def test_who_comes_in_between_waits_for_a_round_that_says_its_model(wire: Wire, model: str) -> None:
    later(lambda: wire.send(CYCLES, PASS, MODEL, CYCLES, PASS))
    assert validate(model, wire) == 0


def test_a_pass_that_never_says_its_model_is_none(wire: Wire, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    later(lambda: wire.send(CYCLES, PASS, CYCLES, PASS))
    error = error_of(wire, model, capsys, "--timeout", "1")
    assert f"TINYGEN MODEL; without that: {PASS}. Press the board's reset button, or flash" in error


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_that_does_not_end_is_refused(
    seconds: str, wire: Wire, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        validate(model, wire, f"--timeout={seconds}")
    assert "is not a number of seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("--replay", "run.npz"),
        ("--save-run", "run.npz"),
        ("--inputs", "3"),
        ("--seed", "0"),
        ("--renode", "/opt/renode"),
        ("--emulator", "unicorn"),
    ],
)
def test_options_of_an_emulated_run_are_refused(
    words: tuple[str, str], wire: Wire, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"--port reads what the board tells; leave {words[0]} out." in error_of(wire, model, capsys, *words)


def test_a_time_to_wait_without_a_port_is_refused(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", model, "--board", "nano33", "--timeout", "60"]) == 2
    assert "--timeout says how long to wait at --port or for --emulator renode" in capsys.readouterr().err


def test_a_pass_behind_a_difference_is_no_success(wire: Wire, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    later(lambda: wire.send(DIFFER, MODEL, CYCLES, PASS))
    assert validate(model, wire) == 1
    shown = capsys.readouterr()
    assert shown.out == f"{DIFFER}\n{MODEL}\n{CYCLES}\n{PASS}\n"
    assert f"{wire.port}: the last line says PASS, but something differed before it." in shown.err


@pytest.mark.parametrize(
    "line",
    [
        "TINYGEN PASS classifier",
        "TINYGEN PASS classifier inputs=2",
        "TINYGEN PASS classifier inputs=0 layers=6",
        "TINYGEN PASS classifier inputs=2 layers=0",
        "TINYGEN PASS classifier inputs=2 layers=6 and more",
        "TINYGEN PASS classifier inputs= layers=6",
    ],
)
def test_a_pass_without_its_numbers_is_waited_past(
    line: str, wire: Wire, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    later(lambda: wire.send(line))
    assert f"; the last one was: {line}." in error_of(wire, model, capsys, "--timeout", "1")


def test_a_whole_pass_behind_a_broken_one_counts(wire: Wire, model: str) -> None:
    later(lambda: wire.send("TINYGEN PASS classifier inp\xff\xff", MODEL, CYCLES, PASS))
    assert validate(model, wire) == 0


def test_another_name_is_waited_for(wire: Wire, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.replace("classifier", "mine") for line in (MODEL, PASS)]
    later(lambda: wire.send(*lines))
    assert validate(model, wire, "--name", "mine") == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_a_name_without_a_port_is_refused(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", model, "--board", "nano33", "--name", "mine"]) == 2
    assert "without a port it means nothing" in capsys.readouterr().err


def test_progress_says_to_press_reset(wire: Wire) -> None:
    stages = []
    later(lambda: wire.send(MODEL, PASS))
    with port_module.open_port(wire.port, 9600) as connection:
        read_port(connection, "classifier", timeout_s=20, progress=lambda stage, done, total: stages.append(stage))
    assert set(stages) == {f"waiting at {wire.port}; press the board's reset button"}


def test_without_pyserial_the_remedy_is_told() -> None:
    code = (
        "import sys; sys.modules['serial'] = None\n"
        "from tinygen.validate.port import open_port\n"
        "open_port('/dev/x', 9600)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'ToolError: port /dev/x: pyserial is not installed: pip install "tinygen[serial]".' in done.stderr


def open_files() -> int:
    """How many files this process has open; 0 where the system does not tell."""
    listing = Path("/proc/self/fd")
    return sum(1 for _ in listing.iterdir()) if listing.is_dir() else 0


def test_a_port_is_closed_whatever_happens(wire: Wire) -> None:
    before = open_files()
    with pytest.raises(ToolError, match="did not come"), port_module.open_port(wire.port, 115200) as connection:
        read_port(connection, "kws", timeout_s=0.3, progress=lambda *_: None)
    assert open_files() == before
