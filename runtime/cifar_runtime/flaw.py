"""What is wrong with a JSON document, in words, for who reads one and meets an exception. Pure."""


def flaw_of(error: Exception) -> str:
    """What the exception says of the document, without Python's words for it where they say little; no full stop."""
    if isinstance(error, KeyError):
        return f"the field {error.args[0]} is missing"
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    if isinstance(error, ValueError):
        return str(error).rstrip(".")
    return "a field is of another type than expected"
