/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/clock.h"

#include <time.h>

sh_ms sh_now(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (sh_ms)now.tv_sec * 1000 + (sh_ms)now.tv_nsec / 1000000;
}

sh_ms sh_asleep(void)
{
    struct timespec boot = {0}, awake = {0};
    clock_gettime(CLOCK_MONOTONIC, &awake);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    int64_t ms =
        (int64_t)(boot.tv_sec - awake.tv_sec) * 1000 + (boot.tv_nsec - awake.tv_nsec) / 1000000;
    return (sh_ms)SH_MAX(ms, (int64_t)0);
}
