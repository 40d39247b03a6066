/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A logind that does what a test says, on a message bus of the test's own (dbus-daemon on a socket in a temporary folder), in
 * the loop of what is tested. A lock is the end of a pipe, so that it is seen when it is given back.
 */
#include "system/sleep.h"

#include <fcntl.h>
#include <poll.h>

#include "unit/pairing/fake_bus.h"
#include "unit/proto/check.h"

#define LOGIND    "org.freedesktop.login1"
#define PATH      "/org/freedesktop/login1"
#define INTERFACE "org.freedesktop.login1.Manager"

enum { BLOCK, DELAY, MODES };

static struct sh_bus *logind;
static struct sh_sleep *sleep_of_ours;
static bool named, hangs, no_block, no_delay;
static unsigned asked[MODES];
static int watched[MODES]; /* our ends of the pipes; -1: never given */
static unsigned goings, wokes;
static sh_ms slept, clocks;
static bool delayed_in_going;

/* ---- logind ---- */

static int mode_of(const char *mode)
{
    if (strcmp(mode, "block") == 0)
        return BLOCK;
    return strcmp(mode, "delay") == 0 ? DELAY : MODES;
}

static int on_method(sd_bus_message *m, void *user SH_UNUSED, sd_bus_error *error SH_UNUSED)
{
    const char *what = NULL, *who = NULL, *why = NULL, *mode = NULL;
    int fds[2];
    if (!sd_bus_message_is_method_call(m, INTERFACE, "Inhibit"))
        return 0;
    assert_true(sd_bus_message_read(m, "ssss", &what, &who, &why, &mode) >= 0);
    assert_string_equal(what, "sleep");
    assert_string_equal(who, "simhop");
    assert_true(why[0] != '\0');
    int n = mode_of(mode);
    assert_int_not_equal(n, MODES);
    asked[n]++;
    if (hangs)
        return 1;
    if (n == BLOCK ? no_block : no_delay)
        return sd_bus_reply_method_errorf(m, "org.freedesktop.DBus.Error.AccessDenied", "no");
    assert_int_equal(pipe(fds), 0);
    if (watched[n] >= 0)
        close(watched[n]);
    watched[n] = fds[0];
    int r = sd_bus_reply_method_return(m, "h", fds[1]);
    close(fds[1]);
    return r < 0 ? r : 1;
}

static int on_named(sd_bus_message *m, void *user SH_UNUSED, sd_bus_error *error SH_UNUSED)
{
    assert_false(sd_bus_message_is_method_error(m, NULL));
    named = true;
    return 1;
}

static void on_lost(enum sh_cause cause SH_UNUSED, void *user SH_UNUSED) {}

static void start_logind(void)
{
    fake_bus_start();
    assert_ok(sh_bus_open(fake_bus.base, on_lost, NULL, &logind));
    assert_true(sd_bus_add_object(sh_bus_sd(logind), NULL, PATH, on_method, NULL) >= 0);
    assert_true(sd_bus_request_name_async(sh_bus_sd(logind), NULL, LOGIND, 0, on_named, NULL) >= 0);
    sh_bus_kick(logind);
    FAKE_UNTIL(named);
}

static void prepare_for_sleep(bool going)
{
    assert_true(sd_bus_emit_signal(sh_bus_sd(logind), PATH, INTERFACE, "PrepareForSleep", "b",
                                   (int)going) >= 0);
    sh_bus_kick(logind);
}

static int on_answered(sd_bus_message *m SH_UNUSED, void *user SH_UNUSED,
                       sd_bus_error *error SH_UNUSED)
{
    named = true;
    return 0;
}

/* The bus has passed on what was said: its answer to something later is here. */
static void let_arrive(void)
{
    named = false;
    assert_true(sd_bus_call_method_async(sh_bus_sd(logind), NULL, "org.freedesktop.DBus",
                                         "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId",
                                         on_answered, NULL, NULL) >= 0);
    sh_bus_kick(logind);
    FAKE_UNTIL(named);
    for (unsigned i = 0; i < 10; i++)
        fake_turn();
}

