/* PAD, SLICE, STRIDED_SLICE, CONCATENATION and TRANSPOSE: one copy between strided blocks. */

struct movement {
    int32_t shape[4];
    int32_t from, source_strides[4];
    int32_t to, target_strides[4];
};

static void move(const struct movement *op, const int8_t *input, int8_t *output)
{
    int32_t i, j, k, l;
    for (i = 0; i < op->shape[0]; ++i) {
        for (j = 0; j < op->shape[1]; ++j) {
            for (k = 0; k < op->shape[2]; ++k) {
                const int8_t *source = input + op->from + i * op->source_strides[0] + j * op->source_strides[1] +
                                       k * op->source_strides[2];
                int8_t *target =
                    output + op->to + i * op->target_strides[0] + j * op->target_strides[1] + k * op->target_strides[2];
                for (l = 0; l < op->shape[3]; ++l) {
                    *target = *source;
                    source += op->source_strides[3];
                    target += op->target_strides[3];
                }
            }
        }
    }
}
