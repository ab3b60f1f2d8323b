/* Streams through Arm and RISC-V semihosting: two files in the emulator's working folder. */
#include "io.h"

#define SYS_OPEN 0x01u
#define SYS_CLOSE 0x02u
#define SYS_WRITE 0x05u
#define SYS_READ 0x06u
#define SYS_EXIT_EXTENDED 0x20u
#define MODE_READ_BINARY 1u
#define MODE_WRITE_BINARY 5u
#define STOPPED_BY_APPLICATION 0x20026u
#define CLOSED 0xffffffffu

static uint32_t input_file = CLOSED;
static uint32_t output_file = CLOSED;

#if defined(__riscv)
uint32_t tinygen_semihosting(uint32_t operation, const void *arguments); /* start_riscv.S */
#else
static uint32_t tinygen_semihosting(uint32_t operation, const void *arguments)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
#endif

static uint32_t address(const void *pointer)
{
    return (uint32_t)(uintptr_t)pointer;
}

static uint32_t open_file(const char *name, uint32_t length, uint32_t mode)
{
    const uint32_t arguments[3] = {address(name), mode, length};
    return tinygen_semihosting(SYS_OPEN, arguments);
}

void io_open(void)
{
    tinygen_protect_memory();
    input_file = open_file("input.bin", 9u, MODE_READ_BINARY);
    output_file = open_file("output.bin", 10u, MODE_WRITE_BINARY);
}

uint32_t io_read(void *to, uint32_t bytes)
{
    const uint32_t arguments[3] = {input_file, address(to), bytes};
    return bytes - tinygen_semihosting(SYS_READ, arguments); /* the call returns what was not read */
}

void io_write(const void *from, uint32_t bytes)
{
    const uint32_t arguments[3] = {output_file, address(from), bytes};
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
