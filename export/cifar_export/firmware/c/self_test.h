/* Replays the golden vectors and prints their scores. */
#ifndef SELF_TEST_H
#define SELF_TEST_H

#include <stdint.h>

/* 0, or the number of the first vector that differs, counted from 1. `print` gets pieces of text; a line ends in \n. */
int32_t self_test(void (*print)(const char *text));

#endif
