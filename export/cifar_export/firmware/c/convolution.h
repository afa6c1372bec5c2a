/* CONV_2D and FULLY_CONNECTED: two pixels by two output channels at a time, so that each byte that is loaded is used twice.
 *
 * Patches of windows larger than a pixel are gathered into a scratch of two; padding is the input's zero point, whose
 * products the bias takes back. */

struct convolution {
    struct window window;
    struct output_range range;
    int32_t output_channels;
    int32_t input_zero_point;
    const int8_t *weights; /* output channel, height, width, input channel */
    const struct channel *channels;
};

#if WITH_VECTORS

/* All output channels of two pixels, given the bytes under their windows: 16 products an instruction, and the four
 * results, of two pixels by two channels, as one vector. */
static void convolve_two_pixels(const struct convolution *op, const int8_t *x0, const int8_t *x1, int8_t *y0, int8_t *y1)
{
    const int32_t count = op->window.height * op->window.width * op->window.channels;
    int32_t c;
    for (c = 0; c < op->output_channels; c += 2) {
        /* The last channel of an odd number is its own partner. */
        const int32_t partner = c + 1 < op->output_channels ? 1 : 0;
        const struct channel *channel = op->channels + c;
        const int32_t *numbers = &channel->bias;
        const int8_t *w0 = op->weights + c * count, *w1 = w0 + partner * count;
        const int8_t *a = x0, *b = x1;
        int32_t s00 = channel[0].bias, s01 = channel[partner].bias, s10 = s00, s11 = s01;
        int32_t left = count;
        uint32x4_t offsets = vdupq_n_u32(0);
        int32x4_t sums = vdupq_n_s32(0);
        for (; left >= 16; left -= 16) {
            const int8x16_t p = vldrbq_s8(a), q = vldrbq_s8(b), v = vldrbq_s8(w0), w = vldrbq_s8(w1);
            s00 = vmladavaq_s8(s00, p, v);
            s01 = vmladavaq_s8(s01, p, w);
            s10 = vmladavaq_s8(s10, q, v);
            s11 = vmladavaq_s8(s11, q, w);
            a += 16;
            b += 16;
            w0 += 16;
            w1 += 16;
        }
        if (left > 0) {
            const mve_pred16_t some = vctp8q((uint32_t)left);
            const int8x16_t p = vldrbq_z_s8(a, some), q = vldrbq_z_s8(b, some);
            const int8x16_t v = vldrbq_z_s8(w0, some), w = vldrbq_z_s8(w1, some);
            s00 = vmladavaq_s8(s00, p, v);
            s01 = vmladavaq_s8(s01, p, w);
            s10 = vmladavaq_s8(s10, q, v);
            s11 = vmladavaq_s8(s11, q, w);
        }
        sums = vsetq_lane_s32(s00, sums, 0);
        sums = vsetq_lane_s32(s01, sums, 1);
        sums = vsetq_lane_s32(s10, sums, 2);
        sums = vsetq_lane_s32(s11, sums, 3);
        offsets = vsetq_lane_u32((uint32_t)partner * 3u, offsets, 1);
        offsets = vsetq_lane_u32((uint32_t)partner * 3u, offsets, 3);
        sums = rescale_vector(sums, vldrwq_gather_shifted_offset_s32(numbers + 1, offsets),
                              vldrwq_gather_shifted_offset_s32(numbers + 2, offsets));
        offsets = vsetq_lane_u32((uint32_t)partner, offsets, 1);
        offsets = vsetq_lane_u32((uint32_t)(y1 - y0), offsets, 2);
        offsets = vsetq_lane_u32((uint32_t)(y1 - y0 + partner), offsets, 3);
        vstrbq_scatter_offset_s32(y0 + c, offsets, clamp_vector(sums, &op->range));
    }
}

#else

/* The sums of two pixels (first digit) by two channels (second digit). */
struct sums {
    int32_t s00, s01, s10, s11;
};

#if defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>

static inline int32_t load_word(const int8_t *from)
{
    int32_t word;
    memcpy(&word, from, 4);
    return word;
}

/* Bytes 0 and 2, and bytes 1 and 3, as two 16-bit numbers each. */
static inline int16x2_t even_bytes(int32_t word)
{
    return __sxtb16((int8x4_t)word);
}

static inline int16x2_t odd_bytes(int32_t word)
{
    int16x2_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
    return result;
}
#endif

