"""Identifiers and comments that nothing in a model file can break out of."""

from __future__ import annotations

import re

C_AND_CPP_KEYWORDS = frozenset(
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class compl const "
    "constexpr const_cast continue decltype default delete do double dynamic_cast else enum explicit export extern "
    "false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or "
    "or_eq private protected public register reinterpret_cast restrict return short signed sizeof static "
    "static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename "
    "union unsigned using virtual void volatile wchar_t while xor xor_eq main "
    "char8_t co_await co_return co_yield concept consteval constinit contract_assert requires typeof "
    "typeof_unqual".split()
)
# A file NAME.h must not stand before a header of the C library or of the compiler, nor before the firmware's own.
HEADERS = frozenset(
    "alloca assert complex ctype endian errno features fcntl fenv float inttypes iso646 limits locale malloc math "
    "memory pthread sched search setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib "
    "stdnoreturn string strings tgmath threads time uchar unistd wchar wctype".split()
)
# What exported projects call their own: folders, headers and targets that a model of that name would meet.
PROJECT_NAMES = frozenset(
    "app arduino build cmake components cycles driver examples include kconfig lib log main manifest memory renode "
    "samples selftest selftests src test tests tinygen zephyr".split()
)
PROJECT_PREFIXES = ("tinygen_", "cycles_")
LONGEST = 40


def is_c_identifier(text: str) -> bool:
    """Whether the text can be the prefix of C and C++ names as it stands."""
    lower = text.lower()
    reserved = text in C_AND_CPP_KEYWORDS or lower in HEADERS | PROJECT_NAMES or lower.startswith(PROJECT_PREFIXES)
    if len(text) > LONGEST:
        return False
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text, re.ASCII) is not None and not reserved


def c_identifier(text: str) -> str:
    """A lower-case C identifier from any text: `Kws model-v2` becomes `kws_model_v2`, `2x` becomes `model_2x`."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower(), flags=re.ASCII).strip("_")[:LONGEST].rstrip("_")
    return name if is_c_identifier(name) else f"model_{name}".rstrip("_")


def comment_text(text: str) -> str:
    """Text that can stand in a C comment: printable ASCII without what ends or continues one."""
    return re.sub(r"[^A-Za-z0-9 _.,:;=+()\[\]<>/-]", "_", text, flags=re.ASCII).replace("//", "/_")[:80]
