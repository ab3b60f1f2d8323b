/* The core's own counter of cycles. */
#ifndef TINYGEN_CYCLES_H
#define TINYGEN_CYCLES_H

#include <stdint.h>

/* Starts the counter; the function that reads it, or null where the core has none. */
uint32_t (*cycles_find(void))(void);

#endif
