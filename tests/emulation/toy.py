"""A model of two layers written by hand in the shape of generated C, with a place for one wrong statement."""

from __future__ import annotations

from tinygen.emulate import Job

NAME = "toy"
INPUT_BYTES = 32
OUTPUT_BYTES = 4
ARENA_BYTES = 99  # odd on purpose: guards must begin at the very next byte

HEADER = f"""\
#ifndef TOY_H
#define TOY_H
#include <stdint.h>
#define TOY_ARENA_BYTES {ARENA_BYTES}
#define TOY_ARENA_ALIGN 16
void toy_run(void *arena);
void *toy_input(void *arena, int32_t index);
void *toy_output(void *arena, int32_t index);
#ifdef TINYGEN_VALIDATE
void toy_validate_step(int32_t layer, int32_t output, const void *base, int32_t row_stride, int32_t ring_rows,
                           int32_t row_bytes, int32_t row_begin, int32_t row_end);
#define TOY_STEP(...) toy_validate_step(__VA_ARGS__)
#else
#define TOY_STEP(...) ((void)0)
#endif
#endif
"""

WEIGHT_VALUES = tuple(range(-16, 16))
WEIGHTS = f"""\
#include <stdint.h>
extern const int8_t toy_weights[32];
const int8_t toy_weights[32] = {{{", ".join(map(str, WEIGHT_VALUES))}}};
"""

# Layer 0 leaves its four rows in a ring of three slots with a gap behind each row; layer 1 is dense and copies.
SOURCE = """\
#include "toy.h"

#include <string.h>

extern const int8_t toy_weights[32];

static void scale(const int8_t *in, int8_t *ring, int32_t row)
{
    for (int32_t i = 0; i < 8; i++) {
        const int64_t product = (int64_t)in[row * 8 + i] * toy_weights[row * 8 + i] * 1073741824;
        ring[(row % 3) * 12 + i] = (int8_t)((product + 8589934592) >> 34);
    }
}

static int8_t total(const int8_t *row)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < 8; i++) {
        sum += row[i];
    }
    return (int8_t)(sum / 8);
}

/*HELPER*/
void toy_run(void *arena)
{
    int8_t *a = arena;
    for (int32_t row = 0; row < 4; row++) {
        scale(a, a + 32, row);
        TOY_STEP(0, 0, a + 32, 12, 3, 8, row, row + 1);
        a[80 + row] = total(a + 32 + (row % 3) * 12);
    }
    /*STATEMENT*/
    memcpy(a + 72, a + 80, 4);
    TOY_STEP(1, 0, a + 72, 1, 4, 1, 0, 4);
}

void *toy_input(void *arena, int32_t index) { return (int8_t *)arena + index; }

void *toy_output(void *arena, int32_t index) { return (int8_t *)arena + 72 + index; }
"""

FILES = {"toy.h": HEADER, "toy.c": SOURCE, "toy_weights.c": WEIGHTS}


SELFTEST_HEADER = """\
#ifndef TOY_SELFTEST_H
#define TOY_SELFTEST_H
#include <stdint.h>
typedef struct {
    void (*print_line)(const char *line);
    uint32_t (*read_cycles)(void);
} toy_selftest_port;
uint32_t toy_selftest(void *arena, const toy_selftest_port *port);
#endif
"""
SELFTEST_SOURCE = """\
#include "toy_selftest.h"

#include "toy.h"

void toy_validate_step(int32_t layer, int32_t output, const void *base, int32_t row_stride, int32_t ring_rows,
                       int32_t row_bytes, int32_t row_begin, int32_t row_end)
{
    (void)layer, (void)output, (void)base, (void)row_stride, (void)ring_rows;
    (void)row_bytes, (void)row_begin, (void)row_end;
}

uint32_t toy_selftest(void *arena, const toy_selftest_port *port)
{
    toy_run(arena);
    port->print_line("TINYGEN PASS toy inputs=1 layers=2");
    return 0;
}
"""


def selftest_files(files: dict[str, str] | None = None) -> dict[str, str]:
    """The files with a self-test that checks nothing and prints PASS."""
    return {**(files or FILES), "toy_selftest.h": SELFTEST_HEADER, "toy_selftest.c": SELFTEST_SOURCE}


def broken(statement: str, helper: str = "") -> dict[str, str]:
    """The files with one more statement between the layers."""
    source = SOURCE.replace("/*STATEMENT*/", statement).replace("/*HELPER*/", helper)
    return {**FILES, "toy.c": source}


def job(inferences: int = 3, timeout_s: float = 60.0) -> Job:
    """Different inputs for every inference, extremes among them."""
    inputs = tuple(
        (bytes((0x80 if (i + k) % 5 == 0 else i * 7 + k * 31) & 0xFF for i in range(INPUT_BYTES)),)
        for k in range(inferences)
    )
    return Job(inputs, (OUTPUT_BYTES,), timeout_s)


def expected(data: bytes) -> tuple[bytes, bytes]:
    """Layer 0's 32 values and layer 1's four, in Python."""
    signed = [value - 256 if value > 127 else value for value in data]
    products = [(x * w * (1 << 30) + (1 << 33)) >> 34 for x, w in zip(signed, WEIGHT_VALUES, strict=True)]
    layer0 = [(p + 128) % 256 - 128 for p in products]
    sums = [sum(layer0[row * 8 : row * 8 + 8]) for row in range(4)]
    layer1 = [abs(s) // 8 * (1 if s >= 0 else -1) for s in sums]  # C divides towards zero
    return bytes(v & 0xFF for v in layer0), bytes(v & 0xFF for v in layer1)
