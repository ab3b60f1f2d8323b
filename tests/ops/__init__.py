"""Every operator: numpy against the interpreters, C against numpy on the host, C against numpy emulated."""
