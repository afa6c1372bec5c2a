struct addition {
    struct operands operands;
    int32_t multiplier_a, shift_a, multiplier_b, shift_b, multiplier, shift;
};

#if WITH_VECTORS
/* As many as fit of a run of numbers side by side, four at a time; how many there were. */
static int32_t add_vectors(const struct addition *op, const int8_t *x, const int8_t *y, int8_t *output)
{
    const struct operands *on = &op->operands;
    int32_t l = 0;
    if (on->strides_a[3] == 1 && on->strides_b[3] == 1) {
        for (; l + 4 <= on->shape[3]; l += 4) {
            const int32x4_t a = vshlq_n_s32(vsubq_n_s32(vldrbq_s32(x + l), on->zero_point_a), 20);
            const int32x4_t b = vshlq_n_s32(vsubq_n_s32(vldrbq_s32(y + l), on->zero_point_b), 20);
            const int32x4_t sum =
                vaddq_s32(rescale_vector(a, vdupq_n_s32(op->multiplier_a), vdupq_n_s32(op->shift_a)),
                          rescale_vector(b, vdupq_n_s32(op->multiplier_b), vdupq_n_s32(op->shift_b)));
            const int32x4_t result = rescale_vector(sum, vdupq_n_s32(op->multiplier), vdupq_n_s32(op->shift));
            vstrbq_s32(output + l, clamp_vector(result, &on->range));
        }
    }
    return l;
}
#endif

/* Both inputs are brought to one scale with 20 bits to spare before they are added. */
static void add(const struct addition *op, const int8_t *a, const int8_t *b, int8_t *output)
{
    const struct operands *on = &op->operands;
    int32_t i, j, k, l;
    for (i = 0; i < on->shape[0]; ++i) {
        for (j = 0; j < on->shape[1]; ++j) {
            for (k = 0; k < on->shape[2]; ++k) {
                const int8_t *x = a + i * on->strides_a[0] + j * on->strides_a[1] + k * on->strides_a[2];
                const int8_t *y = b + i * on->strides_b[0] + j * on->strides_b[1] + k * on->strides_b[2];
                l = 0;
#if WITH_VECTORS
                l = add_vectors(op, x, y, output);
                x += l;
                y += l;
                output += l;
#endif
                for (; l < on->shape[3]; ++l) {
                    const int32_t left = rescale((*x - on->zero_point_a) * 1048576, op->multiplier_a, op->shift_a);
                    const int32_t right = rescale((*y - on->zero_point_b) * 1048576, op->multiplier_b, op->shift_b);
                    *output++ = clamp(rescale(left + right, op->multiplier, op->shift), &on->range);
                    x += on->strides_a[3];
                    y += on->strides_b[3];
                }
            }
        }
    }
}
