/* SOFTMAX over rows, in gemmlowp's fixed point; the exponentials of all 256 differences are a table.
 *
 * Source: gemmlowp, fixedpoint.h (one_over_one_plus_x_for_x_in_0_1: Newton and Raphson's division, three steps). */

struct softmax {
    int32_t rows, classes;
    const int32_t *exponentials; /* of 0, -1, .. -255 steps below the largest; 2^31 stands for 1 */
};

static int32_t fixed_shift_left(int32_t value, int32_t bits)
{
    const int32_t limit = (int32_t)((uint32_t)INT32_MAX >> bits);
    if (value > limit) {
        return INT32_MAX;
    }
    return value < -limit ? INT32_MIN : value * ((int32_t)1 << bits);
}

static int32_t fixed_shift_right(int32_t value, int32_t bits)
{
    const int32_t mask = (int32_t)(((uint32_t)1 << bits) - 1u);
    const int32_t threshold = (mask >> 1) + (value < 0 ? 1 : 0);
    return (value >> bits) + ((value & mask) > threshold ? 1 : 0);
}

/* 1 / (1 + x) for x in 0..1 with 31 fractional bits, the result likewise. */
static int32_t reciprocal_of_one_plus(int32_t x)
{
    /* Half of 1 + x, halves up; the estimate has 29 fractional bits, and starts as 48/17 - 32/17 of it. */
    const int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t estimate = 1515870810 + multiply_high(half, -1010580540);
    int step;
    for (step = 0; step < 3; ++step) {
        const int32_t remainder = ((int32_t)1 << 29) - multiply_high(half, estimate);
        estimate += fixed_shift_left(multiply_high(estimate, remainder), 2);
    }
    return fixed_shift_left(estimate, 1);
}

static void softmax(const struct softmax *op, const int8_t *input, int8_t *output)
{
    int32_t row, c;
    for (row = 0; row < op->rows; ++row) {
        int32_t largest = INT8_MIN, headroom = 0, scale;
        uint32_t sum = 0;
        for (c = 0; c < op->classes; ++c) {
            largest = input[c] > largest ? input[c] : largest;
        }
        for (c = 0; c < op->classes; ++c) {
            sum += (uint32_t)fixed_shift_right(op->exponentials[largest - input[c]], 12);
        }
        while ((sum << headroom) < 0x80000000u) {
            ++headroom;
        }
        scale = reciprocal_of_one_plus((int32_t)((sum << headroom) - 0x80000000u));
        for (c = 0; c < op->classes; ++c) {
            const int32_t share = multiply_high(scale, op->exponentials[largest - input[c]]);
            const int32_t result = fixed_shift_right(share, 12 - headroom + 23) + INT8_MIN;
            output[c] = (int8_t)(result > INT8_MAX ? INT8_MAX : result);
        }
        input += op->classes;
        output += op->classes;
    }
}
