"""Names for what a replay inserts into a model: Keras refuses a model two of whose operations have one name.

Keras counts names up in each process, so that an operation inserted by the first export of a process is called as
the first layer of its kind in the model is. Operations of ``keras.ops`` take no name from their caller: they are
renamed where they were made.
"""

from typing import Any


class InsertedNames:
    """Renames inserted layers and operations whose names the model has already."""

    def __init__(self, model: Any) -> None:
        """Nothing is inserted yet.

        Args:
            model: the functional model that is replayed; the copies of its layers keep their names.
        """
        self._taken = {str(operation.name) for operation in model.operations}
        # Operations, not their ids alone: the id of one that is gone is given to another.
        self._settled: dict[int, Any] = {}

    def settle(self, copy: Any, given: list[Any], made: list[Any]) -> None:
        """Gives all that stands between two lists of tensors names of their own.

        What takes the place of a layer may have its name.

        Args:
            copy: the copy of the layer whose call is replayed; perhaps it was not called.
            given: Keras tensors, what the call takes.
            made: Keras tensors, what stands for its outputs.
        """
        found = self._new_operations(given, made)
        is_used = id(copy) in self._settled or any(operation is copy for operation in found)
        vacant = set() if is_used else {copy.name}
        for operation in found:
            if operation is not copy and operation.name in self._taken - vacant:
                operation.name = self._unused(operation.name)
            vacant.discard(operation.name)
            self._taken.add(operation.name)
            self._settled[id(operation)] = operation

    def _new_operations(self, given: list[Any], made: list[Any]) -> list[Any]:
        """The operations that lead from one to the other, those last that were made last."""
        ends = {id(tensor) for tensor in given}
        found: dict[int, Any] = {}
        waiting = list(made)
        while waiting:
            tensor = waiting.pop()
            operation, node_index, _ = tensor._keras_history
            if id(tensor) in ends or id(operation) in self._settled or id(operation) in found:
                continue
            node = operation._inbound_nodes[node_index]
            if node.is_input:
                continue
            found[id(operation)] = operation
            waiting.extend(node.input_tensors)
        return list(reversed(found.values()))

    def _unused(self, name: str) -> str:
        number = 1
        while f"{name}_{number}" in self._taken:
            number += 1
        return f"{name}_{number}"
