/* Arm PL011, in the RP2040 among others. Register names: Arm DDI 0183, chapter 3. */
#include "console.h"
#include "tinygen_board.h"

#define REGISTER(offset) TINYGEN_REGISTER(TINYGEN_CONSOLE_BASE + (offset))
#define UARTDR REGISTER(0x00u)
#define UARTFR REGISTER(0x18u)
#define UARTIBRD REGISTER(0x24u)
#define UARTFBRD REGISTER(0x28u)
#define UARTLCR_H REGISTER(0x2cu)
#define UARTCR REGISTER(0x30u)
#define FR_BUSY (1u << 3)
#define FR_TXFF (1u << 5)
#define LCR_H_FEN (1u << 4)
#define LCR_H_WLEN_8 (3u << 5)
#define CR_UARTEN (1u << 0)
#define CR_TXE (1u << 8)

/* Clocks of one sixteenth of a bit, times 64. */
#define DIVISOR ((uint32_t)((4ull * TINYGEN_CONSOLE_CLOCK_HZ + TINYGEN_CONSOLE_BAUD / 2u) / TINYGEN_CONSOLE_BAUD))

void console_open(void)
{
    console_setup();
    UARTCR = 0;
    UARTIBRD = DIVISOR >> 6;
    UARTFBRD = DIVISOR & 63u;
    UARTLCR_H = LCR_H_WLEN_8 | LCR_H_FEN; /* this write makes the divisor count */
    UARTCR = CR_UARTEN | CR_TXE;
}

void console_write(const char *text, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        while ((UARTFR & FR_TXFF) != 0u) {
        }
        UARTDR = (uint8_t)text[i];
    }
}

void console_close(void)
{
    while ((UARTFR & FR_BUSY) != 0u) {
    }
}
