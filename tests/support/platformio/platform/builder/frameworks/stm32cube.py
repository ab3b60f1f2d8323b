"""Only start-up: tinygen's program for stm32cube brings its own main and console."""

from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
core = str(Path(env.PioPlatform().get_dir()) / "core")
env.BuildSources(str(Path("$BUILD_DIR") / "core"), core, "+<start.c>")
