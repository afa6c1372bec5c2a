/* Copies and fills of short runs, in words where there are four bytes. */

static inline void copy_run(const int8_t *source, int32_t count, int8_t *target)
{
    int32_t at = 0;
    for (; at + 4 <= count; at += 4) {
        memcpy(target + at, source + at, 4);
    }
    for (; at < count; ++at) {
        target[at] = source[at];
    }
}

static inline void fill_run(int8_t value, int32_t count, int8_t *target)
{
    int32_t at;
    for (at = 0; at < count; ++at) {
        target[at] = value;
    }
}
