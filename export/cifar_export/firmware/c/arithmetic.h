/* Integer arithmetic of 8-bit quantized networks, bit for bit as TensorFlow Lite Micro's reference kernels.
 *
 * Source: TensorFlow Lite 8-bit quantization specification; gemmlowp's SaturatingRoundingDoublingHighMul and
 * RoundingDivideByPOT. The exporter has checked that every accumulator, shifted and rounded, stays below
 * 2^31 in magnitude for any input: so nothing here saturates, and no shift or sum overflows. */
#include <stdint.h>
#include <string.h>

/* C99 leaves the right shift of a negative number to the compiler; one that does not keep the sign is refused. */
typedef char right_shift_keeps_the_sign[(((int32_t)-8) >> 1) == (int32_t)-4 ? 1 : -1];

/* What one output channel needs: its bias, with the input's zero point folded in, and its scale,
 * multiplier * 2^(shift - 31). */
struct channel {
    int32_t bias;
    int32_t multiplier;
    int32_t shift;
};

/* What every output of an operator has: its zero point, and the range that is left of -128..127 after the activation. */
struct output_range {
    int32_t zero_point;
    int32_t lowest;
    int32_t highest;
};

/* round(value * multiplier / 2^31), halves up. */
static inline int32_t multiply_high(int32_t value, int32_t multiplier)
{
    return (int32_t)(((int64_t)value * multiplier + ((int64_t)1 << 30)) >> 31);
}

/* value * multiplier * 2^(shift - 31), rounded once by the product and, for a shift to the right, once more, halves away
 * from zero. */
static inline int32_t rescale(int32_t value, int32_t multiplier, int32_t shift)
{
    int32_t product;
    if (shift >= 0) {
        return multiply_high(value * ((int32_t)1 << shift), multiplier);
    }
    product = multiply_high(value, multiplier);
    return (product + ((int32_t)1 << (-shift - 1)) + (product >> 31)) >> -shift;
}

static inline int8_t clamp(int32_t value, const struct output_range *range)
{
    int32_t result = value + range->zero_point;
    result = result < range->lowest ? range->lowest : result;
    result = result > range->highest ? range->highest : result;
    return (int8_t)result;
}

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include <arm_mve.h>
#define WITH_VECTORS 1

/* rescale of four numbers. Vectors shift left by a negative amount to the right, halves up: minus one makes halves of
 * negative numbers go away from zero too. */
static inline int32x4_t rescale_vector(int32x4_t values, int32x4_t multipliers, int32x4_t shifts)
{
    const int32x4_t zero = vdupq_n_s32(0);
    const int32x4_t right = vminq_s32(shifts, zero);
    const int32x4_t product = vqrdmulhq_s32(vshlq_s32(values, vmaxq_s32(shifts, zero)), multipliers);
    return vrshlq_s32(vaddq_s32(product, vshrq_n_s32(vandq_s32(product, right), 31)), right);
}

static inline int32x4_t clamp_vector(int32x4_t values, const struct output_range *range)
{
    const int32x4_t result = vmaxq_s32(vaddq_n_s32(values, range->zero_point), vdupq_n_s32(range->lowest));
    return vminq_s32(result, vdupq_n_s32(range->highest));
}
#else
#define WITH_VECTORS 0
#endif
