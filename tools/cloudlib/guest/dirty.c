/* Changes memory at a given rate, so that a migration has to copy it again and
 * again. A thread at the lowest priority: the web service must not feel it. Not
 * a process: to change address spaces empties the emulated TLB, twice for each
 * request that wakes the service. One word a page is enough to make the whole
 * page dirty. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

enum { PAGE = 4096, PAGES_PER_MIB = 256, TICK_MS = 20 };

static volatile long wanted_rate, wanted_size; /* MiB a second, MiB */

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
        nap(wanted_rate && wanted_size ? TICK_MS : 100);
        long now = now_ms(), passed = now - before;
        before = now;
        if (wanted_size != size) {
            long wanted = wanted_size;
            area = resize(area, size, wanted);
            size = wanted, next = 0, owed = 0, before = now_ms();
            continue;
        }
        /* A stall (the migration itself) is not made up for. */
        if (passed > 5 * TICK_MS)
            passed = TICK_MS;
        owed += wanted_rate * PAGES_PER_MIB * passed;
        if (!area || !wanted_rate) {
            owed = 0;
            continue;
        }
        for (; owed >= 1000; owed -= 1000) {
            ++*(uint64_t *)(area + next * PAGE);
            next = (next + 1) % (size * PAGES_PER_MIB);
        }
    }
}

static void *run(void *unused)
{
    (void)unused;
    /* Linux keeps the niceness for each thread */
    if (setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19))
        abort();
    work();
    return NULL;
}

void dirty_start(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, NULL))
        abort();
}

void dirty_set(long rate_mib, long size_mib)
{
    wanted_rate = rate_mib;
    wanted_size = size_mib;
}

void dirty_get(long *rate_mib, long *size_mib)
{
    *rate_mib = wanted_rate;
    *size_mib = wanted_size;
}
