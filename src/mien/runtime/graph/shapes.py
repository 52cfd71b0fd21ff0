"""The shape that each operator gives, as the ONNX operator specification states it, for shapes that are all known.

A table of functions: the node, with its attributes, and its inputs -> the shapes of its outputs, and the
multiplications that it takes. Operators that are not in it are not run: those that hold graphs of their own (If, Loop,
Scan), and those whose output's size depends on the values that they get (NonZero, Unique, NonMaxSuppression).
"""

from collections.abc import Callable

from mien.runtime.graph.call import Call, Result, broadcast, product
from mien.runtime.graph.layers import LAYERS
from mien.runtime.graph.reshaping import RESHAPING


def _same(call: Call) -> Result:
    return [call.shape()] * max(1, len(call.node.outputs)), product(call.shape())


def _elementwise(call: Call) -> Result:
    shape = broadcast(*(call.shape(i) for i in range(len(call.inputs))))
    return [shape], product(shape)


_SAME = """
CastLike Clip CumSum Dropout BatchNormalization InstanceNormalization LayerNormalization GroupNormalization
RMSNormalization LpNormalization LRN MeanVarianceNormalization ScatterElements ScatterND Trilu EyeLike
QuantizeLinear DequantizeLinear Cast Identity Softmax LogSoftmax Hardmax ReverseSequence
"""
_ELEMENTWISE = """
Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Celu Cos Cosh Div
Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max
Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign
Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
"""
SHAPES: dict[str, Callable[[Call], Result]] = {
    **dict.fromkeys(_SAME.split(), _same),
    **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **RESHAPING,
    **LAYERS,
}
