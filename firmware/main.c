/* The self-test: reads inputs from the input stream, runs the model, writes what it computed to the output stream.

   Input stream, little-endian uint32: magic, inferences, paint, inputs, bytes of each input, outputs, bytes of each
   output; then, for every inference, every input. Output stream: records that begin with one of RECORD_*.
   The model comes in through tinygen_model.h, which the build writes. */
#include <stdint.h>

#include "io.h"
#include "tinygen_model.h"

#define STREAM_MAGIC 0x324e4754u /* "TGN2" */
#define GUARD_BYTES 64u
#define GUARD_PATTERN 0xc3u
#define UNKNOWN 0xffffffffu

/* uint8_t arrays leave no gap between arena and guards, so an overrun by one byte is seen. */
typedef struct {
    uint8_t before[GUARD_BYTES];
    uint8_t arena[TINYGEN_ARENA_BYTES];
    uint8_t after[GUARD_BYTES];
} guarded_arena_t;

static guarded_arena_t memory __attribute__((aligned(16))) TINYGEN_ARENA_SECTION;

#if defined(__has_feature) /* clang's way to say it; GCC defines the macro itself */
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(TINYGEN_HOST) && defined(__SANITIZE_ADDRESS__)
void __asan_poison_memory_region(const volatile void *address, uintptr_t bytes);
void __asan_unpoison_memory_region(const volatile void *address, uintptr_t bytes);
#define GUARD_CLOSE()                                                                                                  \
    do {                                                                                                               \
        __asan_poison_memory_region(memory.before, GUARD_BYTES);                                                       \
        __asan_poison_memory_region(memory.after, GUARD_BYTES);                                                        \
    } while (0)
#define GUARD_OPEN()                                                                                                   \
    do {                                                                                                               \
        __asan_unpoison_memory_region(memory.before, GUARD_BYTES);                                                     \
        __asan_unpoison_memory_region(memory.after, GUARD_BYTES);                                                      \
    } while (0)
#else
#define GUARD_CLOSE() ((void)0)
#define GUARD_OPEN() ((void)0)
#endif

/* Empty, but called: emulators and debuggers find the borders of one inference by them. */
void tinygen_mark_begin(void) __attribute__((noinline));
void tinygen_mark_end(void) __attribute__((noinline));
void tinygen_mark_hook_end(void) __attribute__((noinline));
void tinygen_mark_begin(void)
{
    __asm__ volatile("" ::: "memory");
}
void tinygen_mark_end(void)
{
    __asm__ volatile("" ::: "memory");
}
void tinygen_mark_hook_end(void)
{
    __asm__ volatile("" ::: "memory");
}

#if defined(TINYGEN_HOST)
static void stack_paint(void)
{
}
#ifdef TINYGEN_PUSH_ROW
static void stack_begin(void)
{
}
#endif
static uint32_t stack_used(void)
{
    return UNKNOWN;
}
#else
#define STACK_PATTERN 0xa5a5a5a5u
#if defined(__XTENSA_WINDOWED_ABI__)
#define BELOW_STACK 16u /* where a window overflow puts four registers of the caller */
#else
#define BELOW_STACK 0u
#endif
extern uint32_t _stack_bottom[];
extern uint32_t _stack_top[];
static uintptr_t stack_start; /* the lowest byte in use when the model was called */

static inline __attribute__((always_inline)) uintptr_t stack_pointer(void)
{
    uintptr_t value;
#if defined(__xtensa__)
    __asm__ volatile("mov %0, a1" : "=r"(value));
#elif defined(__riscv)
    __asm__ volatile("mv %0, sp" : "=r"(value));
#else
    __asm__ volatile("mov %0, sp" : "=r"(value));
#endif
    return value;
}

/* Inlined, so that the caller's stack pointer is its own. */
static inline __attribute__((always_inline)) void stack_paint(void)
{
    stack_start = stack_pointer() - BELOW_STACK;
    for (volatile uint32_t *p = _stack_bottom; (uintptr_t)p < stack_start; p++) {
        *p = STACK_PATTERN;
    }
}

