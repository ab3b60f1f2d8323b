/* From reset to main, for every local board. */
#include <stdint.h>

extern uint32_t _stack_top, _data_load, _data_begin, _data_end, _bss_begin, _bss_end;
extern void (*_init_begin[])(void), (*_init_end[])(void);
int main(void);
void Reset_Handler(void);

uint32_t SystemCoreClock = 16000000u;

__attribute__((noreturn)) void core_exit(uint32_t code)
{
    uint32_t block[2] = { 0x20026u, code };
    register uint32_t operation __asm__("r0") = 0x20u; /* SYS_EXIT_EXTENDED */
    register void *argument __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
    for (;;) {
    }
}

void core_write(const char *text)
{
    register uint32_t operation __asm__("r0") = 0x04u; /* SYS_WRITE0 */
    register const char *argument __asm__("r1") = text;
    __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
}

__attribute__((section(".vectors"), used)) static void *const vectors[2] = { &_stack_top, (void *)Reset_Handler };

void Reset_Handler(void)
{
    uint32_t *from = &_data_load;
#if defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: the FPU is on */
#endif
    for (uint32_t *to = &_data_begin; to < &_data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &_bss_begin; to < &_bss_end;) {
        *to++ = 0;
    }
    for (void (**init)(void) = _init_begin; init < _init_end; ++init) {
        (*init)();
    }
    core_exit((uint32_t)main());
}
