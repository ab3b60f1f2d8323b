/* Start-up and fault report for every Cortex-M. */
#include <stdint.h>

#include "io.h"

#define SCB_VTOR (*(volatile uint32_t *)0xe000ed08u)
#define SCB_SHCSR (*(volatile uint32_t *)0xe000ed24u)
#define SCB_CFSR (*(volatile uint32_t *)0xe000ed28u)
#define SCB_MMFAR (*(volatile uint32_t *)0xe000ed34u)
#define SCB_BFAR (*(volatile uint32_t *)0xe000ed38u)
#define SCB_CPACR (*(volatile uint32_t *)0xe000ed88u)
#define SHCSR_MEM_BUS_USAGE (7u << 16)
#define CFSR_MMARVALID (1u << 7)
#define CFSR_BFARVALID (1u << 15)
#define CPACR_FPU (0xfu << 20)
#define FRAME_PC 6
#define FRAME_BYTES 32u
#define UNKNOWN 0xffffffffu
#define CAUSE_CALLER_PC 0x100u /* the pc reported is that of a caller */

extern uint32_t _stack_bottom[];
extern uint32_t _stack_top[];
extern const uint32_t _data_load[];
extern uint32_t _data_start[];
extern uint32_t _data_end[];
extern uint32_t _bss_start[];
extern uint32_t _bss_end[];

int main(void);
void Reset_Handler(void) __attribute__((naked));
void tinygen_before_ram(void) __attribute__((weak)); /* before_ram.c, for chips that need it */
void tinygen_start(void) __attribute__((noreturn, used));
void Fault_Handler(void) __attribute__((naked));
void tinygen_arm_fault(uint32_t stack_pointer, uint32_t exception) __attribute__((noreturn, used));

typedef struct {
    const uint32_t *stack;
    void (*handlers[15])(void);
} vector_table_t;

const vector_table_t tinygen_vectors __attribute__((section(".vectors"), used)) = {
    _stack_top,
    {Reset_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler,
     Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler,
     Fault_Handler},
};

/* The stack may be what overflowed: keep its pointer as evidence and go on with a fresh one. */
void Fault_Handler(void)
{
    __asm__ volatile("mrs r0, msp\n"
                     "mrs r1, ipsr\n"
                     "ldr r2, 1f\n"
                     "mov sp, r2\n"
                     "ldr r2, 2f\n"
                     "bx r2\n"
                     ".p2align 2\n"
                     "1: .word _stack_top\n"
                     "2: .word tinygen_arm_fault\n");
}

extern const uint8_t _code_start[];
extern const uint8_t _code_end[];

/* When the stack is used up, the core has nowhere to save its program counter. The deepest return address that is
   still in the stack names the caller instead: a Thumb address of code that follows a BL or BLX. */
static uint32_t deepest_return_address(void)
{
    for (const volatile uint32_t *p = _stack_bottom; p < _stack_top; p++) {
        const uint32_t word = *p;
        if ((word & 1u) == 0u || word < (uint32_t)(uintptr_t)_code_start + 5u ||
            word > (uint32_t)(uintptr_t)_code_end) {
            continue;
        }
        const volatile uint16_t *next = (const volatile uint16_t *)(uintptr_t)(word - 1u);
        const int is_bl = (next[-2] & 0xf800u) == 0xf000u && (next[-1] & 0xd000u) == 0xd000u;
        const int is_blx = (next[-1] & 0xff87u) == 0x4780u;
        if (is_bl || is_blx) {
            return word - 1u;
        }
    }
    return UNKNOWN;
}

void tinygen_arm_fault(uint32_t stack_pointer, uint32_t exception)
{
    uint32_t pc = UNKNOWN;
    uint32_t fault_address = UNKNOWN;
    uint32_t status = UNKNOWN;
    /* The frame is readable only where it lies in the stack; the top of it is about to be reused, so read first. */
    if (stack_pointer >= (uint32_t)(uintptr_t)_stack_bottom &&
        stack_pointer <= (uint32_t)(uintptr_t)_stack_top - FRAME_BYTES) {
        pc = ((const volatile uint32_t *)(uintptr_t)stack_pointer)[FRAME_PC];
    } else {
        pc = deepest_return_address();
        exception |= CAUSE_CALLER_PC;
    }
#if __ARM_ARCH_ISA_THUMB > 1 /* Armv6-M has no fault status registers */
    status = SCB_CFSR;
    if ((status & CFSR_BFARVALID) != 0u) {
        fault_address = SCB_BFAR;
    } else if ((status & CFSR_MMARVALID) != 0u) {
        fault_address = SCB_MMFAR;
    }
#endif
    tinygen_fault(exception, pc, fault_address, status, stack_pointer);
}

/* Compilers may open a function by saving registers in RAM, which is too early here. */
void Reset_Handler(void)
{
    __asm__ volatile("ldr r0, 1f\n"
                     "cmp r0, #0\n"
                     "beq 0f\n"
                     "blx r0\n"
                     "0: ldr r0, 2f\n"
                     "bx r0\n"
                     ".p2align 2\n"
                     ".weak tinygen_before_ram\n"
                     "1: .word tinygen_before_ram\n"
                     "2: .word tinygen_start\n");
}

void tinygen_start(void)
{
#if __ARM_ARCH_ISA_THUMB > 1
    SCB_VTOR = (uint32_t)(uintptr_t)&tinygen_vectors;
    SCB_SHCSR |= SHCSR_MEM_BUS_USAGE;
#endif
#if defined(__ARM_FP)
    SCB_CPACR |= CPACR_FPU;
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    const uint32_t *from = _data_load;
    for (uint32_t *to = _data_start; to < _data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = _bss_start; to < _bss_end; to++) {
        *to = 0;
    }
    (void)main();
    io_exit(EXIT_DONE);
}
