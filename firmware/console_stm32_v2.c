/* STM32 USART and LPUART of the F0, F3, F7, G, H, L and U families. Register names: RM0432, chapters USART and LPUART.
 */
#include "console.h"
#include "tinygen_board.h"

#define REGISTER(offset) TINYGEN_REGISTER(TINYGEN_CONSOLE_BASE + (offset))
#define USART_CR1 REGISTER(0x00u)
#define USART_BRR REGISTER(0x0cu)
#define USART_ISR REGISTER(0x1cu)
#define USART_TDR REGISTER(0x28u)
#define CR1_UE (1u << 0)
#define CR1_TE (1u << 3)
#define ISR_TC (1u << 6)
#define ISR_TXE (1u << 7)
#define ISR_TEACK (1u << 21)
#define PARTS (TINYGEN_CONSOLE_LOW_POWER ? 256ull : 1ull) /* LPUART_BRR counts 1/256 of a clock */

void console_open(void)
{
    console_setup();
    USART_CR1 = 0; /* BRR can be written only while UE is 0 */
    USART_BRR = (uint32_t)((PARTS * TINYGEN_CONSOLE_CLOCK_HZ + TINYGEN_CONSOLE_BAUD / 2u) / TINYGEN_CONSOLE_BAUD);
    USART_CR1 = CR1_UE | CR1_TE; /* 8 bits, no parity, 16 samples a bit */
    for (uint32_t polls = 0; polls < TINYGEN_MOST_POLLS && (USART_ISR & ISR_TEACK) == 0u; polls++) {
    }
}

void console_write(const char *text, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        while ((USART_ISR & ISR_TXE) == 0u) {
        }
        USART_TDR = (uint8_t)text[i];
    }
}

void console_close(void)
{
    while ((USART_ISR & ISR_TC) == 0u) {
    }
}
