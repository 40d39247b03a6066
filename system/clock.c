/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/clock.h"

#include <time.h>

sh_ms sh_now(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (sh_ms)now.tv_sec * 1000 + (sh_ms)now.tv_nsec / 1000000;
}
