"""Counts the instructions of one inference in Unicorn: by a native block callback, or in Python where none compiles."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tinygen.emulate.base import Counts
from tinygen.emulate.cortex_m4 import TAKEN_CYCLES, block_cycles
from tinygen.resources import resource_path
from tinygen.toolchain.cache import cache_dir
from tinygen.toolchain.find import compiler_environment, find_host_compilers

IDLE, RUNNING, IN_HOOK = 0, 1, 2
THUMB, RISCV = 0, 1
CACHE_SLOTS = 65536
LOG_SLOTS = 1 << 16
NO_ADDRESS = (1 << 64) - 1
SLOT_BYTES = 24
CYCLES = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint32)


@dataclass(frozen=True, slots=True)
class Settings:
    """What to count: addresses without Thumb bit, `limit` the instructions of one inference after which to stop."""

    run_entry: int
    hook_entry: int
    limit: int
    link_register: int
    encoding: int
    estimate_cycles: bool = False


class State(ctypes.Structure):
    """count_state_t of firmware/host/count_blocks.c."""

    _fields_ = (
        ("reg_read", ctypes.c_void_p),
        ("mem_read", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
        ("block_cycles", ctypes.c_void_p),
        ("run_entry", ctypes.c_uint64),
        ("hook_entry", ctypes.c_uint64),
        ("limit", ctypes.c_uint64),
        ("link_register", ctypes.c_int32),
        ("encoding", ctypes.c_int32),
        ("taken_cycles", ctypes.c_uint64),
        ("cache", ctypes.c_void_p),
        ("log", ctypes.c_void_p),
        ("log_slots", ctypes.c_uint64),
        ("instructions", ctypes.c_uint64),
        ("cycles", ctypes.c_uint64),
        ("log_used", ctypes.c_uint64),
        ("block_end", ctypes.c_uint64),
        ("run_return", ctypes.c_uint64),
        ("hook_return", ctypes.c_uint64),
        ("state", ctypes.c_int32),
        ("limited", ctypes.c_int32),
    )


class NativeCounter:
    """The compiled callback of one engine."""

    def __init__(self, library: Any, engine: Any, settings: Settings) -> None:
        from unicorn.unicorn_py3 import unicorn as binding

        uclib = binding.uclib
        self._cache = ctypes.create_string_buffer(CACHE_SLOTS * SLOT_BYTES)
        self._log = (ctypes.c_uint64 * (2 * LOG_SLOTS))()
        self._estimates = settings.estimate_cycles
        self._block_cycles = CYCLES(lambda address, size: block_cycles(bytes(engine.mem_read(address, size))))
        self._library = library
        self._state = State(
            reg_read=ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p).value,
            mem_read=ctypes.cast(uclib.uc_mem_read, ctypes.c_void_p).value,
            stop=ctypes.cast(uclib.uc_emu_stop, ctypes.c_void_p).value,
            cache=ctypes.addressof(self._cache),
            log=ctypes.addressof(self._log),
            log_slots=LOG_SLOTS,
            block_cycles=ctypes.cast(self._block_cycles, ctypes.c_void_p).value if self._estimates else None,
            taken_cycles=TAKEN_CYCLES if self._estimates else 0,
            run_entry=settings.run_entry,
            hook_entry=settings.hook_entry,
            limit=settings.limit,
            link_register=settings.link_register,
            encoding=settings.encoding,
        )
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            engine._uch,
            ctypes.byref(handle),
            ctypes.c_int(8),  # UC_HOOK_BLOCK
            ctypes.cast(library.tinygen_count_block, ctypes.c_void_p),
            ctypes.byref(self._state),
            ctypes.c_uint64(1),
            ctypes.c_uint64(0),
        )
        if status != 0:
            raise OSError(f"uc_hook_add: status {status}")

    @property
    def instructions(self) -> int:
        """Of the inference that runs or ran last."""
        return int(self._state.instructions)

    @property
    def limited(self) -> bool:
        """Whether the instruction bound ended the run."""
        return bool(self._state.limited)

    def counts(self) -> Counts:
        """Of the last inference; without marks when there were too many."""
        used = int(self._state.log_used)
        log = None if used > LOG_SLOTS else self._log[: 2 * used]
        cycles = int(self._state.cycles) if self._estimates else None
        marks = None if log is None else tuple(log[::2])
        return Counts(
            self.instructions, marks, cycles, tuple(log[1::2]) if log is not None and self._estimates else None
        )


class PythonCounter:
    """The same in Python, sixty times slower, for machines without any C compiler."""

    def __init__(self, engine: Any, settings: Settings) -> None:
        from unicorn import UC_HOOK_BLOCK

        self._s = settings
        self._state = IDLE
        self._run_return = self._hook_return = 0
        self._known: dict[tuple[int, int], tuple[int, int]] = {}
        self._log: list[tuple[int, int]] = []
        self._block_end = self._cycles = 0
        self.instructions = 0
        self.limited = False
        engine.hook_add(UC_HOOK_BLOCK, self._block)

    def counts(self) -> Counts:
        """Of the last inference."""
        marks = tuple(instructions for instructions, _ in self._log)
        if not self._s.estimate_cycles:
            return Counts(self.instructions, marks)
        return Counts(self.instructions, marks, self._cycles, tuple(cycles for _, cycles in self._log))

    def _block(self, engine: Any, address: int, size: int, _user: object) -> None:
        s = self._s
        if self._state == RUNNING:
            if address == self._run_return:
                self._state = IDLE
                return
            if address == s.hook_entry:
                self._state = IN_HOOK
                self._hook_return = engine.reg_read(s.link_register) & ~1
                self._log.append((self.instructions, self._cycles))
                return
        elif self._state == IN_HOOK:
            if address != self._hook_return:
                return
            if address == self._run_return:  # the run function may end in a jump to the hook
                self._state = IDLE
                return
            self._state = RUNNING
        else:
            if address != s.run_entry:
                return
            self._state = RUNNING
            self.instructions = self._cycles = 0
            self._log = []
            self._block_end = address
            self._run_return = engine.reg_read(s.link_register) & ~1
        key = (address, size)
        known = self._known.get(key)
        if known is None:
            code = bytes(engine.mem_read(address, size))
            cycles = block_cycles(code) if s.estimate_cycles else 0
            known = self._known[key] = count_instructions(code, s.encoding), cycles
        self.instructions += known[0]
        self._cycles += known[1] + (TAKEN_CYCLES if address != self._block_end else 0)
        self._block_end = address + size
        if self.instructions > s.limit and not self.limited:
            self.limited = True
            engine.emu_stop()


def count_instructions(code: bytes, encoding: int) -> int:
    """Instructions in a block of Thumb or compressed RISC-V code."""
    at = count = 0
    while at < len(code):
        if encoding == THUMB:
            at += 4 if at + 1 < len(code) and code[at + 1] >> 3 >= 0x1D else 2
        else:
            at += 4 if code[at] & 3 == 3 else 2
        count += 1
    return count


def make_counter(engine: Any, settings: Settings) -> NativeCounter | PythonCounter:
    """The native counter where it can be had, else the Python one."""
    library = native_library()
    if library is not None:
        try:
            return NativeCounter(library, engine, settings)
        except (OSError, AttributeError):
            pass  # another Unicorn binding than the one this was written for: slow, but right
    return PythonCounter(engine, settings)


@cache
def native_library() -> Any | None:
    """The compiled callback from the user's cache, compiled now when it is not there yet; None without a compiler."""
    path = native_file("count_blocks.c", importlib.metadata.version("unicorn"))
    if path is None:
        return None
    try:
        library = ctypes.CDLL(str(path))
        _ = library.tinygen_count_block
        return library
    except (OSError, AttributeError):
        return None


