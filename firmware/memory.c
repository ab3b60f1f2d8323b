/* memcpy and friends for firmware without a C library: the same code for every compiler, so that instruction
   counts do not depend on whose library was linked. */
#include <stddef.h>
#include <stdint.h>

/* may_alias: these functions move objects of any type by words. */
typedef uint32_t __attribute__((may_alias)) word_t;

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);

static uint8_t *copy_up(uint8_t *d, const uint8_t *s, size_t bytes)
{
    if (bytes >= 8u && (((uintptr_t)d ^ (uintptr_t)s) & 3u) == 0u) {
        while (((uintptr_t)d & 3u) != 0u) {
            *d++ = *s++;
            bytes--;
        }
        while (bytes >= 16u) {
            word_t *dw = (word_t *)(void *)d;
            const word_t *sw = (const word_t *)(const void *)s;
            word_t a = sw[0], b = sw[1], c = sw[2], e = sw[3];
            dw[0] = a;
            dw[1] = b;
            dw[2] = c;
            dw[3] = e;
            d += 16;
            s += 16;
            bytes -= 16u;
        }
        while (bytes >= 4u) {
            *(word_t *)(void *)d = *(const word_t *)(const void *)s;
            d += 4;
            s += 4;
            bytes -= 4u;
        }
    }
    while (bytes != 0u) {
        *d++ = *s++;
        bytes--;
    }
    return d;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    (void)copy_up(to, from, bytes);
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    /* Upwards is safe when the target is below the source, even by one byte only: copy_up's word reads
       come before its word writes, and both pointers are equally aligned there. */
    if ((uintptr_t)d <= (uintptr_t)s || (uintptr_t)d - (uintptr_t)s >= bytes) {
        (void)copy_up(d, s, bytes);
        return to;
    }
    d += bytes;
    s += bytes;
    if ((((uintptr_t)d ^ (uintptr_t)s) & 3u) == 0u) {
        while (bytes != 0u && ((uintptr_t)d & 3u) != 0u) {
            *--d = *--s;
            bytes--;
        }
        while (bytes >= 4u) {
            d -= 4;
            s -= 4;
            bytes -= 4u;
            *(word_t *)(void *)d = *(const word_t *)(const void *)s;
        }
    }
    while (bytes != 0u) {
        *--d = *--s;
        bytes--;
    }
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    uint8_t *d = to;
    const uint8_t byte = (uint8_t)value;
    if (bytes >= 8u) {
        const word_t word = byte * 0x01010101u;
        while (((uintptr_t)d & 3u) != 0u) {
            *d++ = byte;
            bytes--;
        }
        while (bytes >= 16u) {
            word_t *dw = (word_t *)(void *)d;
            dw[0] = word;
            dw[1] = word;
            dw[2] = word;
            dw[3] = word;
            d += 16;
            bytes -= 16u;
        }
        while (bytes >= 4u) {
            *(word_t *)(void *)d = word;
            d += 4;
            bytes -= 4u;
        }
    }
    while (bytes != 0u) {
        *d++ = byte;
        bytes--;
    }
    return to;
}

int memcmp(const void *left, const void *right, size_t bytes)
{
    const uint8_t *l = left;
    const uint8_t *r = right;
    for (; bytes != 0u; bytes--, l++, r++) {
        if (*l != *r) {
            return (int)*l - (int)*r;
        }
    }
    return 0;
}
