/* DWT_CYCCNT, on Cortex-M3 and above. */
#include "cycles.h"

#include <stddef.h>

#define CPUID (*(const volatile uint32_t *)0xe000ed00u)
#define DEMCR (*(volatile uint32_t *)0xe000edfcu)
#define DWT_CTRL (*(volatile uint32_t *)0xe0001000u)
#define DWT_CYCCNT (*(volatile uint32_t *)0xe0001004u)
#define DWT_LAR (*(volatile uint32_t *)0xe0001fb0u)
#define CPUID_PARTNO_M7 0xc27u
#define DEMCR_TRCENA (1u << 24)
#define CTRL_CYCCNTENA (1u << 0)
#define CTRL_NOCYCCNT (1u << 25)
#define LAR_KEY 0xc5acce55u

static uint32_t read_cyccnt(void)
{
    return DWT_CYCCNT;
}

uint32_t (*cycles_find(void))(void)
{
    DEMCR |= DEMCR_TRCENA;
    if (((CPUID >> 4) & 0xfffu) == CPUID_PARTNO_M7) {
        DWT_LAR = LAR_KEY; /* only the M7 locks its DWT */
    }
    DWT_CYCCNT = 0;
    DWT_CTRL |= CTRL_CYCCNTENA;
    /* Where there is no DWT, as in QEMU, the bit does not stay. */
    return (DWT_CTRL & (CTRL_CYCCNTENA | CTRL_NOCYCCNT)) == CTRL_CYCCNTENA ? read_cyccnt : NULL;
}
