"""The JSON that machines read, a function a command. Fields are only ever added."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath

from tinygen.boards import Board, MemoryKind
from tinygen.compile import Compiled
from tinygen.emulate import SelfTest
from tinygen.export import Bundle, ProjectKind
from tinygen.export.folder import SHA256, Content, checksums_of
from tinygen.ir import Constraint, Op, Tensor
from tinygen.ledger import CodeSize, ledger
from tinygen.program import Layer, Program
from tinygen.report.changes import Json, changes_json
from tinygen.tflite import ModelFile
from tinygen.toolchain import Tool
from tinygen.validate.arena import ArenaProof
from tinygen.validate.compare import Difference
from tinygen.validate.run import Comparison
from tinygen.version import VERSION


def build_manifest(compiled: Compiled, size: CodeSize | None) -> Json:
    """One model; sizes that need a compiler are null without one."""
    program = compiled.program
    return {
        "model": program.graph.name,
        "model_sha256": compiled.model.sha256,
        "name": program.name,
        "board": compiled.board.name,
        "target": compiled.board.target.name,
        "optimize": compiled.options.optimize.value,
        "input": compiled.options.input_form.value,
        "kernels_named": kernels_named(compiled),
        "reference": compiled.options.reference.value,
        "tinygen": VERSION,
        "arena_bytes": program.plan.arena_bytes,
        "lower_bound_bytes": program.plan.lower_bound_bytes,
        "ledger": ledger_json(program, size),
        "placement": placement_json(compiled),
        "weights_bytes": program.weights_bytes,
        "code_bytes": size.code_bytes if size else None,
        "flash_bytes": size.code_bytes + size.weights_bytes if size else None,
        "stack_bytes": size.stack_bytes if size else None,
        "macs": program.graph.macs,
        "model_macs": compiled.model.graph.macs,
        "layers": [layer_json(program, layer) for layer in program.layers],
        **changes_json(program.graph),
        "files": sorted(compiled.sources.files),
        "notes": list(compiled.model.notes),
    }


def ledger_json(program: Program, size: CodeSize | None) -> Json:
    """Every byte of RAM and flash; state, activations, scratch and unused add up to the arena.

    Code and stack, the worst case by the compiler's report, are null without a compiler.
    """
    book = ledger(program)
    return {
        "arena_bytes": book.arena_bytes,
        "state_bytes": book.state_bytes,
        "activation_bytes": book.activation_bytes,
        "scratch_bytes": book.scratch_bytes,
        "unused_bytes": book.unused_bytes,
        "stack_bytes": size.stack_bytes if size else None,
        "constant_bytes": book.constant_bytes,
        "code_bytes": size.code_bytes if size else None,
    }


def placement_json(compiled: Compiled) -> Json:
    """The memories of arena and constants, by their names in the board's description."""
    place, board = compiled.placement, compiled.board
    return {
        "arena_memory": (place.arena or board.ram).name,
        "weights_memory": (board.window(MemoryKind.CONSTANTS) or board.flash).name,
        "fast_weights_memory": place.weights.name if place.weights else None,
        "fast_weights_bytes": place.constant_bytes,
        "fast_weights": sorted(place.constants),
    }


def kernels_named(compiled: Compiled) -> dict[str, str]:
    """What `--kernel` said, by layer."""
    return {str(layer): name for layer, name in sorted(compiled.options.kernels.items())}


def inspect_json(compiled: Compiled, problem: str | None) -> Json:
    """What `inspect --board --json` prints: the manifest that a build would have, and why it does not fit, or null."""
    board = compiled.board
    return {
        **build_manifest(compiled, None),
        "fits": problem is None,
        "problem": problem,
        "ram_needed_bytes": compiled.program.plan.arena_bytes + board.stack_bytes,
        "ram_bytes": board.ram_bytes,
        "board_flash_bytes": board.flash_bytes,
    }


def project_manifest(
    bundle: Bundle, kind: ProjectKind, sizes: Sequence[CodeSize | None], files: Mapping[str, Content]
) -> Json:
    """What `build` writes and prints about a project: of one model its own manifest, of several a list of them.

    `files` of the project are all it holds; `files` of a model in the list are that model's.
    """
    paths = sorted(files)
    project: Json = {
        "export": kind.value,
        "self_test_inputs": bundle.inferences,
        "shared_arena": bundle.shared_arena,
        "files": paths,
        SHA256: checksums_of(files),
    }
    models = [build_manifest(model, size) for model, size in zip(bundle.models, sizes, strict=True)]
    if len(models) == 1:
        return {**models[0], **project}
    for manifest, model, selftest in zip(models, bundle.models, bundle.selftests, strict=True):
        own = {*model.sources.files, *selftest}
        manifest["files"] = [path for path in paths if PurePosixPath(path).name in own]
    flash = [manifest["flash_bytes"] for manifest in models]
    return {
        "tinygen": VERSION,
        "board": bundle.board.name,
        "target": bundle.board.target.name,
        **project,
        "arena_bytes": bundle.arena_bytes,
        "weights_bytes": sum(manifest["weights_bytes"] for manifest in models),
        "flash_bytes": None if None in flash else sum(flash),
        "models": models,
    }


