"""One list of checks (`table.py`), and what runs them: by name, by tier, or by what a change can affect."""
