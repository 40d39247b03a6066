/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/slow.h"

#include <time.h>

#include "proto/log.h"

static uint64_t now_ns(void)
{
    struct timespec ts = {0};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

struct sh_slow sh_slow_begin(const char *name)
{
    return (struct sh_slow){.name = name, .since_ns = now_ns()};
}

void sh_slow_end(const struct sh_slow *slow)
{
    uint64_t ms = (now_ns() - slow->since_ns) / 1000000;
    if (ms > SH_SLOW_MS)
        sh_log("slow: %s held the loop for %llu ms", slow->name, (unsigned long long)ms);
}
