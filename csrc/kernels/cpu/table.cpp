// The target's table. Nothing runs to make it: it is data.
#include "kernels/cpu/entries.h"

namespace tessel::TESSEL_TARGET {

#define TESSEL_QUOTE(name) #name
#define TESSEL_NAME(name) TESSEL_QUOTE(name)

constinit const Kernels table = {
    .name = TESSEL_NAME(TESSEL_TARGET),
    .unary = unary,
    .unary_backward = unary_backward,
    .binary = binary,
    .ternary = ternary,
    .reduce_scratch = reduce_scratch,
    .reduce = reduce,
    .scan = scan,
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .log_softmax = log_softmax,
    .log_softmax_backward = log_softmax_backward,
    .row_norm = row_norm,
    .row_norm_backward_scratch = row_norm_backward_scratch,
    .row_norm_backward = row_norm_backward,
    .channel_moments_scratch = channel_moments_scratch,
    .channel_moments = channel_moments,
    .channel_norm = channel_norm,
    .channel_norm_backward_scratch = channel_norm_backward_scratch,
    .channel_norm_backward = channel_norm_backward,
    .class_loss_scratch = class_loss_scratch,
    .class_loss = class_loss,
    .class_loss_backward = class_loss_backward,
    .optim = optim,
    .optim_norm_scratch = optim_norm_scratch,
    .optim_norm = optim_norm,
    .gemm_scratch = gemm_scratch,
    .gemm = gemm,
    .conv_scratch = conv_scratch,
    .conv = conv,
    .conv_backward_data_scratch = conv_backward_data_scratch,
    .conv_backward_data = conv_backward_data,
    .conv_backward_weight_scratch = conv_backward_weight_scratch,
    .conv_backward_weight = conv_backward_weight,
    .pool = pool,
    .pool_backward_scratch = pool_backward_scratch,
    .pool_backward = pool_backward,
    .random = random,
    .index_range = index_range,
    .index_offsets = index_offsets,
    .index_get = index_get,
    .index_put = index_put,
    .nonzero_scratch = nonzero_scratch,
    .nonzero_count = nonzero_count,
    .nonzero = nonzero,
    .sort_scratch = sort_scratch,
    .sort = sort,
    .sort_rows = sort_rows,
    .search = search,
    .range = range,
    .triangle = triangle,
};

}  // namespace tessel::TESSEL_TARGET
