/* What start-up does for .data and .bss, for the board's other memories: from the table that the linker script makes.
 */
#include <stdint.h>

#include "io.h"

typedef struct {
    const uint8_t *from; /* null: the bytes begin as zeros */
    uint8_t *to;
    uint32_t bytes;
} tinygen_content_t;

extern const tinygen_content_t _contents_start[];
extern const tinygen_content_t _contents_end[];

void tinygen_fill_memories(void)
{
    for (const tinygen_content_t *content = _contents_start; content < _contents_end; content++) {
        for (uint32_t i = 0; i < content->bytes; i++) {
            content->to[i] = content->from == 0 ? 0u : content->from[i];
        }
    }
}
