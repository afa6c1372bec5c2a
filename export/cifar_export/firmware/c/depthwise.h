/* DEPTHWISE_CONV_2D: four channels at a time over the gathered patch, whose channels are repeated `multiplier` times. */

struct depthwise {
    struct window window;
    struct output_range range;
    int32_t multiplier;
    int32_t input_zero_point;
    const int8_t *weights; /* height, width, output channel */
    const struct channel *channels;
};

static void repeat_channels(const int8_t *source, int32_t count, int32_t times, int8_t *target)
{
    int32_t at, copy;
    for (at = 0; at < count; ++at) {
        for (copy = 0; copy < times; ++copy) {
            *target++ = source[at];
        }
    }
}

static void depthwise_pixel(const struct depthwise *op, const int8_t *patch, int8_t *output)
{
    const int32_t taps = op->window.height * op->window.width;
    const int32_t channels = op->window.channels * op->multiplier;
    const struct channel *channel = op->channels;
    int32_t c = 0, tap;
#if WITH_VECTORS
    const uint32x4_t lanes = vmulq_n_u32(vidupq_n_u32(0, 1), 3);
    for (; c + 4 <= channels; c += 4) {
        const int32_t *numbers = &channel->bias;
        const int8_t *x = patch + c, *w = op->weights + c;
        int32x4_t sums = vldrwq_gather_shifted_offset_s32(numbers, lanes);
        for (tap = 0; tap < taps; ++tap) {
            sums = vaddq_s32(sums, vmulq_s32(vldrbq_s32(x), vldrbq_s32(w)));
            x += channels;
            w += channels;
        }
        sums = rescale_vector(sums, vldrwq_gather_shifted_offset_s32(numbers + 1, lanes),
                              vldrwq_gather_shifted_offset_s32(numbers + 2, lanes));
        vstrbq_s32(output + c, clamp_vector(sums, &op->range));
        channel += 4;
    }
#else
    for (; c + 4 <= channels; c += 4) {
        const int8_t *x = patch + c, *w = op->weights + c;
        int32_t s0 = channel[0].bias, s1 = channel[1].bias, s2 = channel[2].bias, s3 = channel[3].bias;
        for (tap = 0; tap < taps; ++tap) {
            s0 += x[0] * w[0];
            s1 += x[1] * w[1];
            s2 += x[2] * w[2];
            s3 += x[3] * w[3];
            x += channels;
            w += channels;
        }
        output[c] = clamp(rescale(s0, channel[0].multiplier, channel[0].shift), &op->range);
        output[c + 1] = clamp(rescale(s1, channel[1].multiplier, channel[1].shift), &op->range);
        output[c + 2] = clamp(rescale(s2, channel[2].multiplier, channel[2].shift), &op->range);
        output[c + 3] = clamp(rescale(s3, channel[3].multiplier, channel[3].shift), &op->range);
        channel += 4;
    }
#endif
    for (; c < channels; ++c) {
        int32_t sum = channel->bias;
        for (tap = 0; tap < taps; ++tap) {
            sum += patch[tap * channels + c] * op->weights[tap * channels + c];
        }
        output[c] = clamp(rescale(sum, channel->multiplier, channel->shift), &op->range);
        ++channel;
    }
}

/* scratch: height * width * channels bytes, and, for a multiplier above 1, as many times `multiplier` after them. */
static void depthwise_convolve(const struct depthwise *op, const int8_t *input, int8_t *scratch, int8_t *output)
{
    const struct window *window = &op->window;
    const int32_t count = window->height * window->width * window->channels;
    int32_t y, x;
    for (y = 0; y < window->output_height; ++y) {
        for (x = 0; x < window->output_width; ++x) {
            int8_t *patch = scratch;
            gather(window, input, y, x, (int8_t)op->input_zero_point, scratch);
            if (op->multiplier > 1) {
                patch = scratch + count;
                repeat_channels(scratch, count, op->multiplier, patch);
            }
            depthwise_pixel(op, patch, output);
            output += window->channels * op->multiplier;
        }
    }
}
