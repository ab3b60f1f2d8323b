/* One semihosting call, on Arm and RISC-V. Operations: "Semihosting for AArch32 and AArch64", Arm. */
#ifndef TINYGEN_SEMIHOSTING_H
#define TINYGEN_SEMIHOSTING_H

#include <stdint.h>

#define SYS_OPEN 0x01u
#define SYS_CLOSE 0x02u
#define SYS_WRITE 0x05u
#define SYS_READ 0x06u
#define SYS_EXIT_EXTENDED 0x20u
#define MODE_READ_BINARY 1u
#define MODE_WRITE 4u
#define MODE_WRITE_BINARY 5u

#if defined(__riscv)
uint32_t tinygen_semihosting(uint32_t operation, const void *arguments); /* start_riscv.S */
#else
static inline uint32_t tinygen_semihosting(uint32_t operation, const void *arguments)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
#endif

static inline uint32_t semihosting_address(const void *pointer)
{
    return (uint32_t)(uintptr_t)pointer;
}

static inline uint32_t semihosting_open(const char *name, uint32_t length, uint32_t mode)
{
    const uint32_t arguments[3] = {semihosting_address(name), mode, length};
    return tinygen_semihosting(SYS_OPEN, arguments);
}

#endif
