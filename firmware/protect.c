/* Takes away every address that is not the board's memory, where an emulator would let stray accesses pass.

   Only for firmware whose console is semihosting: peripherals are out of reach afterwards. Unicorn's own map is as
   strict: there the Arm registers are plain memory, and unicorn.py takes the RISC-V function out. */
#include <stdint.h>

#include "io.h"

extern const uint8_t _flash_start[];
extern const uint8_t _flash_end[];
extern const uint8_t _constants_start[];
extern const uint8_t _constants_end[];
extern const uint8_t _ram_start[];
extern const uint8_t _ram_end[];

/* The board's other memories, from a table that the linker script makes. */
typedef struct {
    uint32_t start;
    uint32_t end;
    uint32_t writable;
} extra_memory_t;

extern const extra_memory_t _memories_start[];
extern const extra_memory_t _memories_end[];

static uint32_t address(const uint8_t *symbol)
{
    return (uint32_t)(uintptr_t)symbol;
}

#if defined(__riscv)

/* Physical memory protection: entries come in pairs "from, below"; locked, so that machine mode obeys too. */
#define PMP_LOCKED 0x80u
#define PMP_BELOW 0x08u
#define PMP_EVERYWHERE 0x18u
#define PMP_READ 1u
#define PMP_WRITE 2u
#define PMP_EXECUTE 4u

void tinygen_protect_memory(void)
{
    const uint32_t flash = PMP_LOCKED | PMP_BELOW | PMP_READ | PMP_EXECUTE;
    const uint32_t constants = PMP_LOCKED | PMP_BELOW | PMP_READ;
    const uint32_t ram = PMP_LOCKED | PMP_BELOW | PMP_READ | PMP_WRITE;
    const uint32_t rest = PMP_LOCKED | PMP_EVERYWHERE;
    __asm__ volatile("csrw pmpaddr0, %0" : : "r"(address(_flash_start) >> 2));
    __asm__ volatile("csrw pmpaddr1, %0" : : "r"(address(_flash_end) >> 2));
    __asm__ volatile("csrw pmpaddr2, %0" : : "r"(address(_constants_start) >> 2));
    __asm__ volatile("csrw pmpaddr3, %0" : : "r"(address(_constants_end) >> 2));
    __asm__ volatile("csrw pmpaddr4, %0" : : "r"(address(_ram_start) >> 2));
    __asm__ volatile("csrw pmpaddr5, %0" : : "r"(address(_ram_end) >> 2));
    uint32_t from = 0u, below = 0u, more = constants; /* one more memory, no others */
    for (const extra_memory_t *extra = _memories_start; extra < _memories_end; extra++) {
        from = extra->start;
        below = extra->end;
        more = extra->writable != 0u ? ram : constants;
    }
    __asm__ volatile("csrw pmpaddr6, %0" : : "r"(from >> 2));
    __asm__ volatile("csrw pmpaddr7, %0" : : "r"(below >> 2));
    __asm__ volatile("csrw pmpaddr8, %0" : : "r"(0xffffffffu));
    __asm__ volatile("csrw pmpcfg0, %0" : : "r"(flash << 8 | constants << 24));
    __asm__ volatile("csrw pmpcfg1, %0" : : "r"(ram << 8 | more << 24));
    __asm__ volatile("csrw pmpcfg2, %0" : : "r"(rest) : "memory");
}

#elif __ARM_ARCH >= 7

#define MPU_TYPE (*(const volatile uint32_t *)0xe000ed90u)
#define MPU_CTRL (*(volatile uint32_t *)0xe000ed94u)
#define MPU_RNR (*(volatile uint32_t *)0xe000ed98u)
#define MPU_RBAR (*(volatile uint32_t *)0xe000ed9cu)
#define MPU_RASR (*(volatile uint32_t *)0xe000eda0u) /* Armv8-M calls it RLAR */
#define MPU_MAIR0 (*(volatile uint32_t *)0xe000edc0u)
#define MPU_ENABLE 1u /* without a default map, also in fault handlers at hard-fault level */
#define NORMAL_MEMORY 0x44u
#define EXECUTE_NEVER_V8 1u
#define READ_ONLY_V8 (3u << 1)
#define READ_WRITE_V8 (1u << 1)
#define EXECUTE_NEVER_V7 (1u << 28)
#define READ_ONLY_V7 (6u << 24)
#define READ_WRITE_V7 (3u << 24)
#define MOST_REGIONS 8u

typedef struct {
    uint32_t start;
    uint32_t end;
    uint32_t rights_v7;
    uint32_t rights_v8;
} region_t;

#if __ARM_ARCH == 7
/* Armv7-M regions are powers of two, aligned to their size. */
static int can_protect(const region_t *region)
{
    const uint32_t bytes = region->end - region->start;
    return bytes >= 32u && (bytes & (bytes - 1u)) == 0u && (region->start & (bytes - 1u)) == 0u;
}
#endif

void tinygen_protect_memory(void)
{
    region_t regions[MOST_REGIONS] = {
        {address(_flash_start), address(_flash_end), READ_ONLY_V7, READ_ONLY_V8},
        {address(_ram_start), address(_ram_end), READ_WRITE_V7 | EXECUTE_NEVER_V7, READ_WRITE_V8 | EXECUTE_NEVER_V8},
    };
    uint32_t count = 2u;
    for (const extra_memory_t *extra = _memories_start; extra < _memories_end; extra++) {
        if (count == MOST_REGIONS) {
            return;
        }
        regions[count].start = extra->start;
        regions[count].end = extra->end;
        regions[count].rights_v7 = (extra->writable != 0u ? READ_WRITE_V7 : READ_ONLY_V7) | EXECUTE_NEVER_V7;
        regions[count].rights_v8 = (extra->writable != 0u ? READ_WRITE_V8 : READ_ONLY_V8) | EXECUTE_NEVER_V8;
        count++;
    }
    if (((MPU_TYPE >> 8) & 0xffu) < count) {
        return;
    }
#if __ARM_ARCH == 7
    for (uint32_t i = 0; i < count; i++) {
        if (!can_protect(&regions[i])) {
            return;
        }
    }
#else
    MPU_MAIR0 = NORMAL_MEMORY;
#endif
    for (uint32_t i = 0; i < count; i++) {
        const region_t *r = &regions[i];
        MPU_RNR = i;
#if __ARM_ARCH == 7
        const uint32_t log2_bytes = 31u - (uint32_t)__builtin_clz(r->end - r->start);
        MPU_RBAR = r->start;
        MPU_RASR = r->rights_v7 | (log2_bytes - 1u) << 1 | 1u;
#else
        MPU_RBAR = r->start | r->rights_v8;
        MPU_RASR = ((r->end - 1u) & ~31u) | 1u;
#endif
    }
    MPU_CTRL = MPU_ENABLE;
    __asm__ volatile("dsb\n isb" ::: "memory");
}

#else

void tinygen_protect_memory(void) /* Armv6-M: QEMU's micro:bit faults by itself */
{
    (void)address;
}

#endif
