"""A progress that keeps what it is given."""


class CountedSteps:
    """Sentences, each with the counts that came after it."""

    def __init__(self) -> None:
        self.counts: dict[str, list[tuple[int, int]]] = {"": []}

    def __call__(self, sentence: str) -> None:
        self.counts[sentence] = self.counts.pop(sentence, [])

    def update(self, done: int, total: int) -> None:
        self.counts[list(self.counts)[-1]].append((done, total))

    def counts_after(self, beginning: str) -> list[tuple[int, int]]:
        """Of the one sentence that begins so."""
        (found,) = (counts for said, counts in self.counts.items() if said.startswith(beginning))
        return found
