"""Renode's Robot keywords as far as our tests use them, with Unicorn in Renode's place.

A dry run checks names and arguments. A real run takes the platform file that we wrote through the checker, loads the
firmware, runs it, and answers from what its console printed; Unicorn has no model of Renode's bus, so nothing is ever
in the log but the hooks' lines, and a cycle counter that the self-test looks for and the platform does not have. In the
place of Renode's own platform files stand ours without that counter: what Renode 1.16.1's lack. Signatures: Renode
1.16.1, RenodeKeywords.cs, UartKeywords.cs.
"""

import re
import shlex
from pathlib import Path

from robot.utils import DotDict

from tests.support import repl
from tinygen.boards import board_names, load_board
from tinygen.export.renode import platform_text
from tinygen.targets import Architecture

CYCLE_COUNTER = "Miscellaneous.DWT"


class renode_keywords:
    """Robot finds a library by its module's name."""

    ROBOT_LIBRARY_SCOPE = "GLOBAL"

    def __init__(self) -> None:
        self.reset_emulation()

    def reset_emulation(self) -> None:
        """Forgets every machine; renode-test does it before each test."""
        self.machine = self.uart = self.elf = None
        self.board = ""
        self.hooks: dict[int, str] = {}
        self.lines: list[str] = []
        self.log: list[str] = []
        self.is_started = False

    def execute_command(self, command, machine=None):  # type: ignore[no-untyped-def]
        """Runs a command of the Monitor. What it does not know is a fault of the test, as in Renode."""
        words = shlex.split(command)
        what = " ".join(words[:2])
        if what == "mach create":
            (self.machine,) = words[2:]
        elif what == "machine LoadPlatformDescription":
            path = Path(words[2].removeprefix("@"))
            assert self.machine and command.split(" ", 2)[2][0] in '"@', command
            stock = {load_board(name).emulation.renode_platform: name for name in board_names()}
            self.board = stock.get(path.as_posix(), path.stem)
            is_stock = self.board != path.stem
            text = platform_text(load_board(self.board)) if is_stock else path.read_text(encoding="utf-8")
            self.entries = {e.name: e for e in repl.check(text) if not (is_stock and e.type == CYCLE_COUNTER)}
        elif what == "machine LoadPlatformDescriptionFromString":
            (entry,) = repl.check(re.sub(r" \{ (.*) \}", r"\n    \1", words[2]))
            assert entry.name not in self.entries and entry.type not in {e.type for e in self.entries.values()}
            self.entries[entry.name] = entry
        elif what == "sysbus.cpu PerformanceInMips":
            assert self.entries["cpu"] and int(words[2]) > 0
        elif what == "sysbus LoadELF":
            assert self.entries and not self.is_started
            self.elf = Path(words[2].removeprefix("@"))
            assert self.elf.is_file(), "Parameters did not match the signature"
        elif what == "sysbus WriteDoubleWord":
            address, _ = (int(word, 16) for word in words[2:])
            spans = [entry.span() for entry in self.entries.values() if entry.origin is not None]
            assert any(low <= address < high for low, high in spans), command
        elif what == "sysbus.cpu AddHook":
            address, script = words[2:]
            count = r"self\.ExecutedInstructions(?: \+ 1)?"
            call = re.fullmatch(rf"self\.Log\(LogLevel\.Info, '(.*)' \+ str\({count}\)\)", script)
            assert call, script
            self.hooks[int(address, 16)] = call[1]
        else:
            raise AssertionError(f"No such command or device: {words[0]}")

    def create_log_tester(self, timeout, defaultPauseEmulation=None):  # type: ignore[no-untyped-def]
        """Watches the log."""
        assert float(timeout) == 0

    def create_terminal_tester(self, uart, timeout=None, machine=None, defaultPauseEmulation=None):  # type: ignore[no-untyped-def]
        """Watches a UART."""
        assert not self.is_started and float(timeout) > 0
        entry = self.entries[uart.removeprefix("sysbus.")]
        assert entry.type.startswith("UART.")
        self.uart = entry

    def start_emulation(self):  # type: ignore[no-untyped-def]
        """Starts all machines."""
        from tests.support.in_unicorn import run_elf

        self.is_started = True
        target = load_board(self.board).target
        has_counter = target.architecture is Architecture.ARM_M and "div" in target.features
        if has_counter and CYCLE_COUNTER not in {entry.type for entry in self.entries.values()}:
            self.log.append("sysbus: WriteDoubleWord to non existing peripheral at 0xE0001004, value 0x0.")
        result = run_elf(self.elf, self.board)
        self.lines = list(result.lines)
        if self.hooks:
            begin, end = (next(t for t in self.hooks.values() if word in t) for word in ("begins", "ends"))
            counts = [(begin, 100), (end, 101), (begin, 1000), (end, 1000 + (result.instructions or 0))]
            self.log += [f"cpu: {text}{count}" for text, count in counts]

    def wait_for_line_on_uart(self, content, timeout=None, testerId=None, treatAsRegex=False, pauseEmulation=None):  # type: ignore[no-untyped-def]
        """Waits for a line; those before it are passed over."""
        assert self.uart and treatAsRegex
        while self.lines:
            line = self.lines.pop(0)
            if match := re.search(content, line):
                return DotDict(Line=line, Timestamp=0.0, Groups=list(match.groups()))
        raise AssertionError(f"Terminal tester failed! >>{content}<<")

    def wait_for_log_entry(self, pattern, timeout=None, keep=False, treatAsRegex=False):  # type: ignore[no-untyped-def]
        """Finds an entry and forgets those up to it."""
        while self.log:
            entry = self.log.pop(0)
            if pattern in entry:
                return entry
        raise AssertionError(f'Expected pattern "{pattern}" did not appear in the log')

    def should_not_be_in_log(self, pattern, timeout=None, treatAsRegex=False):  # type: ignore[no-untyped-def]
        """Fails when the log holds the text."""
        assert not [entry for entry in self.log if pattern in entry]
