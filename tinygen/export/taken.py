"""Names that a build system has for parts of its own: a model of that name would stand in their place.

The project's component replaces ESP-IDF's of the same name, and a library of a sketchbook or of PlatformIO's lib/ goes
before the one that comes with the Arduino core, without a word from either.
"""

from __future__ import annotations

from tinygen.errors import UsageError
from tinygen.export.bundle import Bundle

ESP_PREFIX = "esp_"
"""What most of ESP-IDF's components, and its headers, begin with."""

# The folders of components/ in espressif/esp-idf at 102122904ade (2026-07-23) whose names are C identifiers, but for
# esp_*, and those of its version 5 that went into managed components since: json, mqtt, newlib, touch_element, usb,
# wifi_provisioning.
ESP_IDF_COMPONENTS = frozenset(
    "app_trace app_update bootloader bootloader_support bt cmock console cxx driver efuse espcoredump esptool_py fatfs "
    "freertos hal heap http_parser idf_test ieee802154 json linux log lwip mbedtls mqtt newlib nvs_flash "
    "nvs_sec_provider openthread partition_table perfmon protocomm pthread riscv rt sdmmc soc spi_flash spiffs "
    "tcp_transport touch_element ulp unity usb vfs wear_levelling wifi_provisioning wpa_supplicant xtensa".split()
)

# The folders of libraries/, in lower case and where they are C identifiers, of the cores that our boards use:
# arduino/ArduinoCore-mbed at b4ad4e7218a6, stm32duino/Arduino_Core_STM32 at b4bae0dfdf34, earlephilhower/arduino-pico
# at 387294c5fe5a (all of 2026) and espressif/arduino-esp32, every version's that has a library.properties.
ARDUINO_LIBRARIES = frozenset(
    # ArduinoCore-mbed
    "arduino_can arduino_h7_video camera ethernet gc2145 gps gsm himax_hm01b0 himax_hm0360 kerneldebug mcuboot mlc "
    "mri ndp nano33ble_system nicla_system ov7670 pdm portenta_audio portenta_sdcard portenta_sdram rpc sfu spi "
    "stm32h747_system scheduler socketwrapper threaddebug usbaudio usbhid usbhost usbmidi usbmsd wifi wire doom "
    "ea_malloc openamp_arduino rpclib syntiant_ilib "
    # Arduino_Core_STM32
    "cmsis_dsp eeprom i3c iwatchdog keyboard mouse rgb_led_tlc59731 servo softwareserial srcwrapper subghz "
    "usbdevice virtio "
    # arduino-pico
    "adcinput adafruit_tinyusb_arduino arduinoota asyncudp audiobuffermanager ble btstacklib bluetoothaudio "
    "bluetoothhci bluetoothhidmaster dnsserver esphost fatfs fatfsusb hid_bluetooth hid_joystick hid_keyboard "
    "hid_mouse httpclient httpupdate httpupdateserver hash i2s joystick joystickble joystickbt keyboardble "
    "keyboardbt leamdns littlefs md5builder midiusb mouseabsolute mouseble mousebt netbios pwmaudio picoota sd sdfs "
    "spislave sdfat serialbt simplemdns singlefiledrive softwarespi ticker updater vfs webserver lwip_cyw43 "
    "lwip_esphost lwip_ethernet lwip_usb_ncm lwip_winc1500 lwip_enc28j60 lwip_w5100 lwip_w5500 lwip_w55rp20 "
    "lwip_w6100 lwip_w6300 rp2040 rp2350 "
    # arduino-esp32
    "bluetoothserial clienthttp compat8266 console esp32 esp32nvs esp32webserver espnow espwebserver esp_hostedota "
    "esp_i2s esp_now esp_sr esp_video espmdns ffat fs fspreferences functionalinterrupt insights matter "
    "multithreading network networkclientsecure oled openthread ppp polledtimeout preferences rtosticker rainmaker "
    "sd_mmc spiffs sslclient schedule simpleble tflitemicro update usb wificlientsecure wifiprov zigbee".split()
)

# The headers at the top of cores/ of the same cores, and of api/ in arduino/ArduinoCore-API, in lower case and where
# they are C identifiers: a sketch that includes one gets the core's.
ARDUINO_HEADERS = frozenset(
    # ArduinoCore-mbed and ArduinoCore-API
    "arduino cdc pluggableusbdevice rpc rpc_client rpc_internal serial wvariant device macros mbed pinmode_arduino "
    "pins_arduino arduinoapi binary client common compat errorcodes hardwarecan hardwarei2c hardwarespi "
    "hardwareserial interrupts ipaddress macaddress macaddress8 motion motionsense pluggableusb print printable "
    "realtimeclock ringbuffer server softwarertc stream string tls udp usbapi wcharacter wstring itoa variant "
    # Arduino_Core_STM32
    "hardwaretimer ipv6address softwareserial tone uartclass usartclass usb usbmschandler usbserial virtioserial "
    "winterrupts wmath wserial board chip core_debug debug pins_arduino_analog pins_arduino_common "
    "pins_arduino_digital pins_arduino_var "
    # arduino-pico
    "audiooutputbase audioringbuffer bluetoothlock bootsel coremutex fs fsimpl lwipmutex locklessqueue pioprogram "
    "polledtimeout rp2040 rp2040support rp2040usb rp2040version rp2350support semifs semihosting serialpio "
    "serialsemi serialuart serialusb streamstring tz ctocppcallback cyw43_wrappers debug_internal "
    # arduino-esp32
    "btaddress btstatus colorformat esp firmwaremsc functionqueue functionalinterrupt hexbuilder hwcdc hashbuilder "
    "md5builder sha1builder schedule stringutils ticker usbcdc usbhost usbmsc ard_ssl base64 cbuf circular_queue "
    "core_version esp_arduino_version esp_err extra_attr firmware_msc_fat freertos_stats io_pin_remap pgmspace "
    "secrets ssl_drv stdlib_noniso wiring_private".split()
)


def refuse_esp_idf_components(bundle: Bundle) -> None:
    """Raise UsageError where a model has the name of a component of ESP-IDF's."""
    for name in bundle.names:
        if name.lower() in ESP_IDF_COMPONENTS or name.lower().startswith(ESP_PREFIX):
            raise _taken(bundle, name, "ESP-IDF has, or may have, a component of that name, which it would replace")


def refuse_arduino_libraries(bundle: Bundle) -> None:
    """Raise UsageError where a model has the name of a library or header of an Arduino core; case is ignored."""
    for name in bundle.names:
        if name.lower() in ARDUINO_HEADERS:
            raise _taken(bundle, name, "an Arduino core has a header of that name, which a program would get instead")
        if name.lower() in ARDUINO_LIBRARIES:
            raise _taken(bundle, name, "an Arduino core brings a library of that name, which it would replace")


def _taken(bundle: Bundle, name: str, why: str) -> UsageError:
    model = bundle.models[bundle.names.index(name)].model.label
    more = ", one for each model" if len(bundle.models) > 1 else ""
    return UsageError(f"{model}: the model cannot be called {name}: {why}. Choose another name with --name{more}.")
