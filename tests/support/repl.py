"""Checks Renode platform files without Renode: syntax, known types and properties, no overlap."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

NUMBER, BOOLEAN, TEXT = r"0x[0-9A-F]+|\d+", "true|false", r'"[^"]*"'
NVIC, CLINT = "IRQControllers.NVIC", "IRQControllers.CoreLevelInterruptor"

# Type → (properties it may have, with the form of their values or the type they refer to; bytes it takes on the bus, or
# None where a property says so), from Renode 1.16.1.
KNOWN: dict[str, tuple[dict[str, str], int | None]] = {
    "CPU.CortexM": ({"cpuType": TEXT, "PerformanceInMips": NUMBER, "nvic": NVIC}, 0),
    "CPU.RiscV32": ({"cpuType": TEXT, "PerformanceInMips": NUMBER, "timeProvider": CLINT}, 0),
    "CPU.Xtensa": ({"cpuType": TEXT, "PerformanceInMips": NUMBER, "frequency": NUMBER}, 0),
    CLINT: ({"frequency": NUMBER}, 0x10000),
    NVIC: ({"priorityMask": NUMBER, "systickFrequency": NUMBER}, 0x1000),
    "Memory.ArrayMemory": ({"size": NUMBER}, None),
    "Memory.MappedMemory": ({"size": NUMBER}, None),
    "Miscellaneous.DWT": ({"frequency": NUMBER}, 0x1000),
    "UART.CMSDK_APB_UART": ({"frequency": NUMBER}, 0x1000),
    "UART.ESP32_UART": ({}, 0x100),
    "UART.NRF52840_UART": ({"easyDMA": BOOLEAN}, 0x1000),
    "UART.NS16550": ({"wideRegisters": BOOLEAN}, 0x100),
    "UART.PL011": ({"fifoSize": NUMBER, "frequency": NUMBER}, 0x1000),
    "UART.STM32F7_USART": ({"frequency": NUMBER, "lowPowerMode": BOOLEAN}, 0x400),
    "UART.STM32_UART": ({}, 0x100),
}
REQUIRED = {
    "CPU.CortexM": {"cpuType", "nvic"},
    "CPU.RiscV32": {"cpuType", "timeProvider"},
    "CPU.Xtensa": {"cpuType", "frequency"},
    "Memory.ArrayMemory": {"size"},
    "Memory.MappedMemory": {"size"},
    "UART.STM32F7_USART": {"frequency"},
}
CPU_TYPES = {
    "CPU.CortexM": set("cortex-m0 cortex-m0+ cortex-m3 cortex-m4 cortex-m4f cortex-m7 cortex-m33 cortex-m55".split()),
    "CPU.RiscV32": {"rv32imc_zicsr"},
    "CPU.Xtensa": {"esp32", "esp32s3"},
}
FIXED = {NVIC: 0xE000E000, "Miscellaneous.DWT": 0xE0001000}
"""Where Armv6-M to Armv8-M have them."""
MOST = {"priorityMask": 0xFF, "PerformanceInMips": 10_000, "fifoSize": 1024}
"""Of a number; of all others what 32 bits hold. None is 0."""
INTERRUPTING = {NVIC, CLINT}
"""Types that are connected to the core; no other is."""
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
    targets: list[str] = field(default_factory=list)

    def span(self) -> tuple[int, int]:
        """The first address and the one behind the last."""
        assert self.origin is not None
        size = int(self.properties["size"], 16) if "size" in self.properties else self.size_bytes or KNOWN[self.type][1]
        assert size is not None
        return self.origin, self.origin + size


def parse(text: str) -> list[Entry]:
    """The entries of a platform file. Raises AssertionError at a line that Renode would not read."""
    entries: list[Entry] = []
    for line in text.splitlines():
        if not line or line.startswith("//"):
            continue
        if match := ENTRY.fullmatch(line):
            name, kind, at = match.groups()
            numbers = [int(number, 16) for number in re.findall(r"0x[0-9A-F]+", at or "")]
            origin, size_bytes = [*numbers, None, None][:2]
            entries.append(Entry(name, kind, origin, size_bytes))
        elif match := CONNECTION.fullmatch(line):
            assert entries, f"of nothing: {line!r}"
            entries[-1].targets.append(match[1])
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
    return entries


def check(text: str) -> list[Entry]:
    """The entries, when types, properties, values and connections are of those known and nothing overlaps."""
    entries = parse(text)
    types = {entry.name: entry.type for entry in entries}
    for entry in entries:
        assert entry.type in KNOWN, f"unknown type {entry.type}"
        missing = REQUIRED.get(entry.type, set()) - set(entry.properties)
        assert not missing, f"{entry.name}: missing {missing}"
        for name, value in entry.properties.items():
            form = KNOWN[entry.type][0].get(name)
            assert form, f"{entry.name}: unknown property {name}"
            good = types.get(value) == form if form in KNOWN else re.fullmatch(form, value)
            assert good, f"{entry.name}: {name} is {value}"
            if form == NUMBER:
                assert 0 < int(value, 0) <= MOST.get(name, (1 << 32) - 1), f"{entry.name}: {name} is {value}"
        _check_place(entry)
        if entry.type in CPU_TYPES:
            core = entry.properties["cpuType"].strip('"')
            assert core in CPU_TYPES[entry.type], f"{entry.name}: a {entry.type} is no {core}"
        cores = [types.get(target) in CPU_TYPES for target in entry.targets]
        assert cores == ([True] if entry.type in INTERRUPTING else []), f"{entry.name}: leads to {entry.targets}"
    spans = sorted((*entry.span(), entry.name) for entry in entries if entry.origin is not None)
    for (_, end, low), (begin, _, high) in itertools.pairwise(spans):
        assert end <= begin, f"{low} reaches into {high}"
    return entries


def _check_place(entry: Entry) -> None:
    """A core has no address; all else has one, on a word, and some bytes below 4 GiB."""
    assert (entry.origin is None) == (entry.type in CPU_TYPES), f"{entry.name}: at {entry.origin}"
    if entry.origin is not None:
        begin, end = entry.span()
        assert begin == FIXED.get(entry.type, begin), f"{entry.name}: at {begin:#x}"
        assert begin % 4 == 0 and begin < end <= 1 << 32, f"{entry.name}: {begin:#x} to {end:#x}"
