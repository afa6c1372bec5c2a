static void average_pool(const struct pooling *op, const int8_t *input, int8_t *output)
{
    const struct window *window = &op->window;
    int32_t y, x, c, row, column;
    for (y = 0; y < window->output_height; ++y) {
        for (x = 0; x < window->output_width; ++x) {
            const struct inside part = clip(window, y, x);
            const int32_t count = (part.bottom - part.top) * (part.right - part.left);
            for (c = 0; c < window->channels; ++c) {
                int32_t sum = 0;
                for (row = part.top; row < part.bottom; ++row) {
                    const int8_t *from = input + (row * window->input_width + part.left) * window->channels + c;
                    for (column = part.left; column < part.right; ++column) {
                        sum += *from;
                        from += window->channels;
                    }
                }
                sum = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
                *output++ = clamp_to(sum, op);
            }
        }
    }
}
