/* Streams through the simcalls of QEMU's Xtensa "sim" machine: two files in the emulator's working folder. */
#include "io.h"

#define CALL_EXIT 1
#define CALL_READ 3
#define CALL_WRITE 4
#define CALL_OPEN 5
#define OPEN_READ 0
#define OPEN_WRITE 1 /* the file exists and is empty: other flags are the host's own numbers */

int32_t tinygen_simcall(int32_t number, uint32_t a, uint32_t b, uint32_t c); /* start_xtensa.S */

static int32_t input_file = -1;
static int32_t output_file = -1;

static uint32_t address(const void *pointer)
{
    return (uint32_t)(uintptr_t)pointer;
}

void io_open(void)
{
    input_file = tinygen_simcall(CALL_OPEN, address("input.bin"), OPEN_READ, 0);
    output_file = tinygen_simcall(CALL_OPEN, address("output.bin"), OPEN_WRITE, 0);
}

uint32_t io_read(void *to, uint32_t bytes)
{
    uint32_t done = 0;
    while (done < bytes) {
        const int32_t n = tinygen_simcall(CALL_READ, (uint32_t)input_file, address(to) + done, bytes - done);
        if (n <= 0) {
            break;
        }
        done += (uint32_t)n;
    }
    return done;
}

void io_write(const void *from, uint32_t bytes)
{
    uint32_t done = 0;
    while (done < bytes) {
        const int32_t n = tinygen_simcall(CALL_WRITE, (uint32_t)output_file, address(from) + done, bytes - done);
        if (n <= 0) {
            break;
        }
        done += (uint32_t)n;
    }
}

void io_exit(uint32_t code)
{
    for (;;) {
        (void)tinygen_simcall(CALL_EXIT, code, 0, 0);
    }
}
