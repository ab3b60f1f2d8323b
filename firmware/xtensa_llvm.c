/* What LLVM for the ESP32 calls for and brings no library for: division of floats, which the core adds and multiplies
   but has no instruction to divide, and the end of a program that must not go on. */
#include <stdint.h>
#include <string.h>

#define EXPONENT_MASK 0xffu
#define INFINITY_BITS 0x7f800000u
#define NAN_BITS 0x7fc00000u
#define HIDDEN_BIT 0x00800000u
#define SIGN_BIT 0x80000000u

float __divsf3(float numerator, float denominator);
void abort(void) __attribute__((noreturn));

/* __builtin_trap() is a call of this. */
void abort(void)
{
    for (;;) {
        __asm__ volatile("ill");
    }
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The significand with its highest bit at HIDDEN_BIT, of a number that is neither 0, infinite nor NaN. */
static uint32_t mantissa_of(uint32_t bits, int32_t *exponent)
{
    uint32_t fraction = bits & (HIDDEN_BIT - 1u);
    *exponent = (int32_t)((bits >> 23) & EXPONENT_MASK);
    if (*exponent != 0) {
        return fraction | HIDDEN_BIT;
    }
    *exponent = 1;
    while (fraction < HIDDEN_BIT) {
        fraction <<= 1;
        *exponent -= 1;
    }
    return fraction;
}

/* Rounds to nearest, ties to even, as IEEE 754 says. */
float __divsf3(float numerator, float denominator)
{
    const uint32_t sign = (bits_of(numerator) ^ bits_of(denominator)) & SIGN_BIT;
    const uint32_t top = bits_of(numerator) & ~SIGN_BIT;
    const uint32_t bottom = bits_of(denominator) & ~SIGN_BIT;
    if (top > INFINITY_BITS || bottom > INFINITY_BITS || (top == 0u && bottom == 0u) ||
        (top == INFINITY_BITS && bottom == INFINITY_BITS)) {
        return float_of(NAN_BITS);
    }
    if (top == INFINITY_BITS || bottom == 0u) {
        return float_of(sign | INFINITY_BITS);
    }
    if (top == 0u || bottom == INFINITY_BITS) {
        return float_of(sign);
    }
    int32_t top_exponent;
    int32_t bottom_exponent;
    uint32_t rest = mantissa_of(top, &top_exponent);
    const uint32_t divisor = mantissa_of(bottom, &bottom_exponent);
    int32_t exponent = top_exponent - bottom_exponent + 127;
    if (rest < divisor) {
        rest <<= 1;
        exponent--;
    }
    uint32_t quotient = 0; /* 24 bits, one to round by, and one that stands for all that follow */
    for (int32_t bit = 0; bit < 25; bit++) {
        quotient <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= 1u;
        }
        rest <<= 1;
    }
    quotient = (quotient << 1) | (rest != 0u ? 1u : 0u);
    if (exponent >= (int32_t)EXPONENT_MASK) {
        return float_of(sign | INFINITY_BITS);
    }
    while (exponent < 1 && quotient > 1u) { /* subnormal */
        quotient = (quotient >> 1) | (quotient & 1u);
        exponent++;
    }
    const uint32_t rounding = quotient & 3u;
    uint32_t fraction = quotient >> 2;
    if (rounding == 3u || (rounding == 2u && (fraction & 1u) != 0u)) {
        fraction++;
    }
    if (fraction < HIDDEN_BIT) {
        return float_of(sign | fraction);
    }
    /* The hidden bit adds the one that is missing from the exponent; a carry out of the fraction adds another. */
    return float_of(sign | (((uint32_t)(exponent - 1) << 23) + fraction));
}
