/* MEAN and SUM over neighbouring axes: input (outer, reduced, inner), output (outer, inner). */

struct reduction {
    int32_t outer, reduced, inner;
    int32_t offset; /* of the sum: minus the input's zero point, reduced times */
    int32_t multiplier, shift;
    struct output_range range;
};

static void reduce(const struct reduction *op, const int8_t *input, int8_t *output)
{
    int32_t i, j, k;
    for (i = 0; i < op->outer; ++i) {
        for (k = 0; k < op->inner; ++k) {
            const int8_t *from = input + i * op->reduced * op->inner + k;
            int32_t sum = op->offset;
            for (j = 0; j < op->reduced; ++j) {
                sum += *from;
                from += op->inner;
            }
            *output++ = clamp(rescale(sum, op->multiplier, op->shift), &op->range);
        }
    }
}
