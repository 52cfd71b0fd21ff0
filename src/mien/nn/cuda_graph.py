"""A network whose forward and backward passes are CUDA graphs: recorded once, then replayed without Python.

A network of many small kernels, such as POSTER V2 at 64 pixels, otherwise waits for the processor to launch them.
torch.cuda.make_graphed_callables does the same and cannot be recorded while another thread pins memory for a data
loader; here only the recording thread is held to the rules of a recording.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mien.core.errors import MienError, one_line

WARM_UP = 3  # passes before the recording, in which cuDNN and the allocator settle


class GraphedNetwork:
    """Gives what `network` gives, for inputs of the shapes that were recorded with and in the same mode.

    network: its parameters must stay where they are (they may change in place) and must not exchange what requires a
    gradient. inputs: examples on the GPU. bf16: autocast to bfloat16. Weights, BatchNorm statistics and gradients are
    after the recording as they were before it; the generator of random numbers is not, so seed it again. Raises
    MienError where the network asks the GPU for a number while it computes, which no graph can record.

    Outputs and gradients are copies, so they may be kept. The backward pass belongs to the last forward pass: a loss
    that calls the network twice raises MienError. Needs a CUDA device.
    """

    def __init__(self, network: nn.Module, inputs: Sequence[Tensor], *, bf16: bool = False) -> None:
        self.calls, self.batch = 0, len(inputs[0])
        self._static = [torch.empty_like(value).copy_(value.detach()) for value in inputs]
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._pool = torch.cuda.graph_pool_handle()
        self._forward, self._backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        device = inputs[0].device.type
        with unchanged_buffers(network), torch.autocast(device, torch.bfloat16, enabled=bf16, cache_enabled=False):
            self._warm_up(network)
            try:
                self._record(network)
            except RuntimeError as error:
                raise MienError(
                    f"trainer.cuda_graph: this network cannot be recorded ({one_line(error)}). Leave it out."
                ) from error

    def _record(self, network: nn.Module) -> None:
        with torch.cuda.graph(self._forward, pool=self._pool, capture_error_mode="thread_local"):
            outputs = network(*self._static)
        differentiable = [value for value in outputs.values() if value.requires_grad]
        self._output_gradients = [torch.zeros_like(value) for value in differentiable]
        with torch.cuda.graph(self._backward, pool=self._pool, capture_error_mode="thread_local"):
            self._gradients = self._gradients_of(differentiable, self._output_gradients)
        self._names = list(outputs)
        self._fixed = [not value.requires_grad for value in outputs.values()]
        # Without their graph, whose nodes would gather the gradients of later steps on the recording's stream.
        self._outputs = [value.detach() for value in outputs.values()]

    def _warm_up(self, network: nn.Module) -> None:
        """On a stream of its own, as torch.cuda.graph asks for."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                outputs = [value for value in network(*self._static).values() if value.requires_grad]
                self._gradients_of(outputs, [torch.zeros_like(value) for value in outputs])
        torch.cuda.current_stream().wait_stream(stream)
        torch.cuda.synchronize()

    def _gradients_of(self, outputs: list[Tensor], gradients: list[Tensor]) -> tuple[Tensor | None, ...]:
        return torch.autograd.grad(outputs, self._parameters, gradients, allow_unused=True)

    def fits(self, inputs: Sequence[Tensor]) -> bool:
        """Whether the inputs have the shapes that were recorded."""
        shapes = [(value.shape, value.dtype) for value in self._static]
        return [(value.shape, value.dtype) for value in inputs] == shapes

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        found: Any = _Replay.apply(self, len(inputs), *inputs, *self._parameters)
        return dict(zip(self._names, found, strict=True))

    def replay_forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        torch._foreach_copy_(self._static, list(inputs))
        self._forward.replay()
        self.calls += 1
        return tuple(value.clone() for value in self._outputs)

    def fixed_outputs(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Those through which no gradient flows."""
        return [value for value, fixed in zip(outputs, self._fixed, strict=True) if fixed]

    def replay_backward(self, gradients: Sequence[Tensor | None], *, call: int) -> list[Tensor | None]:
        if call != self.calls:
            raise MienError(
                "trainer.cuda_graph: this stage calls its network twice before the backward pass, and a CUDA graph "
                "keeps one pass. Leave it out."
            )
        given = [gradient for gradient, fixed in zip(gradients, self._fixed, strict=True) if not fixed]
        for static, gradient in zip(self._output_gradients, given, strict=True):
            static.zero_() if gradient is None else static.copy_(gradient)
        self._backward.replay()
        return [None if value is None else value.detach().clone() for value in self._gradients]


class _Replay(torch.autograd.Function):
    """Both graphs as one node of the outer graph, whose inputs are the parameters that get a gradient."""

    @staticmethod
    def forward(ctx: Any, graphed: GraphedNetwork, inputs: int, *values: Tensor) -> tuple[Tensor, ...]:
        outputs = graphed.replay_forward(values[:inputs])
        ctx.graphed, ctx.inputs, ctx.call = graphed, inputs, graphed.calls
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*graphed.fixed_outputs(outputs))
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return (None, None, *[None] * ctx.inputs, *ctx.graphed.replay_backward(gradients, call=ctx.call))


@contextmanager
def unchanged_buffers(network: nn.Module) -> Iterator[None]:
    """BatchNorm statistics and other buffers are the same after the block as before it."""
    kept = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)
