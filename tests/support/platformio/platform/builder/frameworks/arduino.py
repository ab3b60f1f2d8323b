"""The Arduino core: its header, and start-up and core beside the project's own sources."""

from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
core = str(Path(env.PioPlatform().get_dir()) / "core")
env.Append(CPPPATH=[core], CPPDEFINES=[("ARDUINO", 10819)])
env.BuildSources(str(Path("$BUILD_DIR") / "core"), core)
