"""Names for addresses: the ELF file's symbol table and loadable parts."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path

from tinygen.errors import EmulatorError
from tinygen.toolchain.elf import open_elf


@dataclass(frozen=True, slots=True)
class Image:
    """What has to be loaded, and what lies where."""

    entry: int
    segments: tuple[tuple[int, bytes], ...]  # load address, content
    symbols: dict[str, int]
    function_starts: tuple[int, ...]  # sorted
    function_names: tuple[str, ...]
    function_ends: tuple[int, ...]

    def function_at(self, address: int) -> str | None:
        """The function that an address lies in; the Thumb bit is ignored."""
        index = bisect.bisect_right(self.function_starts, address & ~1) - 1
        if index < 0 or (address & ~1) >= self.function_ends[index]:
            return None
        return self.function_names[index]

    def symbol(self, name: str) -> int:
        """A symbol's address without Thumb bit."""
        if name not in self.symbols:
            raise EmulatorError(f"firmware: the symbol {name} is missing from the ELF file; was it stripped?")
        return self.symbols[name] & ~1


def read_image(path: Path) -> Image:
    """Loads the parts of an ELF file that emulators need."""
    try:
        with open_elf(path) as elf:
            segments = tuple(
                (segment["p_paddr"], segment.data())
                for segment in elf.iter_segments()
                if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]
            )
            table = elf.get_section_by_name(".symtab")
            symbols: dict[str, int] = {}
            functions: list[tuple[int, int, str]] = []
            for symbol in table.iter_symbols() if table else ():
                if not symbol.name:
                    continue
                symbols[symbol.name] = symbol["st_value"]
                if symbol["st_info"]["type"] == "STT_FUNC":
                    start = symbol["st_value"] & ~1
                    functions.append((start, start + max(symbol["st_size"], 2), symbol.name))
            functions.sort()
            return Image(
                entry=elf["e_entry"],
                segments=segments,
                symbols=symbols,
                function_starts=tuple(f[0] for f in functions),
                function_names=tuple(f[2] for f in functions),
                function_ends=tuple(f[1] for f in functions),
            )
    except OSError as error:
        raise EmulatorError(f"{path.name}: the firmware cannot be read: {error}.") from error
