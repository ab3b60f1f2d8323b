/* Clocks, power and pins of the console: the steps that the board's TOML file lists, in order. */
#include "console.h"
#include "tinygen_board.h"

#if TINYGEN_CONSOLE_STEPS > 0

typedef struct {
    uint32_t address;
    uint32_t clear;
    uint32_t set;
    uint32_t wait_set;
} step_t;

static const step_t steps[TINYGEN_CONSOLE_STEPS] = TINYGEN_CONSOLE_SETUP;

void console_setup(void)
{
    for (uint32_t i = 0; i < TINYGEN_CONSOLE_STEPS; i++) {
        const step_t *step = &steps[i];
        if ((step->clear | step->set) != 0u) {
            TINYGEN_REGISTER(step->address) = (TINYGEN_REGISTER(step->address) & ~step->clear) | step->set;
            (void)TINYGEN_REGISTER(step->address); /* a clock that was just enabled runs after this read */
        }
        for (uint32_t polls = 0; polls < TINYGEN_MOST_POLLS; polls++) {
            if ((TINYGEN_REGISTER(step->address) & step->wait_set) == step->wait_set) {
                break;
            }
        }
    }
}

#else

void console_setup(void)
{
}

#endif
