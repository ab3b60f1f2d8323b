/* nRF51 UART, the one without DMA. Register names: nRF51 reference manual, chapter UART. */
#include "console.h"
#include "tinygen_board.h"

#define REGISTER(offset) TINYGEN_REGISTER(TINYGEN_CONSOLE_BASE + (offset))
#define TASKS_STARTTX REGISTER(0x008u)
#define EVENTS_TXDRDY REGISTER(0x11cu)
#define ENABLE REGISTER(0x500u)
#define PSELTXD REGISTER(0x50cu)
#define TXD REGISTER(0x51cu)
#define BAUDRATE REGISTER(0x524u)
#define CONFIG REGISTER(0x56cu)
#define ENABLE_UART 4u

void console_open(void)
{
    console_setup();
    ENABLE = 0; /* a bootloader may have left it on */
    PSELTXD = TINYGEN_CONSOLE_TX_PIN;
    BAUDRATE = TINYGEN_CONSOLE_BAUDRATE;
    CONFIG = 0; /* no parity, no flow control */
    ENABLE = ENABLE_UART;
    TASKS_STARTTX = 1;
}

void console_write(const char *text, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        EVENTS_TXDRDY = 0;
        TXD = (uint8_t)text[i];
        while (EVENTS_TXDRDY == 0u) {
        }
    }
}

void console_close(void) /* TXDRDY comes when the byte has left */
{
}
