"""exp, the logistic function and the normal distribution for the insides of loops, in a form that vectorises.

A call of the C library in a loop would stop the compiler from using vector instructions; these are arithmetic alone. They
take a number and :class:`Constants` of its type, so that the same lines serve float32 and float64.

    exp(x) = 2^n e^r,   n = floor(x / ln 2 + 1/2),   |r| <= ln(2)/2: there Taylor's series is short
    Phi(-u) = e^(-u^2/2) P(t),   t = (u - 4) / (u + 4),   u >= 0   (Phi: the normal distribution's cumulative function)

P is a polynomial: t maps 0 .. infinity to -1 .. 1, where e^(u^2/2) Phi(-u), which falls slowly like 1/u, is smooth (the
mapping is Schonfelder's, Math. Comp. 32, 1978; the coefficients come from interpolation in Chebyshev's nodes with 50
digits). The relative error is below 4e-16 for float64, and 3e-7 with the shorter polynomial for float32.
"""

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .jit import DISABLED

# P, from t^0 on.
TAIL_64 = (
    0.09441064130196893, -0.17039772154845542, 0.12437925533926537, -0.07170740733773803, 0.03086480410622515,
    -0.008492095482084967, 0.000507562076799988, 0.0006388138514064342, -0.00018718428669896724,
    -4.5554892640417344e-05, 2.8648442798579606e-05, 4.631555015543092e-06, -4.303904346491218e-06,
    -8.294129430235673e-07, 6.62297108753446e-07, 2.0602260013457762e-07, -9.534702277947434e-08,
    -5.2845602685133334e-08, 1.0479978903484804e-08, 1.192568322987461e-08, -4.583989356967971e-10,
    -2.0206904361824695e-09, -4.767851228809609e-11, 1.8544963358123816e-10,
)  # fmt: skip
TAIL_32 = (
    0.0944106427, -0.170397721, 0.124379158, -0.0717074224, 0.0308659555, -0.0084919166,
    0.000502535304, 0.000638023833, -0.000177053492, -4.39264365e-05, 1.87634929e-05, 2.96312946e-06,
)  # fmt: skip
LN2_HIGH, LN2_LOW = 0.693145751953125, 1.4286068203094172e-6  # their sum is ln 2; n * LN2_HIGH is exact


class Constants(NamedTuple):
    """Numbers of one floating-point type; polynomials begin with the highest power."""

    lowest: Any  # below, exp is 0
    highest: Any  # above, it is infinite
    per_ln2: Any
    ln2_high: Any
    ln2_low: Any
    zero: Any
    half: Any
    one: Any
    three: Any
    four: Any
    six: Any
    sixth: Any
    thirteen: Any
    far: Any  # Phi(-far) = 0
    taylor: tuple
    tail_even: tuple  # P(t) = even(t^2) + t odd(t^2)
    tail_odd: tuple


def _constants(number: type, lowest: float, highest: float, terms: int, tail: tuple[float, ...]) -> Constants:
    single = lowest, highest, 1 / math.log(2), LN2_HIGH, LN2_LOW, 0, 0.5, 1, 3, 4, 6, 1 / 6, 13, 40
    taylor = [1 / math.factorial(i) for i in range(terms)]
    polynomials = [tuple(map(number, p[::-1])) for p in (taylor, tail[::2], tail[1::2])]
    return Constants(*map(number, single), *polynomials)


CONSTANTS = {
    np.dtype(np.float32): _constants(np.float32, -104, 89, 8, TAIL_32),
    np.dtype(np.float64): _constants(np.float64, -746, 710, 14, TAIL_64),
}


def _inlined(function: Any) -> Any:
    """Compiled into its callers, and without leave to reorder sums: the reduction of exp's argument depends on it."""
    return numba.njit(error_model="numpy", fastmath={"contract"}, forceinline=True)(function)


if DISABLED:

    def power_of_two(n: Any) -> Any:
        return np.ldexp(type(n)(1), int(n))

else:

    @intrinsic
    def power_of_two(typingctx, n):
        """2^n for a whole number n of floating-point type, written into the bits of the exponent."""
        bits, mantissa, bias = (32, 23, 127) if n == types.float32 else (64, 52, 1023)

        def generate(context, builder, signature, args):
            integer = ir.IntType(bits)
            whole = builder.fptosi(args[0], ir.IntType(32))
            wide = builder.sext(whole, integer) if bits == 64 else whole
            exponent = builder.shl(builder.add(wide, ir.Constant(integer, bias)), ir.Constant(integer, mantissa))
            return builder.bitcast(exponent, context.get_value_type(n))

        return n(n), generate


@_inlined
def exp(x, k):
    """e^x; 0, infinity and NaN where they belong."""
    y = k.lowest if x < k.lowest else (k.highest if x > k.highest else x)
    n = np.floor(y * k.per_ln2 + k.half)
    r = (y - n * k.ln2_high) - n * k.ln2_low
    total = k.taylor[0]
    for coefficient in k.taylor[1:]:
        total = total * r + coefficient
    n = n if n == n else k.zero  # (a NaN is no exponent; it is in the sum already)
    part = np.floor(n * k.half)  # 2^n alone may be too large or too small to be a number
    return total * power_of_two(part) * power_of_two(n - part)


@_inlined
def sigmoid(x, k):
    """1 / (1 + e^-x)."""
    return k.one / (k.one + exp(-x, k))


@_inlined
def normal(x, k):
    """Phi(x), and e^(-x^2/2)."""
    u = abs(x)
    u = k.far if u > k.far else u
    bell = exp(-k.half * u * u, k)
    t = (u - k.four) / (u + k.four)
    square = t * t
    even, odd = k.tail_even[0], k.tail_odd[0]
    for coefficient in k.tail_even[1:]:
        even = even * square + coefficient
    for coefficient in k.tail_odd[1:]:
        odd = odd * square + coefficient
    tail = (even + t * odd) * bell
    return (tail if x < k.zero else k.one - tail), bell
