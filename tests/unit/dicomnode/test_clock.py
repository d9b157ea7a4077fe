"""Who reads the time by itself: nobody whose look is to be tested at any moment."""

from __future__ import annotations

import ast

from dicomnode.clock import Clock
from support.sources import modules, tree

SHELLS = ("analyse", "assess", "cleaner", "deliver", "disk_gate", "notes", "processes", "receive")
READS = {("datetime", "now"), ("time", "time"), ("time", "monotonic"), ("time", "sleep")}
WAITING = {
    "dicomnode.processes.nursery.__init__",  # till when the next waits for what it imports
    "dicomnode.processes.nursery._look",
    "dicomnode.processes.nursery.settled",
    "dicomnode.processes.nursery.wait",  # as that of a process of Python's subprocess
    "dicomnode.processes.ports.bound",  # for a port that another process still holds
    "dicomnode.processes.reload_request.ask_to_reload",  # for the answer of the node
    "dicomnode.receive.receiver._let_associations_end",  # to end, at a stop
}
"""Loops that wait for something outside, and end after a while."""


def _reads_the_time(function: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in READS
        for node in ast.walk(function)
    )


def test_the_shells_are_told_the_time() -> None:
    found = {
        f"{name}.{function.name}"
        for name, path in modules().items()
        if name.startswith("dicomnode.") and name.split(".")[1] in SHELLS
        for function in ast.walk(tree(path))
        if isinstance(function, ast.FunctionDef) and _reads_the_time(function)
    }
    assert found == WAITING


def test_the_clock_is_that_of_the_machine_and_knows_its_zone() -> None:
    clock = Clock()
    first, second = clock.now(), clock.now()
    assert first <= second
    assert first.utcoffset() is not None
    assert clock.seconds() <= clock.seconds()
