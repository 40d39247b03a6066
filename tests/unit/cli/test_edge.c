/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signals to a verb with a loop: what comes in it ends it; what comes after its last turn is not lost, and does not kill. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/edge.h"
#include "system/clock.h"
#include "system/signals.h"

static char folder[32], radio[40];
static struct sh_edge edge;
static enum sh_cause stopped_by;
static unsigned stops;
static int raised_at_first; /* by the loop's first turn; 0: it ends by itself */

static void on_stop(enum sh_cause cause, void *user SH_UNUSED)
{
    stops++;
    stopped_by = cause;
    sh_edge_quit(&edge, false);
}

static sh_ms on_tick(sh_ms now SH_UNUSED, void *user SH_UNUSED)
{
    if (raised_at_first) {
        raise(raised_at_first);
        raise(raised_at_first);
        raised_at_first = 0;
    } else if (edge.quit_by == 0) {
        sh_edge_quit(&edge, false);
    }
    return SH_NEVER;
}

static const struct sh_edge_ops ops = {.stop = on_stop, .tick = on_tick};
static const struct sh_ble_ops ble_ops = {0};
static const struct sh_link_ops link_ops = {0};

static int set_up(void **state SH_UNUSED)
{
    strcpy(folder, "/tmp/simhop-edge.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(radio, sizeof(radio), "sim:%s", folder);
    stops = 0;
    stopped_by = SH_OK;
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    assert_int_equal(rmdir(folder), 0);
    return 0;
}

static void run(int raised)
{
    const struct sh_common common = {
        .name = "tablet", .radio = radio, .wifi = "none", .links = "ble", .deadline_s = -1};
    raised_at_first = raised;
    edge = (struct sh_edge){0};
    assert_int_equal(sh_edge_open(&edge, &common, &ops, &ble_ops, &link_ops, NULL), SH_OK);
    assert_int_equal(sh_edge_run(&edge, NULL), SH_OK);
}

static void test_in_the_loop(void **state SH_UNUSED)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    for (size_t i = 0; i < SH_COUNT(numbers); i++) {
        stops = 0;
        run(numbers[i]);
        assert_int_equal(stops, 1);
        assert_int_equal(stopped_by, SH_SESSION_INTERRUPTED);
        sh_edge_close(&edge);
    }
}

/* Whoever goes on after the loop, as the installing does, hears of it. */
static void test_after_the_last_turn(void **state SH_UNUSED)
{
    sh_autoclose int fd = -1;
    run(0);
    assert_int_equal(stops, 0);
    raise(SIGINT);
    sh_edge_close(&edge);
    raise(SIGTERM);
    assert_int_equal(sh_signals_open(&fd, NULL), SH_OK);
    assert_true(sh_signals_take(fd));
    assert_false(sh_signals_take(fd));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_in_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_after_the_last_turn, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
