/* Start-up for a Cortex-M, and a main that prints the self-test, instructions and stack through semihosting.
 *
 * Nothing here is the network's: it is what a stranger needs to see it boot, on QEMU or a debugger. Instructions are
 * SysTick's ticks, set in proportion to a loop of known length: under `qemu-system-arm -icount shift=0` time is
 * instructions; on a board the number is its clock's, not instructions. */
#include <stdint.h>

#include "../model.h"
#include "../self_test.h"

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018u)
#define SYSTICK_MASK 0xFFFFFFu
#define COPROCESSOR_ACCESS (*(volatile uint32_t *)0xE000ED88u)
#define PAINT 0xA5A5A5A5u
#define LOOPS 500000u

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_end[], stack_start[];

void reset(void);

static uint32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void print(const char *text)
{
    (void)semihost(0x04u, text); /* SYS_WRITE0 */
}

static void leave(uint32_t status)
{
    uint32_t block[2];
    block[0] = 0x20026u; /* ADP_Stopped_ApplicationExit */
    block[1] = status;
    (void)semihost(0x20u, block); /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}

static void fault(void)
{
    print("fault\n");
    leave(2u);
}

static void print_number(const char *title, uint32_t value)
{
    char text[11];
    uint32_t at = 10;
    text[at] = '\0';
    do {
        text[--at] = (char)('0' + (char)(value % 10u));
        value /= 10u;
    } while (value != 0u);
    print(title);
    print(text + at);
    print("\n");
}

static uint32_t ticks_since(uint32_t start)
{
    return (start - SYSTICK_VALUE) & SYSTICK_MASK;
}

/* Two instructions a turn. */
static void count_down(uint32_t turns)
{
    __asm__ volatile(".balign 4\n1: subs %0, %0, #1\n bne 1b" : "+r"(turns) : : "cc");
}

static uint32_t instructions_of_a_run(void)
{
    uint32_t start, calibration, ticks;
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0u;
    SYSTICK_CONTROL = 5u; /* on, the processor's clock */
    start = SYSTICK_VALUE;
    count_down(LOOPS);
    calibration = ticks_since(start);
    start = SYSTICK_VALUE;
    model_run();
    ticks = ticks_since(start);
    return (uint32_t)((uint64_t)ticks * (2u * LOOPS) / calibration);
}

static uint32_t stack_used(void)
{
    const uint32_t *word = stack_end;
    while (word < stack_start && *word == PAINT) {
        ++word;
    }
    return (uint32_t)((uintptr_t)stack_start - (uintptr_t)word);
}

static void run(void)
{
    const int32_t first = self_test(print);
    print_number("arena bytes ", (uint32_t)MODEL_ARENA_BYTES);
    print_number("stack bytes ", stack_used());
    print_number("instructions ", instructions_of_a_run());
    leave(first == 0 ? 0u : 1u);
}

void reset(void)
{
    uint32_t *from = data_load, *to;
    for (to = data_start; to < data_end; ++to) {
        *to = *from++;
    }
    for (to = bss_start; to < bss_end; ++to) {
        *to = 0u;
    }
    /* The free memory below this frame, which is larger than what is left of it here. */
    for (to = stack_end; to < (uint32_t *)((uintptr_t)__builtin_frame_address(0) - 256u); ++to) {
        *to = PAINT;
    }
    COPROCESSOR_ACCESS |= 0xF00000u; /* floating point and vectors, where there are some */
    __asm__ volatile("dsb\n isb");
    run();
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_start, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
};
