/* An operator of one number, LOGISTIC, TANH, HARD_SWISH, RELU and their like, as its 256 results. */

static void lookup(const int8_t table[256], const int8_t *input, int32_t count, int8_t *output)
{
    int32_t at;
    for (at = 0; at < count; ++at) {
        output[at] = table[input[at] + 128];
    }
}
