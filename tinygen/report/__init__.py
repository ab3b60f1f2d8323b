"""What a person or a machine is shown: tables, the memory map, the manifest."""
