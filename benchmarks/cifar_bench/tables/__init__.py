"""Tables of a report, as text."""
