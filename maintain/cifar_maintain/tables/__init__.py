"""Tables and pictures of README and docs, drawn from recorded reports."""
