// A stub of the Arduino core: what tinygen's projects use of it, printed by semihosting.
#pragma once

#include <stddef.h>
#include <stdint.h>

class SerialPort {
public:
    void begin(unsigned long baud);
    operator bool() const { return true; }
    size_t print(const char *text);
    size_t print(char character);
    size_t print(int number);
    size_t println();
    size_t println(const char *text);
    size_t println(int number);
};

class EspClass {
public:
    uint32_t getCycleCount() { return 0; }
};

extern SerialPort Serial;
extern EspClass ESP;

unsigned long millis();
unsigned long micros();
void delay(unsigned long milliseconds);
void setup();
void loop();
