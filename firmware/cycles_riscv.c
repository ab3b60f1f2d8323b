/* mcycle, or Espressif's own counter on cores without it. */
#include "cycles.h"

#include <stddef.h>

uint32_t tinygen_probe_cycles(void); /* cycles_riscv_csr.S */
uint32_t tinygen_read_mcycle(void);
uint32_t tinygen_read_mpccr(void);

uint32_t (*cycles_find(void))(void)
{
    switch (tinygen_probe_cycles()) {
    case 1:
        return tinygen_read_mcycle;
    case 2:
        return tinygen_read_mpccr;
    default:
        return NULL;
    }
}
