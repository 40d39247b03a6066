/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/watchdog.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "unit/proto/check.h"

#define TICK_MS 2

static atomic_uint told, told_last, drained;
static int ends[2]; /* a pipe that is full: writing to it waits */
static bool drains_at_last;

static void drain(void)
{
    char bytes[4096];
    while (read(ends[0], bytes, sizeof(bytes)) > 0) {
    }
    atomic_fetch_add(&drained, 1);
}

static void on_kept(bool last, void *user)
{
    assert_ptr_equal(user, ends);
    atomic_fetch_add(last ? &told_last : &told, 1);
    if (last == drains_at_last)
        drain();
}

/* Returns when somebody has taken what is in the pipe. */
static void write_and_wait(void)
{
    static const char bytes[4096];
    unsigned before = drained;
    int flags = fcntl(ends[1], F_GETFL);
    assert_int_equal(fcntl(ends[1], F_SETFL, flags | O_NONBLOCK), 0);
    while (write(ends[1], bytes, sizeof(bytes)) > 0) {
    }
    assert_int_equal(fcntl(ends[1], F_SETFL, flags), 0);
    assert_int_equal(write(ends[1], bytes, sizeof(bytes)), sizeof(bytes));
    while (drained == before)
        sched_yield();
}

static struct sh_watchdog *watchdog;

static int setup(void **state SH_UNUSED)
{
    told = told_last = 0;
    drains_at_last = true;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_ok(sh_watchdog_new(TICK_MS, on_kept, ends, &watchdog));
    return 0;
}

static int teardown(void **state SH_UNUSED)
{
    sh_watchdog_free(watchdog);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void who_is_kept_is_told_of_and_then_for_the_last_time(void **state SH_UNUSED)
{
    write_and_wait();
    assert_int_equal(told, 1);
    assert_int_equal(told_last, 1);
}

static void it_begins_anew_when_it_goes_on(void **state SH_UNUSED)
{
    drains_at_last = false;
    for (unsigned i = 1; i < 4; i++) {
        write_and_wait();
        sh_watchdog_alive(watchdog);
        assert_int_equal(told, i);
    }
    assert_int_equal(told_last, 0);
}

static void who_sleeps_or_waits_for_events_is_not_kept(void **state SH_UNUSED)
{
    const struct timespec nap = {.tv_nsec = 300 * 1000000};
    struct pollfd nothing = {.fd = ends[0], .events = POLLIN};
    nanosleep(&nap, NULL);
    assert_int_equal(poll(&nothing, 1, 300), 0);
    assert_int_equal(told, 0);
}

static void who_computes_is_not_kept(void **state SH_UNUSED)
{
    struct timespec from, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < 300);
    assert_int_equal(told, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_is_kept_is_told_of_and_then_for_the_last_time),
        TEST(it_begins_anew_when_it_goes_on),
        TEST(who_sleeps_or_waits_for_events_is_not_kept),
        TEST(who_computes_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