#ifdef TINYGEN_PUSH_ROW
/* What is used counts from here on: nothing of the function that pushes rows. */
static inline __attribute__((always_inline)) void stack_begin(void)
{
    stack_start = stack_pointer() - BELOW_STACK;
}
#endif

/* Bytes from the caller's down to the lowest word that is no longer painted. */
static uint32_t stack_used(void)
{
    const volatile uint32_t *p = _stack_bottom;
    while (p < _stack_top && *p == STACK_PATTERN) {
        p++;
    }
    return (uintptr_t)p < stack_start ? (uint32_t)(stack_start - (uintptr_t)p) : 0u;
}
#endif

static void write_words(const uint32_t *words, uint32_t count)
{
    io_write(words, count * 4u);
}

static void guard_paint(void)
{
    for (uint32_t i = 0; i < GUARD_BYTES; i++) {
        memory.before[i] = GUARD_PATTERN;
        memory.after[i] = GUARD_PATTERN;
    }
}

/* Ends the run when a byte beside the arena was overwritten; offsets count from the arena's first byte. */
static void guard_check(void)
{
    uint32_t damaged = 0;
    int32_t first = 0;
    GUARD_OPEN();
    for (uint32_t i = GUARD_BYTES; i > 0u; i--) {
        if (memory.after[i - 1u] != GUARD_PATTERN) {
            first = (int32_t)(TINYGEN_ARENA_BYTES + i - 1u);
            damaged++;
        }
    }
    for (uint32_t i = GUARD_BYTES; i > 0u; i--) {
        if (memory.before[i - 1u] != GUARD_PATTERN) {
            first = (int32_t)(i - 1u) - (int32_t)GUARD_BYTES;
            damaged++;
        }
    }
    if (damaged != 0u) {
        const uint32_t record[4] = {RECORD_GUARD, (uint32_t)first, damaged, (uint32_t)TINYGEN_ARENA_BYTES};
        write_words(record, 4);
        io_exit(EXIT_GUARD);
    }
    GUARD_CLOSE();
}

#ifdef TINYGEN_VALIDATE
/* The generated code calls this after every step; row r lies at base + (r % ring_rows) * row_stride. */
void TINYGEN_VALIDATE_STEP(int32_t layer, int32_t output, const void *base, int32_t row_stride, int32_t ring_rows,
                           int32_t row_bytes, int32_t row_begin, int32_t row_end)
{
    const uint32_t record[6] = {RECORD_STEP,         (uint32_t)layer,   (uint32_t)output,
                                (uint32_t)row_begin, (uint32_t)row_end, (uint32_t)row_bytes};
    const uint8_t *bytes = base;
    write_words(record, 6);
    int32_t row = row_begin;
    while (row < row_end) {
        const int32_t slot = row % ring_rows;
        int32_t rows = 1;
        if (row_stride == row_bytes) { /* neighbours in memory, up to the ring's end: one call */
            rows = ring_rows - slot < row_end - row ? ring_rows - slot : row_end - row;
        }
        io_write(bytes + (intptr_t)slot * row_stride, (uint32_t)rows * (uint32_t)row_bytes);
        row += rows;
    }
    guard_check();
    tinygen_mark_hook_end();
}
#endif

void tinygen_fault(uint32_t cause, uint32_t pc, uint32_t address, uint32_t status, uint32_t stack_pointer)
{
    const uint32_t record[6] = {RECORD_FAULT, cause, pc, address, status, stack_pointer};
    write_words(record, 6);
    io_exit(EXIT_FAULT);
}

static void read_words(uint32_t *words, uint32_t count)
{
    if (io_read(words, count * 4u) != count * 4u) {
        io_exit(EXIT_INPUT);
    }
}

static uint32_t read_sizes(uint32_t *sizes)
{
    uint32_t count;
    read_words(&count, 1);
    if (count > TINYGEN_MAX_TENSORS) {
        io_exit(EXIT_INPUT);
    }
    read_words(sizes, count);
    return count;
}

/* So that nothing depends on what the arena held before: not on zeros, and not on the inference before. */
static void arena_paint(uint32_t paint)
{
    for (uint32_t i = 0; i < TINYGEN_ARENA_BYTES; i++) {
        memory.arena[i] = (uint8_t)paint;
    }
}

