"""What PlatformIO's own platforms call our boards, copied as facts from the board files that `source` names."""

from __future__ import annotations

from dataclasses import dataclass

GITHUB = "https://github.com/platformio"


@dataclass(frozen=True)
class VendorBoard:
    """One file `boards/ID.json` of a platform's repository. `flash_offset` is what its core keeps for a boot loader."""

    board: str  # ours
    platform: str
    id: str
    frameworks: tuple[str, ...]
    cpu: str
    mcu: str
    clock_hz: int
    flash_bytes: int  # upload.maximum_size
    ram_bytes: int  # upload.maximum_ram_size
    flash_offset: int = 0

    @property
    def source(self) -> str:
        return f"{GITHUB}/platform-{self.platform}/blob/develop/boards/{self.id}.json"


ESP = ("arduino", "espidf")
ST = ("arduino", "cmsis", "mbed", "stm32cube", "zephyr")

# Read at these commits: nordicnrf52 2bd968e, nordicnrf51 57a6157 (its microbit has no mbed any more), ststm32 018acc3,
# raspberrypi 1790e0f, espressif32 4ed1943 (6.13.0).
VENDOR_BOARDS: tuple[VendorBoard, ...] = (
    VendorBoard(
        "nano33", "nordicnrf52", "nano33ble", ("arduino",), "cortex-m4", "nrf52840", 64_000_000, 983040, 262144, 0x10000
    ),
    VendorBoard(
        "microbit",
        "nordicnrf51",
        "bbcmicrobit",
        ("arduino", "zephyr"),
        "cortex-m0",
        "nrf51822",
        16_000_000,
        262144,
        16384,
    ),
    VendorBoard(
        "nucleo-l4r5zi", "ststm32", "nucleo_l4r5zi", ST, "cortex-m4", "stm32l4r5zit6", 120_000_000, 2097152, 655360
    ),
    VendorBoard(
        "nucleo-h743zi", "ststm32", "nucleo_h743zi", ST, "cortex-m7", "stm32h743zit6", 400_000_000, 2097152, 524288
    ),
    VendorBoard(
        "nucleo-u575zi",
        "ststm32",
        "nucleo_u575zi_q",
        ("arduino", "mbed", "zephyr"),
        "cortex-m33",
        "stm32u575zit6q",
        160_000_000,
        2097152,
        786432,
    ),
    VendorBoard(
        "stm32f4-discovery",
        "ststm32",
        "disco_f407vg",
        ("arduino", "cmsis", "spl", "libopencm3", "stm32cube", "zephyr"),
        "cortex-m4",
        "stm32f407vgt6",
        168_000_000,
        1048576,
        131072,
    ),
    VendorBoard(
        "stm32f746-discovery",
        "ststm32",
        "disco_f746ng",
        ("arduino", "cmsis", "mbed", "stm32cube", "libopencm3", "zephyr"),
        "cortex-m7",
        "stm32f746ngh6",
        216_000_000,
        1048576,
        327680,
    ),
    VendorBoard(
        "pico", "raspberrypi", "pico", ("arduino",), "cortex-m0plus", "rp2040", 133_000_000, 2097152, 270336, 0x100
    ),
    VendorBoard("esp32", "espressif32", "esp32dev", ESP, "", "esp32", 240_000_000, 4194304, 327680),
    VendorBoard("esp32s3", "espressif32", "esp32-s3-devkitc-1", ESP, "", "esp32s3", 240_000_000, 8388608, 327680),
    VendorBoard("esp32c3", "espressif32", "esp32-c3-devkitm-1", ESP, "", "esp32c3", 160_000_000, 4194304, 327680),
)
