"""The command line: one typer app in `app.py`, a file a command, in the order of the work."""