def layer_json(program: Program, layer: Layer) -> Json:
    """One layer: operator, kernel (null for a view), shapes, MACs and offsets of its run-time tensors in the arena."""
    node = program.graph.nodes[layer.index]
    inputs = [t for t in node.inputs if t is not None and not t.is_constant]
    views = program.plan.views
    return {
        "index": layer.index,
        "op": layer.op_name,
        "kernel": layer.instance.kernel.name if layer.instance else None,
        "input_shapes": [list(t.shape) for t in inputs],
        "output_shapes": [list(t.shape) for t in node.outputs],
        "macs": node.op.macs(node),
        "input_offsets": [views[t.index].offset_bytes for t in inputs if t.index in views],  # pushed rows lie nowhere
        "output_offsets": [views[t.index].offset_bytes for t in node.outputs],
        "scratch_offset": layer.scratch_offset,
    }


def comparison_json(comparison: Comparison) -> Json:
    """What `validate --json` prints."""
    compiled, totals = comparison.compiled, comparison.totals
    return {
        "model": compiled.program.graph.name,
        "model_sha256": compiled.model.sha256,
        "board": compiled.board.name,
        "emulator": comparison.emulator,
        "toolchain": comparison.toolchain,
        "reference": compiled.options.reference.value,
        "optimize": compiled.options.optimize.value,
        "input": compiled.options.input_form.value,
        "kernels_named": kernels_named(compiled),
        "inputs": len(comparison.inputs),
        "tensors_compared": totals.tensors_compared,
        **changes_json(compiled.program.graph),
        "values_compared": totals.values_compared,
        "values_different": totals.values_different,
        "largest_difference": _number(totals.largest_difference),
        "first_difference": _difference_json(comparison.first_difference),
        "instructions_min": comparison.instructions_min,
        "instructions_max": comparison.instructions_max,
        "arena_bytes": compiled.program.plan.arena_bytes,
        "stack_bytes": comparison.stack_bytes,
        "stack_bound_bytes": comparison.stack_bound_bytes,
        "arena_proof": arena_json(comparison.arena) if comparison.arena else None,
        "notes": [*compiled.model.notes, *comparison.notes],
        "equal": comparison.equal,
    }


def arena_json(proof: ArenaProof) -> Json:
    """What two runs in differently painted arenas came to; the first difference, or null."""
    return {
        "paints": list(proof.paints),
        "guard_bytes": proof.guard_bytes,
        "bytes_compared": proof.bytes_compared,
        "independent_of_arena": proof.holds,
        "first_difference": None if proof.difference is None else asdict(proof.difference),
    }


def selftest_json(name: str, board: str, result: SelfTest) -> Json:
    """What `validate --port --json` prints; cycles are null where the core has no counter."""
    return {
        "name": name,
        "board": board,
        "model": result.model,
        "layers": result.layers,
        "cycles": result.cycles,
        "differences": list(result.differences),
        "lines": list(result.lines),
        "equal": result.passed,
    }


def _number(value: float) -> float | str:
    """JSON has no NaN and no infinity: they become text."""
    return value if math.isfinite(value) else str(value)


def _difference_json(difference: Difference | None) -> Json | None:
    if difference is None:
        return None
    return {
        "inference": difference.inference,
        "layer": difference.layer,
        "op": difference.op,
        "tensor": difference.tensor,
        "element": list(difference.element),
        "expected": _number(difference.expected),
        "found": _number(difference.found),
    }


def graph_json(model: ModelFile) -> Json:
    """What `inspect --json` prints without a board: the graph as it was read."""
    graph = model.graph
    return {
        "model": graph.name,
        "model_sha256": model.sha256,
        "macs": graph.macs,
        "inputs": [_tensor_json(t) for t in graph.inputs],
        "outputs": [_tensor_json(t) for t in graph.outputs],
        "layers": [
            {
                "index": index,
                "op": node.op.name,
                "inputs": [None if t is None else _tensor_json(t) for t in node.inputs],
                "outputs": [_tensor_json(t) for t in node.outputs],
                "macs": node.op.macs(node),
            }
            for index, node in enumerate(graph.nodes)
        ],
        "notes": list(model.notes),
    }


def board_json(board: Board) -> Json:
    """One board, for `boards --json`."""
    return {
        "name": board.name,
        "title": board.title,
        "chip": board.chip,
        "target": board.target.name,
        "features": sorted(board.target.features),
        "clock_hz": board.clock_hz,
        "flash_bytes": board.flash_bytes,
        "ram_bytes": board.ram_bytes,
        "stack_bytes": board.stack_bytes,
    }


def op_json(op: type[Op]) -> Json:
    """One operator, for `ops --json`."""
    return {
        "name": op.name,
        "version": op.version,
        "kernels": [kernel.name for kernel in op.kernels],
        "kernel_needs": {
            kernel.name: {
                "features": sorted(kernel.features),
                "rules": [rule_sentence(rule) for rule in kernel.constraints],
            }
            for kernel in op.kernels
        },
        "rules": [rule_sentence(rule) for rule in op.constraints],
    }


def tool_json(tool: Tool) -> Json:
    """One row of `doctor --json`; version and path are null when the tool is missing."""
    return {
        "name": tool.name,
        "version": tool.version,
        "path": tool.path or None,
        "purpose": tool.purpose,
        "install": tool.install,
    }


def rule_sentence(rule: Constraint) -> str:
    """A constraint as the user reads it."""
    return " ".join((rule.__doc__ or "").split())


def _tensor_json(tensor: Tensor) -> Json:
    quant = tensor.quant
    return {
        "index": tensor.index,
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype.value,
        "constant": tensor.is_constant,
        "scales": list(quant.scales) if quant else None,
        "zero_points": list(quant.zero_points) if quant else None,
    }
