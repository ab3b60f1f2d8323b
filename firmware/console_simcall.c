/* The console of QEMU's Xtensa sim machine: a simcall that writes to QEMU's own serial port. */
#include "console.h"

#define CALL_WRITE 4
#define STANDARD_OUTPUT 1u

int32_t tinygen_simcall(int32_t number, uint32_t a, uint32_t b, uint32_t c); /* sim_xtensa_windowed.S */

void console_open(void)
{
}

void console_write(const char *text, uint32_t bytes)
{
    uint32_t done = 0;
    while (done < bytes) {
        const int32_t n = tinygen_simcall(CALL_WRITE, STANDARD_OUTPUT, (uint32_t)(uintptr_t)text + done, bytes - done);
        if (n <= 0) {
            break;
        }
        done += (uint32_t)n;
    }
}

void console_close(void)
{
}
