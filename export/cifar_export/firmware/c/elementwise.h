/* Two tensors element by element, the smaller one repeated: a stride of 0 stays where it is. */

struct operands {
    int32_t shape[4];
    int32_t strides_a[4], strides_b[4];
    int32_t zero_point_a, zero_point_b;
    struct output_range range;
};