/* Is the other end open? */
static bool is_locked(int mode)
{
    struct pollfd end = {.fd = watched[mode], .events = POLLIN};
    if (watched[mode] < 0)
        return false;
    assert_true(poll(&end, 1, 0) >= 0);
    return (end.revents & POLLHUP) == 0;
}

/* ---- What is tested ---- */

static void on_going(void *user)
{
    assert_ptr_equal(user, &goings);
    goings++;
    delayed_in_going = is_locked(DELAY);
}

static void on_woke(sh_ms time, void *user)
{
    assert_ptr_equal(user, &goings);
    wokes++;
    slept = time;
}

static sh_ms on_asleep(void *user SH_UNUSED)
{
    return clocks;
}

static const struct sh_sleep_ops ops = {.going = on_going, .woke = on_woke, .asleep = on_asleep};

static int setup(void **state SH_UNUSED)
{
    fake_bus_set_up();
    named = hangs = no_block = no_delay = delayed_in_going = false;
    goings = wokes = asked[BLOCK] = asked[DELAY] = 0;
    watched[BLOCK] = watched[DELAY] = -1;
    slept = 0;
    clocks = 5000;
    assert_ok(sh_sleep_new(fake_bus.base, &ops, &goings, &sleep_of_ours));
    return 0;
}

static int teardown(void **state SH_UNUSED)
{
    sh_sleep_free(sleep_of_ours);
    sh_bus_free(logind);
    logind = NULL;
    for (int i = 0; i < MODES; i++) {
        if (watched[i] >= 0)
            close(watched[i]);
    }
    fake_bus_tear_down();
    return 0;
}

static bool holds(const char *what)
{
    return strcmp(sh_sleep_held(sleep_of_ours), what) == 0;
}

static void test_while_bytes_move(void **state SH_UNUSED)
{
    start_logind();
    assert_true(holds(""));
    for (unsigned i = 0; i < 2; i++) {
        sh_sleep_moving(sleep_of_ours, true);
        sh_sleep_moving(sleep_of_ours, true);
        FAKE_UNTIL(holds("block,delay"));
        sh_sleep_moving(sleep_of_ours, true);
        assert_true(is_locked(BLOCK) && is_locked(DELAY));
        sh_sleep_moving(sleep_of_ours, false);
        assert_true(holds(""));
        FAKE_UNTIL(!is_locked(BLOCK) && !is_locked(DELAY)); /* the bus may still have its copy */
        assert_int_equal(asked[BLOCK], i + 1);
        assert_int_equal(asked[DELAY], i + 1);
    }
    assert_int_equal(goings + wokes, 0);
}

/* The answer comes when nothing moves any more: the lock that it brings is given back. */
static void test_over_before_the_answer(void **state SH_UNUSED)
{
    start_logind();
    sh_sleep_moving(sleep_of_ours, true);
    FAKE_UNTIL(asked[DELAY] == 1);
    sh_sleep_moving(sleep_of_ours, false);
    FAKE_UNTIL(!is_locked(BLOCK) && !is_locked(DELAY));
    assert_true(holds(""));
}

static void test_block_is_refused(void **state SH_UNUSED)
{
    start_logind();
    no_block = true;
    sh_sleep_moving(sleep_of_ours, true);
    FAKE_UNTIL(holds("delay"));
    FAKE_UNTIL(asked[BLOCK] == 1);
    for (unsigned i = 0; i < 20; i++) {
        sh_sleep_moving(sleep_of_ours, true);
        fake_turn();
    }
    assert_int_equal(asked[BLOCK], 1); /* it is not asked again and again */
    prepare_for_sleep(true);
    FAKE_UNTIL(goings == 1);
    assert_true(delayed_in_going);
}

