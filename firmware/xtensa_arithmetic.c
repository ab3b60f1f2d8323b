/* What the LX106's libgcc leaves out because that chip has it in ROM, and LLVM brings no library for: division and the
   long product. The ESP32 divides 32 bits and multiplies in hardware; what of this it uses is 64-bit division. */
#include <stdint.h>

uint32_t __udivsi3(uint32_t numerator, uint32_t denominator);
uint32_t __umodsi3(uint32_t numerator, uint32_t denominator);
int32_t __divsi3(int32_t numerator, int32_t denominator);
int32_t __modsi3(int32_t numerator, int32_t denominator);
uint64_t __umulsidi3(uint32_t left, uint32_t right);
int64_t __muldi3(int64_t left, int64_t right);
uint64_t __udivdi3(uint64_t numerator, uint64_t denominator);
uint64_t __umoddi3(uint64_t numerator, uint64_t denominator);
int64_t __divdi3(int64_t numerator, int64_t denominator);
int64_t __moddi3(int64_t numerator, int64_t denominator);

static uint32_t divide(uint32_t numerator, uint32_t denominator, uint32_t *rest)
{
    uint32_t quotient = 0;
    uint32_t remainder = 0;
    for (int32_t bit = 31; bit >= 0; bit--) {
        const uint32_t carry = remainder >> 31;
        remainder = (remainder << 1) | ((numerator >> bit) & 1u);
        if (carry != 0u || remainder >= denominator) {
            remainder -= denominator;
            quotient |= UINT32_C(1) << bit;
        }
    }
    *rest = remainder;
    return quotient;
}

uint32_t __udivsi3(uint32_t numerator, uint32_t denominator)
{
    uint32_t rest;
    return divide(numerator, denominator, &rest);
}

uint32_t __umodsi3(uint32_t numerator, uint32_t denominator)
{
    uint32_t rest;
    (void)divide(numerator, denominator, &rest);
    return rest;
}

static uint32_t magnitude(int32_t value)
{
    return value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
}

int32_t __divsi3(int32_t numerator, int32_t denominator)
{
    const uint32_t quotient = __udivsi3(magnitude(numerator), magnitude(denominator));
    return (int32_t)((numerator < 0) != (denominator < 0) ? 0u - quotient : quotient);
}

int32_t __modsi3(int32_t numerator, int32_t denominator)
{
    const uint32_t rest = __umodsi3(magnitude(numerator), magnitude(denominator));
    return (int32_t)(numerator < 0 ? 0u - rest : rest);
}

uint64_t __umulsidi3(uint32_t left, uint32_t right)
{
    const uint32_t ll = (left & 0xffffu) * (right & 0xffffu);
    const uint32_t lh = (left & 0xffffu) * (right >> 16);
    const uint32_t hl = (left >> 16) * (right & 0xffffu);
    const uint32_t hh = (left >> 16) * (right >> 16);
    const uint32_t middle = (ll >> 16) + (lh & 0xffffu) + (hl & 0xffffu);
    const uint32_t high = hh + (lh >> 16) + (hl >> 16) + (middle >> 16);
    return ((uint64_t)high << 32) | (uint32_t)((middle << 16) | (ll & 0xffffu));
}

int64_t __muldi3(int64_t left, int64_t right)
{
    const uint64_t l = (uint64_t)left;
    const uint64_t r = (uint64_t)right;
    const uint32_t cross = (uint32_t)l * (uint32_t)(r >> 32) + (uint32_t)(l >> 32) * (uint32_t)r;
    return (int64_t)(__umulsidi3((uint32_t)l, (uint32_t)r) + ((uint64_t)cross << 32));
}

/* Inlined: tinygen's bound of the stack allows little for what generated code calls here. */
static inline __attribute__((always_inline)) uint64_t divide_long(uint64_t numerator, uint64_t denominator,
                                                                  uint64_t *rest)
{
    uint64_t quotient = 0;
    uint64_t remainder = 0;
    for (int32_t bit = 63; bit >= 0; bit--) {
        const uint64_t carry = remainder >> 63;
        remainder = (remainder << 1) | ((numerator >> bit) & 1u);
        if (carry != 0u || remainder >= denominator) {
            remainder -= denominator;
            quotient |= UINT64_C(1) << bit;
        }
    }
    *rest = remainder;
    return quotient;
}

uint64_t __udivdi3(uint64_t numerator, uint64_t denominator)
{
    uint64_t rest;
    return divide_long(numerator, denominator, &rest);
}

uint64_t __umoddi3(uint64_t numerator, uint64_t denominator)
{
    uint64_t rest;
    (void)divide_long(numerator, denominator, &rest);
    return rest;
}

static uint64_t long_magnitude(int64_t value)
{
    return value < 0 ? UINT64_C(0) - (uint64_t)value : (uint64_t)value;
}

int64_t __divdi3(int64_t numerator, int64_t denominator)
{
    uint64_t rest;
    const uint64_t quotient = divide_long(long_magnitude(numerator), long_magnitude(denominator), &rest);
    return (int64_t)((numerator < 0) != (denominator < 0) ? UINT64_C(0) - quotient : quotient);
}

int64_t __moddi3(int64_t numerator, int64_t denominator)
{
    uint64_t rest;
    (void)divide_long(long_magnitude(numerator), long_magnitude(denominator), &rest);
    return (int64_t)(numerator < 0 ? UINT64_C(0) - rest : rest);
}
