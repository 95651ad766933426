"""aiflow: durable AI pipelines as plain YAML."""

__version__ = "0.1.0"
