/* Changes memory at a given rate, so that a migration has to copy it again and
 * again. A process of its own at the lowest priority: the web service must not
 * feel it. One word a page is enough to make the whole page dirty. */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

enum { PAGE = 4096, PAGES_PER_MIB = 256, TICK_MS = 20 };

static volatile struct order {
    long rate, size; /* MiB a second, MiB */
} *order;

static void nap(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* No page of zeros, nothing that would compress. */
static void fill(char *page)
{
    static uint64_t x = 88172645463325252ull;
    uint64_t *word = (uint64_t *)page;
    for (int i = 0; i < PAGE / 8; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        word[i] = x;
    }
}

static char *resize(char *old, long old_mib, long mib)
{
    if (old)
        munmap(old, (size_t)old_mib << 20);
    if (!mib)
        return NULL;
    char *area = mmap(NULL, (size_t)mib << 20, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        return NULL;
    for (long i = 0; i < mib * PAGES_PER_MIB; i++) {
        fill(area + i * PAGE);
        if (i % 512 == 511)
            nap(2);
    }
    return area;
}

static void work(void)
{
    char *area = NULL;
    long size = 0, next = 0, before = now_ms(), owed = 0;
    for (;;) {
        nap(order->rate && order->size ? TICK_MS : 100);
        long now = now_ms(), passed = now - before;
        before = now;
        if (order->size != size) {
            long wanted = order->size;
            area = resize(area, size, wanted);
            size = wanted, next = 0, owed = 0, before = now_ms();
            continue;
        }
        /* A stall (the migration itself) is not made up for. */
        if (passed > 5 * TICK_MS)
            passed = 5 * TICK_MS;
        owed += order->rate * PAGES_PER_MIB * passed;
        if (!area || !order->rate) {
            owed = 0;
            continue;
        }
        for (; owed >= 1000; owed -= 1000) {
            ++*(uint64_t *)(area + next * PAGE);
            next = (next + 1) % (size * PAGES_PER_MIB);
        }
    }
}

void dirty_start(void)
{
    order = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (order == MAP_FAILED)
        abort();
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (nice(19) == -1)
            _exit(1);
        work();
    }
}

void dirty_set(long rate_mib, long size_mib)
{
    order->rate = rate_mib;
    order->size = size_mib;
}

void dirty_get(long *rate_mib, long *size_mib)
{
    *rate_mib = order->rate;
    *size_mib = order->size;
}
