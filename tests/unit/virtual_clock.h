/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Time that passes by being waited for, for a test of an edge, which reads clocks and sleeps by itself. The program that includes
 * this defines the C library's functions for both, and the dynamic linker finds those of the program before those of
 * the library (and before a sanitizer's), also for libevent, libsystemd and SQLite: where libevent would sleep in epoll_wait because
 * no descriptor is ready, the clocks jump by as long as it would have slept. A look at the descriptors that finds nothing takes a
 * millisecond, so that whoever looks again and again until it is late comes to an end.
 *
 * All who take part live in this process, or hold a lock and do nothing; then nothing can become ready in between, and each run
 * takes the same course. Nobody waits for ever: that ends the test.
 */
#ifndef SIMHOP_TESTS_VIRTUAL_CLOCK_H
#define SIMHOP_TESTS_VIRTUAL_CLOCK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proto/base.h"

#define VIRTUAL_MS_NS UINT64_C(1000000)

static uint64_t virtual_ns = UINT64_C(1000000000000); /* of all clocks */

static inline sh_ms virtual_now(void)
{
    return virtual_ns / VIRTUAL_MS_NS;
}

int clock_gettime(clockid_t id SH_UNUSED, struct timespec *ret_now)
{
    ret_now->tv_sec = (time_t)(virtual_ns / UINT64_C(1000000000));
    ret_now->tv_nsec = (long)(virtual_ns % UINT64_C(1000000000));
    return 0;
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
    long n = syscall(SYS_epoll_pwait, fd, events, max, 0, NULL, 0);
    if (n == 0 && timeout_ms < 0) {
        fprintf(stderr, "somebody waits for ever\n");
        abort();
    }
    if (n == 0)
        virtual_ns += VIRTUAL_MS_NS * (uint64_t)SH_MAX(timeout_ms, 1);
    return (int)n;
}

int usleep(useconds_t us)
{
    virtual_ns += (uint64_t)us * 1000;
    return 0;
}

int nanosleep(const struct timespec *time, struct timespec *left SH_UNUSED)
{
    virtual_ns += (uint64_t)time->tv_sec * UINT64_C(1000000000) + (uint64_t)time->tv_nsec;
    return 0;
}

#endif
