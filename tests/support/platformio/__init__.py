"""A PlatformIO that needs no network: local platforms under the vendors' names, with a stub of the Arduino core."""
