/* The self-test with vectors inside: runs it, prints its lines on the board's console, then halts the core.
   The model comes in through tinygen_selftest.h, which the build writes. */
#include <stdint.h>

#include "console.h"
#include "cycles.h"
#include "io.h"
#include "tinygen_selftest.h"

#define LINE 208u /* the longest line of templates/selftest and its end */
#define UNKNOWN 0xffffffffu

#if defined(__xtensa__)
#define WAIT_FOR_INTERRUPT() __asm__ volatile("waiti 15")
#else
#define WAIT_FOR_INTERRUPT() __asm__ volatile("wfi")
#endif

/* How far the console is: a fault while it opens has nowhere to report to. */
typedef enum { CONSOLE_CLOSED, CONSOLE_OPENING, CONSOLE_OPEN } console_state_t;

static volatile console_state_t console_state;
static uint8_t arena[TINYGEN_ARENA_BYTES] __attribute__((aligned(TINYGEN_ARENA_ALIGN))) TINYGEN_ARENA_SECTION;

void tinygen_halt(void) __attribute__((noreturn, noinline));

/* Nothing is enabled that could wake the core: an emulator's count of instructions stands still. */
void tinygen_halt(void)
{
    for (;;) {
        WAIT_FOR_INTERRUPT();
    }
}

static void open_console(void)
{
    console_state = CONSOLE_OPENING;
    console_open();
    console_state = CONSOLE_OPEN;
}

/* The line and its end in one piece, which drivers with DMA send at once. */
static void print_line(const char *text)
{
    static char line[LINE];
    uint32_t used = 0;
    while (text[used] != '\0' && used < LINE - 2u) {
        line[used] = text[used];
        used++;
    }
    line[used++] = '\r';
    line[used++] = '\n';
    console_write(line, used);
}

static char *put(char *to, const char *text)
{
    while (*text != '\0') {
        *to++ = *text++;
    }
    return to;
}

/* Eight hexadecimal digits, or - where the core does not tell. */
static char *put_word(char *to, uint32_t value)
{
    if (value == UNKNOWN) {
        return put(to, "-");
    }
    for (int32_t shift = 28; shift >= 0; shift -= 4) {
        *to++ = "0123456789abcdef"[(value >> shift) & 15u];
    }
    return to;
}

void tinygen_fault(uint32_t cause, uint32_t pc, uint32_t address, uint32_t status, uint32_t stack_pointer)
{
    static char line[sizeof "TINYGEN FAIL  fault cause= pc= address=" + sizeof TINYGEN_NAME + 3u * 8u];
    char *end = line;
    (void)status;
    (void)stack_pointer;
    if (console_state == CONSOLE_OPENING) {
        tinygen_halt();
    }
    if (console_state == CONSOLE_CLOSED) {
        open_console();
    }
    end = put(end, "TINYGEN FAIL " TINYGEN_NAME " fault cause=");
    end = put_word(end, cause);
    end = put(end, " pc=");
    end = put_word(end, pc);
    end = put(end, " address=");
    end = put_word(end, address);
    *end = '\0';
    print_line(line);
    io_exit(EXIT_FAULT);
}

void io_exit(uint32_t code)
{
    (void)code; /* a real chip has no one to give it to; the last line tells */
    console_close();
    tinygen_halt();
}

int main(void)
{
    tinygen_fill_memories();
    const TINYGEN_SELFTEST_PORT port = {print_line, cycles_find()};
    open_console();
    (void)TINYGEN_SELFTEST(arena, &port);
    io_exit(EXIT_DONE);
}
