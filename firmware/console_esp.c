/* UART0 of the ESP32 family. The boot ROM has set pins and 115200 baud, and prints there itself; what it also leaves on
   is the watchdogs, which the board's TOML file turns off. Register names: the technical reference manuals, chapter
   UART.
   Writes to one address in sequential instructions may be lost in the first ESP32s (revision 0, erratum CPU-3.3). Here
   a read of UART_STATUS lies between two of them. */
#include "console.h"
#include "tinygen_board.h"

#define REGISTER(offset) TINYGEN_REGISTER(TINYGEN_CONSOLE_BASE + (offset))
#define UART_FIFO REGISTER(0x00u)
#define UART_STATUS REGISTER(0x1cu)
#define FIFO_BYTES 128u

/* UART_TXFIFO_CNT. The ESP32 has eight bits of it and its transmitter's state above; 128 bytes need no more. */
static uint32_t waiting(void)
{
    return (UART_STATUS >> 16) & 0xffu;
}

void console_open(void)
{
    console_setup();
}

void console_write(const char *text, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        while (waiting() >= FIFO_BYTES - 2u) {
        }
        UART_FIFO = (uint8_t)text[i];
    }
}

void console_close(void)
{
    while (waiting() != 0u) {
    }
}
