"""A small builder for ONNX graphs: nodes are written as calls, names are made up."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 24
IR_VERSION = 11  # the newest that ONNX Runtime 1.29 reads without a warning

Store = Callable[[np.ndarray, str], TensorProto]  # makes a constant of that name


class Graph:
    def __init__(self, prefix: str = "", store: Store = numpy_helper.from_array) -> None:
        self.nodes: list = []
        self.initializers: list = []
        self.prefix = prefix
        self.store = store
        self.count = 0

    def name(self, hint: str) -> str:
        self.count += 1
        return f"{self.prefix}{hint}_{self.count}"

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Adds a node with one output and returns its name."""
        return self.ops(kind, *inputs, outputs=outputs, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        names = [self.name(kind) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=self.name(kind + "_node"), **attributes))
        return names

    def constant(self, value: ArrayLike, hint: str = "constant") -> str:
        name = self.name(hint)
        self.initializers.append(self.store(np.ascontiguousarray(value), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64), "ints")

    def rename(self, old: str, new: str) -> None:
        """Gives a value the name of a graph output."""
        self.nodes.append(helper.make_node("Identity", [old], [new], name=self.name("output")))

    def branch(self, name: str, outputs: Sequence[tuple[str, int]]):
        """This graph as the branch of an If: it sees the values around it and has no inputs."""
        values = [helper.make_tensor_value_info(output, kind, None) for output, kind in outputs]
        return helper.make_graph(self.nodes, name, [], values, self.initializers)

    def model(self, name: str, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]):
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.initializers)
        domains = {"": OPSET} | {node.domain: 1 for node in self.nodes if node.domain}
        imports = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
        model = helper.make_model(graph, opset_imports=imports, producer_name="fewstep")
        model.ir_version = IR_VERSION
        return model


def value(name: str, kind: int, shape: Sequence[str | int]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


FLOAT, FLOAT16, DOUBLE, INT32, INT64, BOOL = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.DOUBLE,
    TensorProto.INT32,
    TensorProto.INT64,
    TensorProto.BOOL,
)