static void test_sleeps_and_wakes(void **state SH_UNUSED)
{
    start_logind();
    sh_sleep_moving(sleep_of_ours, true);
    FAKE_UNTIL(holds("block,delay"));
    prepare_for_sleep(true);
    FAKE_UNTIL(goings == 1);
    assert_true(delayed_in_going);
    FAKE_UNTIL(!is_locked(DELAY)); /* now it may */
    sh_sleep_moving(sleep_of_ours, true);
    assert_int_equal(asked[DELAY], 1);
    clocks += 42000;
    prepare_for_sleep(false);
    FAKE_UNTIL(wokes == 1);
    assert_int_equal(slept, 42000);
    FAKE_UNTIL(holds("block,delay"));
    sh_sleep_look(sleep_of_ours); /* told once */
    assert_int_equal(wokes, 1);
    /* It did not come to it. */
    prepare_for_sleep(true);
    FAKE_UNTIL(goings == 2);
    prepare_for_sleep(false);
    FAKE_UNTIL(wokes == 2);
    assert_int_equal(slept, 0);
}

/* The clocks are looked at before logind's word comes; and it does not come at all. */
static void test_the_clocks_are_first(void **state SH_UNUSED)
{
    start_logind();
    sh_sleep_moving(sleep_of_ours, true);
    FAKE_UNTIL(holds("block,delay"));
    prepare_for_sleep(true);
    FAKE_UNTIL(goings == 1);
    clocks += 3000;
    sh_sleep_look(sleep_of_ours);
    assert_int_equal(wokes, 1);
    assert_int_equal(slept, 3000);
    prepare_for_sleep(false);
    FAKE_UNTIL(holds("block,delay"));
    assert_int_equal(wokes, 1);
}

static void test_nothing_moves(void **state SH_UNUSED)
{
    start_logind();
    sh_sleep_moving(sleep_of_ours, true);
    FAKE_UNTIL(holds("block,delay"));
    sh_sleep_moving(sleep_of_ours, false);
    prepare_for_sleep(true);
    prepare_for_sleep(false);
    let_arrive();
    sh_sleep_moving(sleep_of_ours, true);
    FAKE_UNTIL(holds("block,delay"));
    assert_int_equal(goings + wokes, 0);
}

static void test_hangs(void **state SH_UNUSED)
{
    start_logind();
    hangs = true;
    sh_sleep_moving(sleep_of_ours, true);
    FAKE_UNTIL(asked[BLOCK] == 1 && asked[DELAY] == 1);
    for (unsigned i = 0; i < 20; i++) {
        sh_sleep_moving(sleep_of_ours, true);
        fake_turn();
    }
    assert_true(holds(""));
    assert_int_equal(asked[BLOCK] + asked[DELAY], 2);
    prepare_for_sleep(true); /* it speaks all the same */
    FAKE_UNTIL(goings == 1);
}

/* Without a bus, and without a logind on it, only the clocks tell. */
static void test_nobody_is_there(void **state SH_UNUSED)
{
    for (unsigned i = 0; i < 2; i++) {
        if (i == 1)
            fake_bus_start();
        sh_sleep_moving(sleep_of_ours, true);
        for (unsigned n = 0; n < 20; n++)
            fake_turn();
        assert_true(holds(""));
        clocks += 2000;
        sh_sleep_look(sleep_of_ours);
        assert_int_equal(wokes, i);
        clocks += 1;
        sh_sleep_look(sleep_of_ours);
        assert_int_equal(wokes, i + 1);
        assert_int_equal(slept, 2001);
        sh_sleep_moving(sleep_of_ours, false);
    }
}

static void test_the_bus_is_lost(void **state SH_UNUSED)
{
    start_logind();
    sh_sleep_moving(sleep_of_ours, true);
    FAKE_UNTIL(holds("block,delay"));
    fake_bus_stop();
    for (unsigned n = 0; n < 50; n++)
        fake_turn();
    sh_sleep_moving(sleep_of_ours, true);
    assert_true(is_locked(BLOCK) && is_locked(DELAY));
    sh_sleep_moving(sleep_of_ours, false);
    FAKE_UNTIL(!is_locked(BLOCK) && !is_locked(DELAY));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_while_bytes_move),
        TEST(test_over_before_the_answer),
        TEST(test_block_is_refused),
        TEST(test_sleeps_and_wakes),
        TEST(test_the_clocks_are_first),
        TEST(test_nothing_moves),
        TEST(test_hangs),
        TEST(test_nobody_is_there),
        TEST(test_the_bus_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
