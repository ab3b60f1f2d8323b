"""An Arduino library for each model; its example is the self-test, which needs no compiler flags."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tinygen.export.bundle import Bundle
from tinygen.export.needs import require_ids
from tinygen.export.render import (
    c_files,
    counter_files,
    firmware_files,
    is_espressif,
    project_models,
    render,
    selftest_program,
)
from tinygen.export.taken import refuse_arduino_libraries

NAME = "arduino"


def export(bundle: Bundle) -> dict[str, str]:
    """One model: the folder is the library. Several: a library each, and a sketch that uses them together."""
    require_ids(bundle.board, NAME, "arduino_fqbn")
    refuse_arduino_libraries(bundle)
    several = len(bundle.models) > 1
    files: dict[str, str] = {}
    for index in range(len(bundle.models)):
        only = slice(index, index + 1)
        alone = Bundle(
            bundle.models[only], bundle.selftests[only], inferences=bundle.inferences, sizes=bundle.sizes[only]
        )
        root = f"{alone.name}/" if several else ""
        files |= {root + path: text for path, text in _library(alone).items()}
    together = f"{bundle.name}_app"
    if several:
        files[f"{together}/{together}.ino"] = render("arduino/app.ino", bundle)
    root = f"{bundle.names[0]}/" if several else ""
    files["README.md"] = render("arduino/README.md", bundle, together=together, root=root)
    return files


def _library(bundle: Bundle) -> dict[str, str]:
    """The library of a bundle of one model."""
    (model,) = project_models(bundle)
    name = model.name
    sketch = f"examples/{name}/"
    checked = f"{name}_checked.h"
    files = {
        "library.properties": render("arduino/library.properties", bundle, model=model),
        f"examples/{name}_app/{name}_app.ino": render("arduino/app.ino", bundle),
        f"{sketch}{name}.ino": render("arduino/selftest.ino", bundle),
        f"{sketch}{checked}": render(
            "arduino/checked.h", bundle, model=model, functions=_functions(bundle.models[0].sources.files, name)
        ),
        f"{sketch}{name}_checked.c": render("arduino/checked.c", bundle, model=model),
        f"{sketch}selftests.h": selftest_program(bundle, "")["selftests.h"],
        f"{sketch}selftests.c": render("common/selftests.c", bundle, checked=(checked,)),
    }
    if not is_espressif(bundle.board):
        files |= firmware_files(counter_files(bundle.board), sketch)
    for path, text in c_files(bundle, 0, "src/", "src/").items():
        if path.startswith(f"src/{name}_selftest."):
            # Arduino gives a library no flags, so the self-test lies in the sketch and switches itself on
            switch = f'*/\n#include "{checked}"\n\n' if path.endswith(".c") else "*/\n"
            files[sketch + path.removeprefix("src/")] = text.replace("*/\n", switch, 1)
        else:
            files[path] = text
    return files


def _functions(sources: Mapping[str, str], name: str) -> list[str]:
    """The functions of NAME.h, which the self-test's own copy of the model must not share with the library's."""
    header = re.sub(r"/\*.*?\*/", "", sources[f"{name}.h"], flags=re.DOTALL)
    found = re.findall(rf"\b({re.escape(name)}_\w+)\(", header)
    return [function for function in dict.fromkeys(found) if function != f"{name}_validate_step"]
