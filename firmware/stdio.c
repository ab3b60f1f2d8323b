/* Streams as ordinary files of the working folder, for the native run. */
#include "io.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *input;
static FILE *output;

void io_open(void)
{
    input = fopen("input.bin", "rb");
    output = fopen("output.bin", "wb");
    if (input == NULL || output == NULL) {
        exit((int)EXIT_INPUT);
    }
}

uint32_t io_read(void *to, uint32_t bytes)
{
    return (uint32_t)fread(to, 1, bytes, input);
}

void io_write(const void *from, uint32_t bytes)
{
    if (fwrite(from, 1, bytes, output) != bytes || fflush(output) != 0) { /* a sanitizer may end the process next */
        exit((int)EXIT_INPUT);
    }
}

void io_exit(uint32_t code)
{
    (void)fclose(output);
    exit((int)code);
}
