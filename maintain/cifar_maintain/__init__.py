"""This repository's own tables, README and shipped samples; in no wheel."""
