"""A workflow as a picture. `words` has what is said of it; `mermaid` and `svg` draw it, `aiflow.cli._outline` writes it."""
