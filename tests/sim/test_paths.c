/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a session comes to its verdict on a link that fails: the anchor is asked over the one that works, waited for no longer than
 * three seconds, and hears of it; the transfer goes on meanwhile.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "world.h"

#define assert_cause(is, should)                                                                   \
    assert_string_equal(sh_cause_info(is)->name, sh_cause_info(should)->name)

static const struct sh_path_facts reset = {
    .phase = SH_PATH_CONNECT, .error = ECONNREFUSED, .answer = SH_PATH_RESET};

/* Long enough over Bluetooth that the ladder gives LAN up before it ends. */
static struct run fail_lan(struct run run)
{
    uint64_t size = 4000000;
    struct world *world = world_new(&size, 1, false);
    run.lan = run.ble_carries = true;
    run.ble_latency = run.ble_latency ? run.ble_latency : 150;
    world_run(world, &run, 300000);
    assert_true(run.anchor_over && run.secondary_over);
    assert_cause(run.anchor_cause, SH_OK);
    assert_cause(run.secondary_cause, SH_OK);
    assert_true(world_files_equal(world));
    world_free(world);
    assert_int_equal(run.lan_failed, 1);
    assert_cause(run.lan_verdict_anchor, run.lan_verdict);
    return run;
}

static void the_anchor_tells_what_a_reset_was(void **state SH_UNUSED)
{
    static const struct {
        int view;
        enum sh_cause verdict;
    } table[] = {{VIEW_LISTENS, SH_LINK_FIREWALL_REJECT}, {VIEW_CLOSED, SH_LINK_NOT_LISTENING}};
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        struct run run = fail_lan(
            (struct run){.lan_fails = SH_LINK_REFUSED, .lan_facts = reset, .view = table[i].view});
        assert_cause(run.lan_verdict, table[i].verdict);
        assert_in_range(run.views, 1, 3);
    }
}

/* One that does not answer costs three seconds at most, and what was seen is still said. */
static void it_is_not_waited_for_long(void **state SH_UNUSED)
{
    struct run with = fail_lan((struct run){
        .lan_fails = SH_LINK_REFUSED, .lan_facts = reset, .view = VIEW_LISTENS, .seed = 3});
    struct run without = fail_lan(
        (struct run){.lan_fails = SH_LINK_REFUSED, .lan_facts = reset, .view = NO_VIEW, .seed = 3});
    assert_cause(without.lan_verdict, SH_LINK_REFUSED);
    assert_int_equal(without.views, 0);
    assert_in_range(without.lan_verdict_after, 0, with.lan_verdict_after + 4000);
}

/* Pieces are before it in the radio's queue. */
static void a_slow_radio_brings_it_all_the_same(void **state SH_UNUSED)
{
    struct run run = fail_lan((struct run){.lan_fails = SH_LINK_REFUSED,
                                           .lan_facts = reset,
                                           .view = VIEW_LISTENS,
                                           .ble_latency = 1500});
    assert_cause(run.lan_verdict, SH_LINK_FIREWALL_REJECT);
}

/* What proves itself needs no view. */
static void it_is_asked_only_where_it_matters(void **state SH_UNUSED)
{
    struct sh_path_facts facts = reset;
    facts.answer = SH_PATH_ICMP;
    struct run run = fail_lan(
        (struct run){.lan_fails = SH_LINK_REFUSED, .lan_facts = facts, .view = VIEW_LISTENS});
    assert_cause(run.lan_verdict, SH_LINK_FIREWALL_REJECT);
    assert_int_equal(run.views, 0);
    run = fail_lan((struct run){.lan_fails = SH_LINK_UNREACHABLE,
                                .view = VIEW_LISTENS}); /* nothing is known */
    assert_cause(run.lan_verdict, SH_LINK_UNREACHABLE);
    assert_int_equal(run.views, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_anchor_tells_what_a_reset_was),
        cmocka_unit_test(it_is_not_waited_for_long),
        cmocka_unit_test(a_slow_radio_brings_it_all_the_same),
        cmocka_unit_test(it_is_asked_only_where_it_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
