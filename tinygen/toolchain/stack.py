"""Worst-case stack of a function: frame sizes from the compiler, the call graph from the object's relocations.

With -ffunction-sections every function has a section of its own, so every call and every function's address that is
taken leaves a relocation. An address that is taken counts as a call, also when it lies in a constant table, so a call
through a pointer is covered as well as one by name: the result is an upper bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinygen.targets import Family
from tinygen.toolchain.elf import ALLOC, EXECUTE, open_elf
from tinygen.toolchain.find import Toolchain

# Functions that generated C may call but does not contain. Their frames are the library's business; this bound holds
# for ours and for libgcc's integer helpers on every target here (soft 64-bit division being the deepest).
RUNTIME_HELPER_BYTES = 96
_RUNTIME = re.compile(r"mem(cpy|set|move|cmp)|__\w+")
# Linkers' and compilers' labels that are no calls.
_IGNORED = re.compile(r"\$.*|\.L.*|_GLOBAL_OFFSET_TABLE_|__aeabi_unwind_cpp_pr[012]|")


_PUSH = re.compile(r'"push \{([^}]*)\}')
_LOWER = re.compile(r'"sub sp, sp, #(\d+)')
_CLONE_NUMBER = re.compile(r"\.\d+(?=\.|$)")


@dataclass(frozen=True, slots=True)
class Frame:
    """Stack bytes of one function's own frame; unbounded when it holds an array of variable length."""

    stack_bytes: int
    bounded: bool


@dataclass(frozen=True, slots=True)
class Stack:
    """The most that a function and what it calls take of the stack, and the calls that do, the function first."""

    stack_bytes: int
    calls: tuple[str, ...]


def stack_bound(directory: Path, name: str, toolchain: Toolchain) -> Stack | None:
    """The most stack of one inference, below its caller's; None where the calls cannot all be known.

    `directory` holds NAME.c and the objects of it and of NAME_weights.c, compiled with `stack_options`.
    """
    code, constants = directory / f"{name}.o", directory / f"{name}_weights.o"
    zig = toolchain.family is Family.ZIG
    frames = frames_from_section(code) if zig else frames_from_su(directory / f"{name}.su")
    depths = [worst_stack(code, root, frames, constants) for root in _roots(code, name)]
    known = [depth for depth in depths if depth is not None]
    if len(known) < len(depths):
        return None
    deepest = max(known, key=lambda stack: stack.stack_bytes)
    pushed = pushed_bytes((directory / f"{name}.c").read_text(encoding="utf-8"))
    return replace(deepest, stack_bytes=deepest.stack_bytes + pushed)


def _roots(code: Path, name: str) -> tuple[str, ...]:
    """The functions that the caller runs the model by: one, or those that take an input row by row."""
    by_rows = (f"{name}_begin", f"{name}_push_row", f"{name}_finish")
    return by_rows if f"{name}_push_row" in _defined(code) else (f"{name}_run",)


def pushed_bytes(text: str) -> int:
    """What assembly takes of the stack at most, of which no compiler knows; such code calls no function."""
    most = 0
    for registers in _PUSH.findall(text):
        ranges = [[int(n) for n in re.findall(r"\d+", part)] or [0] for part in registers.split(",")]
        most = max(most, sum(4 * (numbers[-1] - numbers[0] + 1) for numbers in ranges))
    return most + max(map(int, _LOWER.findall(text)), default=0)


def frames_from_su(path: Path) -> dict[str, Frame]:
    """Frames from GCC's .su file: `file.c:12:13:function<TAB>24<TAB>static`."""
    frames: dict[str, Frame] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        where, size, kind = line.split("\t")
        name = where.rpartition(":")[2]
        # "dynamic,bounded" is a bound too; plain "dynamic" is not.
        frame = Frame(int(size), kind != "dynamic")
        # Clones of one function (constprop, part, isra) share a name here: the worst of them stands for all.
        other = frames.get(name, frame)
        frames[name] = Frame(max(frame.stack_bytes, other.stack_bytes), frame.bounded and other.bounded)
    return frames


def frames_from_section(path: Path) -> dict[str, Frame]:
    """Frames from clang's .stack_sizes sections: an address (by relocation) and a ULEB128 size each."""
    frames: dict[str, Frame] = {}
    with open_elf(path) as elf:
        symbols = elf.get_section_by_name(".symtab")
        functions = _functions(elf)
        for relocations in _relocation_sections(elf):
            section = elf.get_section(relocations["sh_info"])
            if not section.name.startswith(".stack_sizes"):
                continue
            data = section.data()
            for relocation in relocations.iter_relocations():
                symbol = symbols.get_symbol(relocation["r_info_sym"])
                size = _uleb128(data, relocation["r_offset"] + 4)
                for name in _names(symbol, functions):
                    frames[name] = Frame(size, bounded=True)
    return frames


