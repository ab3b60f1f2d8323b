/* nRF52 UARTE: sends by DMA, which reads RAM only. Register names: nRF52840 product specification, chapter UARTE. */
#include "console.h"
#include "tinygen_board.h"

#define REGISTER(offset) TINYGEN_REGISTER(TINYGEN_CONSOLE_BASE + (offset))
#define TASKS_STARTTX REGISTER(0x008u)
#define EVENTS_ENDTX REGISTER(0x120u)
#define ENABLE REGISTER(0x500u)
#define PSEL_TXD REGISTER(0x50cu)
#define BAUDRATE REGISTER(0x524u)
#define TXD_PTR REGISTER(0x544u)
#define TXD_MAXCNT REGISTER(0x548u)
#define CONFIG REGISTER(0x56cu)
#define ENABLE_UARTE 8u
#define LINE 128u /* MAXCNT has eight bits on the nRF52832 */

void console_open(void)
{
    console_setup();
    ENABLE = 0; /* a bootloader may have left it on */
    PSEL_TXD = TINYGEN_CONSOLE_TX_PIN;
    BAUDRATE = TINYGEN_CONSOLE_BAUDRATE;
    CONFIG = 0; /* no parity, no flow control */
    ENABLE = ENABLE_UARTE;
}

void console_write(const char *text, uint32_t bytes)
{
    static char line[LINE];
    uint32_t used = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        line[used++] = text[i];
        if (used < LINE && i + 1u < bytes) {
            continue;
        }
        EVENTS_ENDTX = 0;
        TXD_PTR = (uint32_t)(uintptr_t)line;
        TXD_MAXCNT = used;
        __asm__ volatile("" ::: "memory"); /* the line is in RAM before the DMA reads it */
        TASKS_STARTTX = 1;
        while (EVENTS_ENDTX == 0u) {
        }
        used = 0;
    }
}

void console_close(void) /* ENDTX comes after the last stop bit */
{
}
