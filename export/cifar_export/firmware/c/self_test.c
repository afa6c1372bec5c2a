/* Replays the golden vectors through the model and compares every score, bit for bit. */
#include "self_test.h"

#include <string.h>

#include "contract.h"
#include "golden.h"
#include "model.h"

/* Named in the output, so that a log says where it was written; give your board's own name with -D. */
#ifndef SELF_TEST_DEVICE
#if defined(__x86_64__)
#define SELF_TEST_DEVICE "x86_64"
#elif defined(__aarch64__)
#define SELF_TEST_DEVICE "aarch64"
#elif defined(__arm__)
#define SELF_TEST_DEVICE "arm"
#elif defined(__riscv)
#define SELF_TEST_DEVICE "riscv"
#else
#define SELF_TEST_DEVICE "unknown"
#endif
#endif

#ifndef SELF_TEST_KERNELS
#if defined(__ARM_FEATURE_MVE)
#define SELF_TEST_KERNELS "C99 with MVE"
#elif defined(__ARM_FEATURE_SIMD32)
#define SELF_TEST_KERNELS "C99 with SMLAD"
#else
#define SELF_TEST_KERNELS "C99"
#endif
#endif

static void print_number(void (*print)(const char *), int32_t value)
{
    char text[12];
    int32_t at = 11;
    uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    text[at] = '\0';
    do {
        text[--at] = (char)('0' + (char)(rest % 10u));
        rest /= 10u;
    } while (rest != 0u);
    if (value < 0) {
        text[--at] = '-';
    }
    print(text + at);
}

static void print_scores(void (*print)(const char *), const char *title, const int8_t *scores)
{
    int32_t c;
    print(title);
    for (c = 0; c < MODEL_OUTPUT_BYTES; ++c) {
        print(" ");
        print_number(print, scores[c]);
    }
    print("\n");
}

static void fill_input(const uint8_t *image)
{
    int8_t *input = model_input();
    int32_t at;
    for (at = 0; at < MODEL_INPUT_BYTES; ++at) {
        input[at] = contract_input_table[image[at]];
    }
}

static const char *best_label(const int8_t *scores)
{
    int32_t best = 0, c;
    for (c = 1; c < MODEL_OUTPUT_BYTES; ++c) {
        best = scores[c] > scores[best] ? c : best;
    }
    return contract_labels[best];
}

#ifdef MODEL_TRACE
/* The first image's operators are compared as well: the first that differs is where a board goes astray, and a changed
 * weight shows even where the scores are at their ends. */
static void (*trace_print)(const char *text) = 0;
static int32_t operators_that_differ = 0;

static uint32_t crc32_of(const int8_t *data, int32_t count)
{
    uint32_t crc = 0xFFFFFFFFu;
    int32_t at, bit;
    for (at = 0; at < count; ++at) {
        crc ^= (uint8_t)data[at];
        for (bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ ((crc & 1u) != 0u ? 0xEDB88320u : 0u);
        }
    }
    return ~crc;
}

static void print_crc32(void (*print)(const char *), uint32_t value)
{
    char text[9];
    int32_t at;
    for (at = 0; at < 8; ++at) {
        text[at] = "0123456789abcdef"[(value >> (28 - 4 * at)) & 15u];
    }
    text[8] = '\0';
    print(text);
}

void model_trace(int32_t step, const char *name, const int8_t *tensor, int32_t bytes)
{
    if (trace_print != 0) {
        const uint32_t crc = crc32_of(tensor, bytes);
        const int same = crc == golden_checksums[step];
        trace_print("operator ");
        print_number(trace_print, step + 1);
        trace_print(" ");
        trace_print(name);
        trace_print(same ? " same tensor " : " differs tensor ");
        print_number(trace_print, golden_tensors[step]);
        trace_print(" crc32 ");
        print_crc32(trace_print, crc);
        trace_print("\n");
        operators_that_differ += same ? 0 : 1;
    }
}
#endif

int32_t self_test(void (*print)(const char *text))
{
    int32_t vector, first = 0;
    print("model " CONTRACT_NAME " sha256 " CONTRACT_SHA256 "\n");
    print("device " SELF_TEST_DEVICE "\n");
    print("kernels " SELF_TEST_KERNELS "\n");
    for (vector = 0; vector < GOLDEN_COUNT; ++vector) {
        const int8_t *scores = model_output();
        int same;
        fill_input(golden_images[vector]);
#ifdef MODEL_TRACE
        trace_print = vector == 0 ? print : 0;
        model_run();
        same = vector > 0 || operators_that_differ == 0;
#else
        model_run();
        same = 1;
#endif
        same = same && memcmp(scores, golden_scores[vector], MODEL_OUTPUT_BYTES) == 0;
        print("vector ");
        print_number(print, vector + 1);
        print(same ? " same " : " differs ");
        print(best_label(scores));
        print_scores(print, " scores", scores);
        if (!same) {
            print_scores(print, "  expected", golden_scores[vector]);
            first = first == 0 ? vector + 1 : first;
        }
    }
    if (first == 0) {
        print("self-test passed\n");
    } else {
        print("self-test failed: vector ");
        print_number(print, first);
        print(" is the first that differs\n");
    }
    return first;
}

#ifndef SELF_TEST_WITHOUT_MAIN
#include <stdio.h>

static void print_to_stdout(const char *text)
{
    fputs(text, stdout);
}

int main(void)
{
    return self_test(print_to_stdout) == 0 ? 0 : 1;
}
#endif
