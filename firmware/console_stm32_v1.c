/* STM32 USART of the F1, F2, F4 and L1. Register names: RM0090, chapter USART. */
#include "console.h"
#include "tinygen_board.h"

#define REGISTER(offset) TINYGEN_REGISTER(TINYGEN_CONSOLE_BASE + (offset))
#define USART_SR REGISTER(0x00u)
#define USART_DR REGISTER(0x04u)
#define USART_BRR REGISTER(0x08u)
#define USART_CR1 REGISTER(0x0cu)
#define SR_TXE (1u << 7)
#define SR_TC (1u << 6)
#define CR1_UE (1u << 13)
#define CR1_TE (1u << 3)

void console_open(void)
{
    console_setup();
    USART_CR1 = 0;
    USART_BRR = (TINYGEN_CONSOLE_CLOCK_HZ + TINYGEN_CONSOLE_BAUD / 2u) / TINYGEN_CONSOLE_BAUD;
    USART_CR1 = CR1_UE | CR1_TE; /* 8 bits, no parity, 16 samples a bit */
}

void console_write(const char *text, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        while ((USART_SR & SR_TXE) == 0u) {
        }
        USART_DR = (uint8_t)text[i];
    }
}

void console_close(void)
{
    while ((USART_SR & SR_TC) == 0u) {
    }
}
