"""A Zephyr module with a library for each model, and a sample that runs the self-test."""

from __future__ import annotations

from tinygen.export.bundle import Bundle
from tinygen.export.needs import require_ids
from tinygen.export.render import (
    c_files,
    counter_files,
    firmware_files,
    project_models,
    render,
    selftest_program,
    sources_among,
)

NAME = "zephyr"
MAIN_STACK_BYTES = 4096


def export(bundle: Bundle) -> dict[str, str]:
    """zephyr/module.yml, NAME/ for each model, samples/selftest/."""
    require_ids(bundle.board, NAME, "zephyr_board")
    sample = "samples/selftest/"
    counter = firmware_files(counter_files(bundle.board), f"{sample}src/")
    program = {**selftest_program(bundle, f"{sample}src/"), **counter}
    files = {
        "zephyr/module.yml": render("zephyr/module.yml", bundle),
        "CMakeLists.txt": render("zephyr/CMakeLists.txt", bundle),
        "Kconfig": render("zephyr/Kconfig", bundle),
        "README.md": render("zephyr/README.md", bundle),
        f"{sample}CMakeLists.txt": render("zephyr/sample_CMakeLists.txt", bundle, sources=sources_among(program)),
        f"{sample}prj.conf": render("zephyr/prj.conf", bundle, stack_bytes=MAIN_STACK_BYTES),
        f"{sample}sample.yaml": render("zephyr/sample.yaml", bundle),
        f"{sample}src/main.c": render("zephyr/main.c", bundle),
        **program,
    }
    for index, model in enumerate(project_models(bundle)):
        folder = f"{model.name}/"
        files[f"{folder}CMakeLists.txt"] = render("zephyr/model_CMakeLists.txt", bundle, model=model)
        files[f"{folder}Kconfig"] = render("zephyr/model_Kconfig", bundle, model=model)
        files |= c_files(bundle, index, f"{folder}include/", f"{folder}src/")
    return files
