/* CCOUNT, on Xtensa. */
#include "cycles.h"

static uint32_t read_ccount(void)
{
    uint32_t value;
    __asm__ volatile("rsr %0, ccount" : "=r"(value));
    return value;
}

uint32_t (*cycles_find(void))(void)
{
    return read_ccount;
}
