/* Streams through Arm and RISC-V semihosting: two files in the emulator's working folder. */
#include "io.h"
#include "semihosting.h"

#define STOPPED_BY_APPLICATION 0x20026u
#define CLOSED 0xffffffffu

static uint32_t input_file = CLOSED;
static uint32_t output_file = CLOSED;

void io_open(void)
{
    tinygen_protect_memory();
    input_file = semihosting_open("input.bin", 9u, MODE_READ_BINARY);
    output_file = semihosting_open("output.bin", 10u, MODE_WRITE_BINARY);
}

uint32_t io_read(void *to, uint32_t bytes)
{
    const uint32_t arguments[3] = {input_file, semihosting_address(to), bytes};
    return bytes - tinygen_semihosting(SYS_READ, arguments); /* the call returns what was not read */
}

void io_write(const void *from, uint32_t bytes)
{
    const uint32_t arguments[3] = {output_file, semihosting_address(from), bytes};
    (void)tinygen_semihosting(SYS_WRITE, arguments);
}

void io_exit(uint32_t code)
{
    const uint32_t reason[2] = {STOPPED_BY_APPLICATION, code};
    if (output_file != CLOSED) {
        (void)tinygen_semihosting(SYS_CLOSE, &output_file);
    }
    (void)tinygen_semihosting(SYS_EXIT_EXTENDED, reason);
    for (;;) {
    }
}