def worst_stack(path: Path, root: str, frames: dict[str, Frame], data_path: Path) -> Stack | None:
    """The deepest path from `root`; None for recursion, unbounded frames or calls to unknown functions.

    An undefined symbol does not tell whether it is a function; what `data_path` defines is data.
    """
    with open_elf(path) as elf:
        functions = _functions(elf)
        edges = _edges(elf, functions)
    constants = _defined(data_path)
    section_of = {name: section for section, names in functions.items() for name in names}
    done: dict[str, Stack | None] = {}

    def depth(name: str, above: frozenset[str]) -> Stack | None:
        if name in done:
            return done[name]
        if name not in section_of:
            return Stack(RUNTIME_HELPER_BYTES, (name,)) if _RUNTIME.fullmatch(name) else None
        # GCC makes functions of equal code aliases of one, and tells that one's frame: all names of a section share it.
        frame = frame_of(name, frames) or next(
            (known for alias in functions[section_of[name]] if (known := frame_of(alias, frames))), None
        )
        if frame is None or not frame.bounded or name in above:
            return None
        deepest = Stack(0, ())
        if name in edges.get(section_of[name], ()):
            return None  # it calls itself
        for callee in _reachable(section_of[name], edges):
            if callee == name or callee in constants:
                continue  # its own address, from a jump table; true recursion comes back through another name
            below = depth(callee, above | {name})
            if below is None:
                return None
            deepest = max(deepest, below, key=lambda stack: stack.stack_bytes)
        done[name] = Stack(frame.stack_bytes + deepest.stack_bytes, (name, *deepest.calls))
        return done[name]

    return depth(root, frozenset())


def frame_of(name: str, frames: dict[str, Frame]) -> Frame | None:
    """GCC numbers clones in the object (f.constprop.0.isra.0, on Xtensa f$constprop$0$isra$0), not in the .su file
    (f.constprop.isra)."""
    return frames.get(name) or frames.get(_CLONE_NUMBER.sub("", name.replace("$", ".")))


def _reachable(section: int, edges: dict[int, set[int | str]]) -> set[str]:
    """Functions that a section refers to, directly or through constants."""
    names: set[str] = set()
    seen = {section}
    open_sections = [section]
    while open_sections:
        for target in edges.get(open_sections.pop(), ()):
            if isinstance(target, str):
                names.add(target)
            elif target not in seen:
                seen.add(target)
                open_sections.append(target)
    return names


def _functions(elf: Any) -> dict[int, list[str]]:
    """Section index → functions in it."""
    functions: dict[int, list[str]] = {}
    for symbol in elf.get_section_by_name(".symtab").iter_symbols():
        if symbol["st_info"]["type"] == "STT_FUNC" and isinstance(symbol["st_shndx"], int):
            functions.setdefault(symbol["st_shndx"], []).append(symbol.name)
    return functions


def _defined(path: Path) -> set[str]:
    with open_elf(path) as elf:
        symbols = elf.get_section_by_name(".symtab")
        return {symbol.name for symbol in symbols.iter_symbols() if symbol["st_shndx"] != "SHN_UNDEF"}


def _relocation_sections(elf: Any) -> list[Any]:
    return [s for s in elf.iter_sections() if s["sh_type"] in ("SHT_REL", "SHT_RELA")]


def _edges(elf: Any, functions: dict[int, list[str]]) -> dict[int, set[int | str]]:
    """Section index → what its relocations refer to: function names, or indices of sections with constants."""
    symbols = elf.get_section_by_name(".symtab")
    executable = {index for index, s in enumerate(elf.iter_sections()) if s["sh_flags"] & EXECUTE}
    edges: dict[int, set[int | str]] = {}
    for relocations in _relocation_sections(elf):
        source = relocations["sh_info"]
        if not elf.get_section(source)["sh_flags"] & ALLOC:  # debug data and the like
            continue
        targets = edges.setdefault(source, set())
        for relocation in relocations.iter_relocations():
            symbol = symbols.get_symbol(relocation["r_info_sym"])
            index = symbol["st_shndx"]
            if not isinstance(index, int):
                outside = index == "SHN_UNDEF" and not _IGNORED.fullmatch(symbol.name)
                if outside and symbol["st_info"]["type"] != "STT_OBJECT":
                    targets.add(symbol.name)
            elif index not in executable or index not in functions:
                targets.add(index)
            elif index != source:
                targets.update(_names(symbol, functions))
            elif symbol["st_info"]["type"] == "STT_FUNC":
                targets.add(symbol.name)
    # Xtensa's literals, the addresses that code loads to call them, may have an executable section of their own.
    for source in functions:
        for index in executable & {target for target in edges.get(source, ()) if isinstance(target, int)}:
            edges[source] |= edges.get(index, set())
    return edges


def _names(symbol: Any, functions: dict[int, list[str]]) -> list[str]:
    """The functions that a symbol stands for: itself, or those of the section that it names."""
    if symbol["st_info"]["type"] == "STT_FUNC":
        return [symbol.name]
    index = symbol["st_shndx"]
    return functions.get(index, []) if isinstance(index, int) else []


def _uleb128(data: bytes, at: int) -> int:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return value
        at += 1
        shift += 7