def native_file(name: str, made_for: str, options: tuple[str, ...] = ()) -> Path | None:
    """A shared library from a file of firmware/host, for one version of what loads it; None without a compiler."""
    source = resource_path("firmware") / "host" / name
    parts = (made_for, sys.platform, str(ctypes.sizeof(ctypes.c_void_p)), *options)
    key = hashlib.sha256(source.read_bytes() + "".join(parts).encode()).hexdigest()[:20]
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    path = cache_dir() / f"{source.stem.replace('_', '-')}-{key}{suffix}"
    return path if path.is_file() or _compile(source, path, options) else None


def _compile(source: Path, path: Path, options: tuple[str, ...]) -> bool:
    """Compiles next to the goal and renames, so that two processes never see half a file."""
    for compiler in find_host_compilers():
        with tempfile.TemporaryDirectory(prefix="count-", dir=path.parent) as folder:
            built = Path(folder) / path.name
            command = (*compiler, "-O2", "-shared", "-fPIC", "-std=c99", *options, str(source), "-o", str(built))
            try:
                done = subprocess.run(
                    command,
                    capture_output=True,
                    timeout=300,
                    stdin=subprocess.DEVNULL,
                    env=compiler_environment(Path(folder)),
                    cwd=folder,
                )
            except (OSError, subprocess.TimeoutExpired):
                continue
            if done.returncode == 0 and built.is_file():
                built.replace(path)
                return True
    return False
