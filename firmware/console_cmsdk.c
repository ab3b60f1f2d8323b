/* Arm's CMSDK APB UART, on the MPS2 and MPS3 boards. Register names: Arm DDI 0479, chapter APB UART. */
#include "console.h"
#include "tinygen_board.h"

#define REGISTER(offset) TINYGEN_REGISTER(TINYGEN_CONSOLE_BASE + (offset))
#define DATA REGISTER(0x00u)
#define STATE REGISTER(0x04u)
#define CTRL REGISTER(0x08u)
#define BAUDDIV REGISTER(0x10u)
#define STATE_TX_FULL (1u << 0)
#define CTRL_TX_ENABLE (1u << 0)
#define DIVISOR ((TINYGEN_CONSOLE_CLOCK_HZ + TINYGEN_CONSOLE_BAUD / 2u) / TINYGEN_CONSOLE_BAUD) /* 16 at least */
#define BITS_A_BYTE 10u

void console_open(void)
{
    console_setup();
    CTRL = 0;
    BAUDDIV = DIVISOR;
    CTRL = CTRL_TX_ENABLE;
}

void console_write(const char *text, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        while ((STATE & STATE_TX_FULL) != 0u) {
        }
        DATA = (uint8_t)text[i];
    }
}

/* The last byte leaves the buffer for the shift register, which has no flag. A turn of the second loop takes several
   cycles of the core, so it lasts longer than the byte's clocks even where the core is faster than the UART. */
void console_close(void)
{
    while ((STATE & STATE_TX_FULL) != 0u) {
    }
    for (volatile uint32_t clocks = 0; clocks < BITS_A_BYTE * DIVISOR; clocks++) {
    }
}
