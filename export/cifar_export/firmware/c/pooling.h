/* MAX_POOL_2D and AVERAGE_POOL_2D over the part of the window that lies inside the image. */

struct pooling {
    struct window window;
    int32_t lowest, highest;
};

/* Rows and columns of the window at output (y, x) that lie inside the image. */
struct inside {
    int32_t top, bottom, left, right;
};

static struct inside clip(const struct window *window, int32_t y, int32_t x)
{
    struct inside part;
    part.top = y * window->stride_y - window->pad_top;
    part.left = x * window->stride_x - window->pad_left;
    part.bottom = part.top + window->height;
    part.right = part.left + window->width;
    part.top = part.top < 0 ? 0 : part.top;
    part.left = part.left < 0 ? 0 : part.left;
    part.bottom = part.bottom > window->input_height ? window->input_height : part.bottom;
    part.right = part.right > window->input_width ? window->input_width : part.right;
    return part;
}

static inline int8_t clamp_to(int32_t value, const struct pooling *op)
{
    const int32_t raised = value < op->lowest ? op->lowest : value;
    return (int8_t)(raised > op->highest ? op->highest : raised);
}