#ifdef TINYGEN_PUSH_ROW
/* One inference whose rows come from the input stream, one at a time: the input is never whole here either. It stands
   for the model's run function. */
void TINYGEN_RUN(void *arena) __attribute__((noinline));
void TINYGEN_RUN(void *arena)
{
    static uint8_t row[TINYGEN_INPUT_ROW_BYTES] __attribute__((aligned(16)));
    int32_t taken = 0;
    stack_begin();
#ifdef TINYGEN_VALIDATE /* what the model must refuse, without harm: if it took that, there would be too many */
    taken += TINYGEN_PUSH_ROW(arena, row);
    taken += TINYGEN_FINISH(arena);
#endif
    TINYGEN_BEGIN(arena);
    for (int32_t i = 0; i < TINYGEN_INPUT_ROWS; i++) {
        if (io_read(row, sizeof row) != sizeof row) {
            io_exit(EXIT_INPUT);
        }
#ifdef TINYGEN_VALIDATE
        taken += TINYGEN_FINISH(arena);
#endif
        taken += TINYGEN_PUSH_ROW(arena, row);
    }
#ifdef TINYGEN_VALIDATE
    taken += TINYGEN_PUSH_ROW(arena, row);
#endif
    taken += TINYGEN_FINISH(arena);
#ifdef TINYGEN_VALIDATE
    taken += TINYGEN_PUSH_ROW(arena, row) + TINYGEN_FINISH(arena);
#endif
    if (taken != TINYGEN_INPUT_ROWS + 1) {
        io_exit(EXIT_ROWS);
    }
}
#endif

static void infer(uint32_t inputs, const uint32_t *input_bytes, uint32_t outputs, const uint32_t *output_bytes)
{
#ifdef TINYGEN_PUSH_ROW
    if (inputs != 1u || input_bytes[0] != TINYGEN_INPUT_ROWS * sizeof(uint8_t[TINYGEN_INPUT_ROW_BYTES])) {
        io_exit(EXIT_INPUT);
    }
#else
    for (uint32_t i = 0; i < inputs; i++) {
        if (io_read(TINYGEN_INPUT(memory.arena, (int32_t)i), input_bytes[i]) != input_bytes[i]) {
            io_exit(EXIT_INPUT);
        }
    }
#endif
    stack_paint();
    tinygen_mark_begin();
    TINYGEN_RUN(memory.arena);
    tinygen_mark_end();
    const uint32_t stack_bytes = stack_used();
    guard_check();
    for (uint32_t i = 0; i < outputs; i++) {
        const uint32_t record[3] = {RECORD_OUTPUT, i, output_bytes[i]};
        write_words(record, 3);
        io_write(TINYGEN_OUTPUT(memory.arena, (int32_t)i), output_bytes[i]);
    }
    const uint32_t end[2] = {RECORD_END, stack_bytes};
    write_words(end, 2);
}

int main(void)
{
    static uint32_t input_bytes[TINYGEN_MAX_TENSORS];
    static uint32_t output_bytes[TINYGEN_MAX_TENSORS];
    uint32_t head[3];
#if !defined(TINYGEN_HOST)
    tinygen_fill_memories();
#endif
    io_open();
    read_words(head, 3);
    if (head[0] != STREAM_MAGIC) {
        io_exit(EXIT_INPUT);
    }
    const uint32_t inputs = read_sizes(input_bytes);
    const uint32_t outputs = read_sizes(output_bytes);
    arena_paint(head[2]);
    guard_paint();
    GUARD_CLOSE();
#ifdef TINYGEN_INIT
    TINYGEN_INIT(memory.arena);
#endif
    for (uint32_t i = 0; i < head[1]; i++) {
#ifndef TINYGEN_INIT /* state must live on */
        arena_paint(head[2]);
#endif
        infer(inputs, input_bytes, outputs, output_bytes);
    }
    const uint32_t bye = RECORD_BYE;
    write_words(&bye, 1);
    io_exit(EXIT_DONE);
}
