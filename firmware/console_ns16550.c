/* NS16550 and its descendants, with registers of one byte. Register names: National Semiconductor PC16550D. */
#include "console.h"
#include "tinygen_board.h"

#define REGISTER(offset) (*(volatile uint8_t *)(uintptr_t)(TINYGEN_CONSOLE_BASE + (offset)))
#define THR REGISTER(0u)
#define IER REGISTER(1u)
#define DLL REGISTER(0u) /* while LCR.DLAB is 1 */
#define DLM REGISTER(1u) /* while LCR.DLAB is 1 */
#define FCR REGISTER(2u)
#define LCR REGISTER(3u)
#define LSR REGISTER(5u)
#define FCR_FIFO_ENABLE 1u
#define LCR_8_BITS 3u
#define LCR_DLAB 0x80u
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u
#define DIVISOR ((TINYGEN_CONSOLE_CLOCK_HZ + 8u * TINYGEN_CONSOLE_BAUD) / (16u * TINYGEN_CONSOLE_BAUD))

void console_open(void)
{
    console_setup();
    IER = 0;
    LCR = LCR_DLAB;
    DLL = (uint8_t)(DIVISOR & 0xffu);
    DLM = (uint8_t)(DIVISOR >> 8);
    LCR = LCR_8_BITS; /* no parity */
    FCR = FCR_FIFO_ENABLE;
}

void console_write(const char *text, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        while ((LSR & LSR_THRE) == 0u) {
        }
        THR = (uint8_t)text[i];
    }
}

void console_close(void)
{
    while ((LSR & LSR_TEMT) == 0u) {
    }
}
