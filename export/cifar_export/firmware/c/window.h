/* A window that slides over an image, NHWC, batch 1: where it reads, and its picture as one row of bytes. */

struct window {
    int32_t input_height, input_width, channels;
    int32_t height, width;
    int32_t stride_y, stride_x;
    int32_t dilation_y, dilation_x;
    int32_t pad_top, pad_left;
    int32_t output_height, output_width;
};

/* Copies `count` pixels of a row of the image from column `first` on; what lies outside is `fill`. */
static inline void gather_pixels(const struct window *window, const int8_t *row, int32_t first, int32_t count,
                                 int8_t fill, int8_t *target)
{
    const int32_t channels = window->channels;
    int32_t from = first < 0 ? -first : 0;
    int32_t to = window->input_width - first;
    to = to < count ? to : count;
    from = from < count ? from : count;
    to = to > from ? to : from;
    fill_run(fill, from * channels, target);
    if (to > from) {
        copy_run(row + (first + from) * channels, (to - from) * channels, target + from * channels);
    }
    fill_run(fill, (count - to) * channels, target + to * channels);
}

/* The image under the window at output (y, x), as height * width * channels bytes; outside the image it is `fill`. */
static void gather(const struct window *window, const int8_t *input, int32_t y, int32_t x, int8_t fill, int8_t *target)
{
    const int32_t row_bytes = window->width * window->channels;
    const int32_t first_x = x * window->stride_x - window->pad_left;
    int32_t input_y = y * window->stride_y - window->pad_top;
    int32_t row, column;
    for (row = 0; row < window->height; ++row) {
        if (input_y < 0 || input_y >= window->input_height) {
            fill_run(fill, row_bytes, target);
        } else {
            const int8_t *line = input + input_y * window->input_width * window->channels;
            if (window->dilation_x == 1) {
                gather_pixels(window, line, first_x, window->width, fill, target);
            } else {
                for (column = 0; column < window->width; ++column) {
                    gather_pixels(window, line, first_x + column * window->dilation_x, 1, fill,
                                  target + column * window->channels);
                }
            }
        }
        target += row_bytes;
        input_y += window->dilation_y;
    }
}
