/* The steps of the console's set-up without which the chip must not write RAM: Reset_Handler calls this first of all.
   Code of constants, without loop or table, keeps what it needs in registers; a test holds that it writes no RAM. */
#include "console.h"
#include "tinygen_board.h"

void tinygen_before_ram(void); /* start_arm_m.c */

void tinygen_before_ram(void)
{
    TINYGEN_BEFORE_RAM(console_step)
}
