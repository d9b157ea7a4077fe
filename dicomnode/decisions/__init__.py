"""Pure decisions: frozen dataclasses in and out, `now` an argument, no I/O."""
