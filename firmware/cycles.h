/* The core's own counter of cycles, if it has one. */
#ifndef TINYGEN_CYCLES_H
#define TINYGEN_CYCLES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts the counter; the function that reads it, or null where the core has none. */
uint32_t (*cycles_find(void))(void);

#ifdef __cplusplus
}
#endif

#endif
