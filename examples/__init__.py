"""Models that the project trains itself, with the scripts that made them."""
