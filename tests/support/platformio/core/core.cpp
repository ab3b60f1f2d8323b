// Arduino's main: setup once, loop once, then the emulator is told to end.
#include "Arduino.h"

extern "C" void core_write(const char *text);

SerialPort Serial;
EspClass ESP;
static unsigned long now_us;
static unsigned long speed;

void SerialPort::begin(unsigned long baud)
{
    speed = baud;
}

size_t SerialPort::print(const char *text)
{
    if (speed == 0) {
        return 0; // as on hardware: nothing comes before begin
    }
    core_write(text);
    return 1;
}

size_t SerialPort::print(char character)
{
    const char text[2] = { character, '\0' };
    return print(text);
}

size_t SerialPort::print(int number)
{
    char text[12];
    unsigned at = sizeof text - 1;
    unsigned value = number < 0 ? 0u - (unsigned)number : (unsigned)number;
    text[at] = '\0';
    do {
        text[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0u);
    if (number < 0) {
        text[--at] = '-';
    }
    return print(&text[at]);
}

size_t SerialPort::println()
{
    return print("\r\n");
}

size_t SerialPort::println(const char *text)
{
    return print(text) + println();
}

size_t SerialPort::println(int number)
{
    return print(number) + println();
}

unsigned long micros()
{
    return now_us += 1000;
}

unsigned long millis()
{
    return micros() / 1000;
}

void delay(unsigned long milliseconds)
{
    now_us += milliseconds * 1000;
}

int main()
{
    setup();
    loop();
    return 0;
}
