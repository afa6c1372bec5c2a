struct multiplication {
    struct operands operands;
    int32_t multiplier, shift;
};

static void multiply(const struct multiplication *op, const int8_t *a, const int8_t *b, int8_t *output)
{
    const struct operands *on = &op->operands;
    int32_t i, j, k, l;
    for (i = 0; i < on->shape[0]; ++i) {
        for (j = 0; j < on->shape[1]; ++j) {
            for (k = 0; k < on->shape[2]; ++k) {
                const int8_t *x = a + i * on->strides_a[0] + j * on->strides_a[1] + k * on->strides_a[2];
                const int8_t *y = b + i * on->strides_b[0] + j * on->strides_b[1] + k * on->strides_b[2];
                for (l = 0; l < on->shape[3]; ++l) {
                    const int32_t product = (*x - on->zero_point_a) * (*y - on->zero_point_b);
                    *output++ = clamp(rescale(product, op->multiplier, op->shift), &on->range);
                    x += on->strides_a[3];
                    y += on->strides_b[3];
                }
            }
        }
    }
}
