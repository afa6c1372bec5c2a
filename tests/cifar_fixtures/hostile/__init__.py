"""Model, card and picture files that must each end a command with its documented exit code; none is committed."""
