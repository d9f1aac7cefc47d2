"""Where jobs run: one small protocol (`base`), one module or package per back end."""