static inline void multiply_add(const int8_t *x0, const int8_t *x1, const int8_t *w0, const int8_t *w1, int32_t count,
                                struct sums *sums)
{
    int32_t s00 = sums->s00, s01 = sums->s01, s10 = sums->s10, s11 = sums->s11;
    int32_t left = count;
#if defined(__ARM_FEATURE_SIMD32)
    for (; left >= 4; left -= 4) {
        const int32_t a = load_word(x0), b = load_word(x1), c = load_word(w0), d = load_word(w1);
        const int16x2_t a_even = even_bytes(a), b_even = even_bytes(b), c_even = even_bytes(c), d_even = even_bytes(d);
        const int16x2_t a_odd = odd_bytes(a), b_odd = odd_bytes(b), c_odd = odd_bytes(c), d_odd = odd_bytes(d);
        s00 = __smlad(a_odd, c_odd, __smlad(a_even, c_even, s00));
        s01 = __smlad(a_odd, d_odd, __smlad(a_even, d_even, s01));
        s10 = __smlad(b_odd, c_odd, __smlad(b_even, c_even, s10));
        s11 = __smlad(b_odd, d_odd, __smlad(b_even, d_even, s11));
        x0 += 4;
        x1 += 4;
        w0 += 4;
        w1 += 4;
    }
#else
#define STEP(at)                                                                                                       \
    {                                                                                                                  \
        const int32_t a = x0[at], b = x1[at], c = w0[at], d = w1[at];                                                  \
        s00 += a * c;                                                                                                  \
        s01 += a * d;                                                                                                  \
        s10 += b * c;                                                                                                  \
        s11 += b * d;                                                                                                  \
    }
    for (; left >= 8; left -= 8) {
        STEP(0)
        STEP(1)
        STEP(2)
        STEP(3)
        STEP(4)
        STEP(5)
        STEP(6)
        STEP(7)
        x0 += 8;
        x1 += 8;
        w0 += 8;
        w1 += 8;
    }
#undef STEP
#endif
    for (; left > 0; --left) {
        const int32_t a = *x0++, b = *x1++, c = *w0++, d = *w1++;
        s00 += a * c;
        s01 += a * d;
        s10 += b * c;
        s11 += b * d;
    }
    sums->s00 = s00;
    sums->s01 = s01;
    sums->s10 = s10;
    sums->s11 = s11;
}

/* All output channels of two pixels, given the bytes under their windows. */
static void convolve_two_pixels(const struct convolution *op, const int8_t *x0, const int8_t *x1, int8_t *y0, int8_t *y1)
{
    const int32_t count = op->window.height * op->window.width * op->window.channels;
    int32_t c;
    for (c = 0; c < op->output_channels; c += 2) {
        /* The last channel of an odd number is its own partner. */
        const int32_t partner = c + 1 < op->output_channels ? c + 1 : c;
        const struct channel *one = op->channels + c, *other = op->channels + partner;
        struct sums sums;
        sums.s00 = sums.s10 = one->bias;
        sums.s01 = sums.s11 = other->bias;
        multiply_add(x0, x1, op->weights + c * count, op->weights + partner * count, count, &sums);
        y0[c] = clamp(rescale(sums.s00, one->multiplier, one->shift), &op->range);
        y1[c] = clamp(rescale(sums.s10, one->multiplier, one->shift), &op->range);
        y0[partner] = clamp(rescale(sums.s01, other->multiplier, other->shift), &op->range);
        y1[partner] = clamp(rescale(sums.s11, other->multiplier, other->shift), &op->range);
    }
}

#endif

/* scratch: twice height * width * channels bytes; unused by windows of one pixel without padding. */
static void convolve(const struct convolution *op, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const struct window *window = &op->window;
    const int32_t count = window->height * window->width * window->channels;
    const int32_t pixels = window->output_height * window->output_width;
    const int in_place = window->height * window->width == 1 && window->pad_top == 0 && window->pad_left == 0;
    const int8_t *patch[2];
    int32_t pixel, y = 0, x = 0;
    for (pixel = 0; pixel < pixels; ++pixel) {
        const int32_t slot = pixel & 1;
        if (in_place) {
            patch[slot] =
                input + (y * window->stride_y * window->input_width + x * window->stride_x) * window->channels;
        } else {
            gather(window, input, y, x, (int8_t)op->input_zero_point, scratch + slot * count);
            patch[slot] = scratch + slot * count;
        }
        if (slot == 1) {
            convolve_two_pixels(op, patch[0], patch[1], output + (pixel - 1) * op->output_channels,
                                output + pixel * op->output_channels);
        } else if (pixel == pixels - 1) { /* the last of an odd number is its own partner */
            int8_t *last = output + pixel * op->output_channels;
            convolve_two_pixels(op, patch[0], patch[0], last, last);
        }
        if (++x == window->output_width) {
            x = 0;
            ++y;
        }
    }
}
