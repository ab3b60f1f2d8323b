"""The Jinja environment: templates look like C, and an undefined name is an error."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tinygen.emit.literals import array_lines, call_lines, float_literal, literal
from tinygen.emit.names import comment_text
from tinygen.resources import resource_path


@cache
def environment() -> Environment:
    """Line statements start with `//%`, line comments with `//#`."""
    env = Environment(
        loader=FileSystemLoader(resource_path("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        line_statement_prefix="//%",
        line_comment_prefix="//#",
        autoescape=False,
    )
    env.filters["literal"] = literal
    env.filters["float_literal"] = float_literal
    env.filters["comment"] = comment_text
    env.filters["array_lines"] = array_lines
    env.filters["call_lines"] = call_lines
    return env


@cache
def support_functions() -> tuple[str, ...]:
    """Names of the helpers in templates/support, one function a file."""
    return tuple(sorted(path.name.removesuffix(".c.j2") for path in (resource_path("templates") / "support").iterdir()))


def support_text(code: str) -> str:
    """The helpers that the code calls, and those that they call, each before its first use."""
    chosen: list[str] = []
    texts: dict[str, str] = {}

    def need(text: str) -> None:
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        for name in support_functions():
            if name not in texts and re.search(rf"\b{name}\(", code):
                texts[name] = environment().get_template(f"support/{name}.c.j2").render()
                need(texts[name])
                chosen.append(name)

    need(code)
    return "\n".join(texts[name] for name in chosen)
