"""Checks Renode platform files without Renode: syntax, known types and properties, no overlap."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

# Type → (properties it may have, bytes it takes on the bus or None where a property says so), from Renode 1.16.1.
KNOWN: dict[str, tuple[frozenset[str], int | None]] = {
    "CPU.CortexM": (frozenset({"cpuType", "PerformanceInMips", "nvic"}), 0),
    "CPU.RiscV32": (frozenset({"cpuType", "PerformanceInMips", "timeProvider"}), 0),
    "CPU.Xtensa": (frozenset({"cpuType", "PerformanceInMips", "frequency"}), 0),
    "IRQControllers.CoreLevelInterruptor": (frozenset({"frequency"}), 0x10000),
    "IRQControllers.NVIC": (frozenset({"priorityMask", "systickFrequency"}), 0x1000),
    "Memory.ArrayMemory": (frozenset({"size"}), None),
    "Memory.MappedMemory": (frozenset({"size"}), None),
    "Miscellaneous.DWT": (frozenset({"frequency"}), 0x1000),
    "UART.CMSDK_APB_UART": (frozenset({"frequency"}), 0x1000),
    "UART.ESP32_UART": (frozenset(), 0x100),
    "UART.NRF52840_UART": (frozenset({"easyDMA"}), 0x1000),
    "UART.NS16550": (frozenset({"wideRegisters"}), 0x100),
    "UART.PL011": (frozenset({"fifoSize", "frequency"}), 0x1000),
    "UART.STM32F7_USART": (frozenset({"frequency", "lowPowerMode"}), 0x400),
    "UART.STM32_UART": (frozenset(), 0x100),
}
REQUIRED = {
    "CPU.CortexM": {"cpuType", "nvic"},
    "CPU.RiscV32": {"cpuType", "timeProvider"},
    "CPU.Xtensa": {"cpuType", "frequency"},
    "Memory.ArrayMemory": {"size"},
    "Memory.MappedMemory": {"size"},
    "UART.STM32F7_USART": {"frequency"},
}
CPU_TYPES = frozenset(
    "cortex-m0 cortex-m0+ cortex-m3 cortex-m4 cortex-m4f cortex-m7 cortex-m33 cortex-m55 rv32imc_zicsr esp32 "
    "esp32s3".split()
)
KEYWORDS = frozenset("using new as preinit init reset local true True false False none empty".split())
ENTRY = re.compile(r"([A-Za-z][A-Za-z0-9_]*): ([A-Z]\w*\.\w+) @ sysbus(?: (0x[0-9A-F]+|<0x[0-9A-F]+, \+0x[0-9A-F]+>))?")
PROPERTY = re.compile(r"    (\w+): (\S.*)")
CONNECTION = re.compile(r"    (?:IRQ|\[[\d,]+\]) -> (\w+)@(?:\d+|\[[\d,]+\])")


@dataclass
class Entry:
    """One peripheral of a platform file."""

    name: str
    type: str
    origin: int | None
    size_bytes: int | None
    properties: dict[str, str] = field(default_factory=dict)

    def span(self) -> tuple[int, int]:
        """The first address and the one behind the last."""
        assert self.origin is not None
        size = int(self.properties["size"], 16) if "size" in self.properties else self.size_bytes or KNOWN[self.type][1]
        assert size is not None
        return self.origin, self.origin + size


def parse(text: str) -> list[Entry]:
    """The entries of a platform file. Raises AssertionError at a line that Renode would not read."""
    entries: list[Entry] = []
    targets: set[str] = set()
    for line in text.splitlines():
        if not line or line.startswith("//"):
            continue
        if match := ENTRY.fullmatch(line):
            name, kind, at = match.groups()
            numbers = [int(number, 16) for number in re.findall(r"0x[0-9A-F]+", at or "")]
            origin, size_bytes = [*numbers, None, None][:2]
            entries.append(Entry(name, kind, origin, size_bytes))
        elif match := CONNECTION.fullmatch(line):
            targets.add(match[1])
        else:
            match = PROPERTY.fullmatch(line)
            assert match and entries, f"not understood: {line!r}"
            assert match[1] not in entries[-1].properties, f"twice: {line!r}"
            entries[-1].properties[match[1]] = match[2]
    names = [entry.name for entry in entries]
    assert "'''" not in text, "three quotes begin a string, in a comment too"
    assert not KEYWORDS & set(names), f"a keyword is no name: {names}"
    assert "sysbus" not in names, "the bus is called so"
    assert len(set(names)) == len(names), f"a name stands twice: {names}"
    assert targets <= set(names), f"connections lead nowhere: {targets - set(names)}"
    return entries


def check(text: str) -> list[Entry]:
    """The entries, when every type and property is known and nothing overlaps."""
    entries = parse(text)
    for entry in entries:
        assert entry.type in KNOWN, f"unknown type {entry.type}"
        unknown = set(entry.properties) - KNOWN[entry.type][0]
        assert not unknown, f"{entry.name}: unknown properties {unknown}"
        missing = REQUIRED.get(entry.type, set()) - set(entry.properties)
        assert not missing, f"{entry.name}: missing {missing}"
        if "cpuType" in entry.properties:
            assert entry.properties["cpuType"].strip('"') in CPU_TYPES
    spans = sorted((*entry.span(), entry.name) for entry in entries if entry.origin is not None)
    for (_, end, low), (begin, _, high) in itertools.pairwise(spans):
        assert end <= begin, f"{low} reaches into {high}"
    return entries
