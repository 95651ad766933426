"""The language server of aiflow: what a JSON Schema cannot tell editors. See `docs/editors.md`."""
