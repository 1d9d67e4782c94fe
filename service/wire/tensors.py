"""Open Inference Protocol v2: named tensors into rows, answers into tensors.

One tensor a column, of shape [n] or [n, 1], its data flat or nested, null where a value is missing. Three outputs come
back: ``predict``, ``probabilities`` (classification; its parameter ``classes`` names them, as JSON text) and ``id``,
by which the truth is told later.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from automl.columns import Column, ColumnKind, Schema
from automl.task import Task
from service.prediction import Answer
from service.problems import Problem

_WHOLE = frozenset({"UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"})
_REAL = frozenset({"FP16", "FP32", "FP64"})
_KNOWN = {"BOOL", "BYTES", *_WHOLE, *_REAL}
OUTPUTS = ("predict", "probabilities", "id")
_encode = msgspec.json.Encoder().encode


class Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] = {}


class Wanted(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class Request(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] | None = None


_decoder = msgspec.json.Decoder(Request)


def read_request(body: bytes) -> Request:
    """Raises a problem for what is no request of the protocol, or asks for an output that there is not."""
    try:
        request = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(f"the body is no inference request: {error}") from None
    for wanted in request.outputs or ():
        if wanted.name not in OUTPUTS:
            raise _bad(f"there is no output {wanted.name!r}; there are {', '.join(OUTPUTS)}")
    return request


def rows_of(request: Request, most: int) -> list[dict[str, Any]]:
    """The rows that the inputs stand for."""
    columns: dict[str, list[Any]] = {}
    for tensor in request.inputs:
        if tensor.name in columns:
            raise _bad(f"the input {tensor.name!r} is there twice")
        columns[tensor.name] = _values(tensor, most)
    if not columns:
        raise _bad("there are no inputs")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {length}" for name, length in list(lengths.items())[:5])
        raise _bad(f"the inputs have different numbers of rows ({told})")
    names = list(columns)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not rows:
        raise _bad("the inputs hold no row")
    return rows


def _values(tensor: Tensor, most: int) -> list[Any]:
    """The values of one column, of the type that the tensor promises."""
    if tensor.datatype not in _KNOWN:
        raise _bad(f"the input {tensor.name!r} has the unknown datatype {tensor.datatype!r}")
    if not tensor.shape or any(size < 0 for size in tensor.shape) or math.prod(tensor.shape[1:]) != 1:
        raise _bad(f"the input {tensor.name!r} has the shape {tensor.shape}; a column's is [n] or [n, 1]")
    if tensor.shape[0] > most:
        raise _bad(f"the input {tensor.name!r} has {tensor.shape[0]} rows; the most is {most}", 413)
    values = list(_flat(tensor.data, 2))
    if len(values) != tensor.shape[0]:
        raise _bad(
            f"the input {tensor.name!r} has {len(values)} values, its shape promises {tensor.shape[0]}"
        )
    for place, value in enumerate(values):
        if value is not None and not _fits(tensor.datatype, value):
            raise _bad(f"the input {tensor.name!r} is {tensor.datatype}; its value {place} is not")
    return values


def _flat(data: Iterable[Any], depth: int) -> Iterable[Any]:
    for value in data:
        if isinstance(value, list) and depth > 1:
            yield from _flat(value, depth - 1)
        else:
            yield value


def _fits(datatype: str, value: Any) -> bool:
    if datatype == "BOOL":
        return isinstance(value, bool)
    if datatype == "BYTES":
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return datatype in _REAL or isinstance(value, int)


def answer_json(name: str, answer: Answer, request: Request) -> bytes:
    """The response to a request."""
    outputs: list[dict[str, Any]] = [_tensor("predict", list(answer.values))]
    if answer.probabilities is not None:
        shares = [share for row in answer.probabilities for share in row]
        shape = [len(answer.ids), len(answer.classes)]
        classes = _encode(list(answer.classes)).decode()
        outputs.append(
            {
                "name": "probabilities",
                "datatype": "FP64",
                "shape": shape,
                "parameters": {"classes": classes},
                "data": shares,
            }
        )
    outputs.append(_tensor("id", list(answer.ids)))
    if request.outputs:
        wanted = {one.name for one in request.outputs}
        outputs = [one for one in outputs if one["name"] in wanted]
    told: dict[str, Any] = {"model_name": name, "model_version": str(answer.model_version)}
    if request.id is not None:
        told["id"] = request.id
    return _encode({**told, "outputs": outputs})


def metadata(name: str, version: int, schema: Schema, task: Task) -> dict[str, Any]:
    """What the model takes and gives, for clients that ask first."""
    labels = {"text": "BYTES", "boolean": "BOOL", "integer": "INT64", "number": "FP64"}
    predicted = labels[schema.target.type] if task.is_classification else "FP64"
    outputs = [{"name": "predict", "datatype": predicted, "shape": [-1]}]
    if task.is_classification:
        count = len(schema.target.classes) or -1
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, count]})
    outputs.append({"name": "id", "datatype": "BYTES", "shape": [-1]})
    inputs = [
        {"name": column.name, "datatype": _datatype(column), "shape": [-1]} for column in schema.columns
    ]
    return {
        "name": name,
        "versions": [str(version)],
        "platform": "incumbent",
        "inputs": inputs,
        "outputs": outputs,
    }


def _datatype(column: Column) -> str:
    if column.kind is ColumnKind.NUMERIC:
        return "INT64" if column.integer else "FP64"
    return "BOOL" if column.kind is ColumnKind.BOOLEAN else "BYTES"


def _tensor(name: str, values: Sequence[Any]) -> dict[str, Any]:
    kinds = {bool: "BOOL", int: "INT64", float: "FP64"}
    datatype = kinds.get(type(values[0]), "BYTES") if values else "BYTES"
    return {"name": name, "datatype": datatype, "shape": [len(values)], "data": list(values)}


def _bad(detail: str, status: int = 400) -> Problem:
    return Problem(status, "invalid_inference_request", detail[0].upper() + detail[1:] + ".")
