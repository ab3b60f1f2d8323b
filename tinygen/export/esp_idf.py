"""An ESP-IDF project: a component for each model, and a main that runs the self-test."""

from __future__ import annotations

from tinygen.export.bundle import Bundle
from tinygen.export.needs import require_ids
from tinygen.export.render import c_files, project_models, render, selftest_program
from tinygen.export.taken import refuse_esp_idf_components

NAME = "esp-idf"


def export(bundle: Bundle) -> dict[str, str]:
    """components/NAME/ for each model, main/ with the self-test."""
    require_ids(bundle.board, NAME, "esp_idf_target")
    refuse_esp_idf_components(bundle)
    files = {
        "CMakeLists.txt": render("esp_idf/CMakeLists.txt", bundle),
        "README.md": render("esp_idf/README.md", bundle),
        "sdkconfig.defaults": render("esp_idf/sdkconfig.defaults", bundle),
        "main/CMakeLists.txt": render("esp_idf/main_CMakeLists.txt", bundle),
        "main/main.c": render("esp_idf/main.c", bundle),
        **selftest_program(bundle, "main/"),
    }
    for index, model in enumerate(project_models(bundle)):
        folder = f"components/{model.name}/"
        files[f"{folder}CMakeLists.txt"] = render("esp_idf/component_CMakeLists.txt", bundle, model=model)
        files[f"{folder}Kconfig"] = render("esp_idf/Kconfig", bundle, model=model)
        files[f"{folder}idf_component.yml"] = render("esp_idf/idf_component.yml", bundle, model=model)
        files |= c_files(bundle, index, f"{folder}include/", f"{folder}src/")
    return files
