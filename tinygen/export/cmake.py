"""A CMake project: a target for each model, a test that runs here, a toolchain file for the board's CPU."""

from __future__ import annotations

from tinygen.boards import Board
from tinygen.export.bundle import Bundle
from tinygen.export.render import c_files, file_name, firmware_files, project_models, render, selftest_program
from tinygen.targets import Architecture

NAME = "cmake"


def export(bundle: Bundle) -> dict[str, str]:
    """NAME/ for each model, test/ with the self-test, cmake/ with the toolchain file BOARD.cmake."""
    processor, prefix, flags = _compiler(bundle.board)
    toolchain = render(
        "cmake/toolchain.cmake",
        bundle,
        processor=processor,
        prefix=prefix,
        flags=" ".join(flags),
        link_flags=" ".join(bundle.board.target.gcc_link_flags),
    )
    files = {
        "CMakeLists.txt": render("cmake/CMakeLists.txt", bundle),
        "README.md": render("cmake/README.md", bundle),
        f"cmake/{file_name(bundle.board.name)}.cmake": toolchain,
        **firmware_files(["include/string.h"], "cmake/"),
        "test/CMakeLists.txt": render("cmake/test_CMakeLists.txt", bundle),
        "test/main.c": render("cmake/main.c", bundle),
        **selftest_program(bundle, "test/"),
    }
    for index, model in enumerate(project_models(bundle)):
        folder = f"{model.name}/"
        files[f"{folder}CMakeLists.txt"] = render("cmake/model_CMakeLists.txt", bundle, model=model)
        files |= c_files(bundle, index, f"{folder}include/", f"{folder}src/")
    return files


def _compiler(board: Board) -> tuple[str, str, tuple[str, ...]]:
    """CMake's name for the processor, the prefix of the compiler's programs, and its options for the CPU."""
    target = board.target
    if target.architecture is Architecture.ARM_M:
        return "arm", "arm-none-eabi-", target.gcc_flags
    if target.architecture is Architecture.RISCV32:
        own = "riscv32-esp-elf-" if board.project.esp_idf_target else "riscv64-unknown-elf-"
        return "riscv32", own, target.gcc_flags
    # Espressif's compiler, of ESP-IDF: one for each chip
    return "xtensa", f"xtensa-{board.project.esp_idf_target or 'esp32'}-elf-", ("-mlongcalls",)
