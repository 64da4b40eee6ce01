"""Special functions, straight from the engine: computed in float64, whatever the dtype."""

from . import _C

_native = {name: function for name, function in vars(_C._special).items() if not name.startswith("_")}
globals().update(_native)

# What the engine has under the names of other rooms.
digamma = psi = _C.digamma
erf, erfc, erfinv = _C.erf, _C.erfc, _C.erfinv
exp2, expm1, log1p, round, sinc = _C.exp2, _C.expm1, _C.log1p, _C.round, _C.sinc
expit = _C.sigmoid
gammaln = _C.lgamma
i0 = modified_bessel_i0 = _C.i0
logit, logsumexp, xlogy = _C.logit, _C.logsumexp, _C.xlogy
softmax, log_softmax = _C.softmax, _C.log_softmax

__all__ = [
    *_native,
    *"digamma erf erfc erfinv exp2 expit expm1 gammaln i0 log1p log_softmax logit logsumexp".split(),
    *"modified_bessel_i0 psi round sinc softmax xlogy".split(),
]
