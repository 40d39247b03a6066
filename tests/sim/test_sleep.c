/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Machines that sleep in the middle of a transfer: it goes on where it was, whatever time has passed, as long as nobody who was
 * awake has waited too long; and if so, the next session goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/again.h"
#include "transfer/ladder.h"
#include "world_internal.h"

#define HOUR 3600000

static struct world *world;

static int set_up(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {2000000, 3000, 200000};
    world = world_new(sizes, SH_COUNT(sizes), true);
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    world_free(world);
    return 0;
}

static int forget(void **state SH_UNUSED)
{
    world_reset(world);
    return 0;
}

static void assert_cause(enum sh_cause got, enum sh_cause wanted)
{
    assert_string_equal(sh_cause_info(got)->name, sh_cause_info(wanted)->name);
}

static struct run run_of(struct run run)
{
    run.ble_carries = true;
    run.link_latency = 100; /* else all is there before anything is told */
    world_run(world, &run, run.sleeps_for + 60000);
    assert_true(run.anchor_over && run.secondary_over);
    return run;
}

static void expect_done(const struct run *run)
{
    assert_cause(run->secondary_cause, SH_OK);
    assert_cause(run->anchor_cause, SH_OK);
    assert_true(run->anchor_done && run->secondary_done);
    assert_true(world_files_equal(world));
    assert_true(run->ended_after > run->sleeps_for); /* it was in the middle */
}

static size_t listed(void)
{
    struct sh_transfer *list = NULL;
    size_t count = 0;
    assert_int_equal(sh_registry_list_transfers(world_secondary(world)->registry, &list, &count),
                     SH_OK);
    free(list);
    return count;
}

static void both_sleep(void **state SH_UNUSED)
{
    static const sh_ms times[] = {3000, 25000, 60000, 8 * HOUR};
    for (size_t i = 0; i < SH_COUNT(times); i++) {
        for (int lan = 0; lan < 2; lan++) {
            world_reset(world);
            struct run run =
                run_of((struct run){.lan = lan, .sleeps_for = times[i], .sleeps = {true, true}});
            expect_done(&run);
        }
    }
}

/* As long as the other one waits, which counts it as silence. */
static void one_sleeps(void **state SH_UNUSED)
{
    for (int side = 0; side < 2; side++) {
        world_reset(world);
        struct run run = {.lan = true, .sleeps_for = side == SH_SECONDARY ? 15000 : 4000};
        run.sleeps[side] = true;
        run = run_of(run);
        expect_done(&run);
    }
}

/* The anchor gives up after a while: what was verified is kept, and the next session goes on with it. */
static void one_sleeps_too_long(void **state SH_UNUSED)
{
    struct run run = run_of((struct run){.sleeps_for = HOUR, .sleeps = {[SH_SECONDARY] = true}});
    assert_cause(run.anchor_cause, SH_TRANSFER_STALLED);
    assert_false(run.secondary_done || world_half_files(world));
    assert_int_equal(listed(), 1);
    run = run_of((struct run){.never_type = true});
    assert_cause(run.secondary_cause, SH_OK);
    assert_true(run.resumed >= SH_LEAF_SIZE);
    assert_true(world_files_equal(world));
    assert_int_equal(listed(), 0);
}

/* What was cut off is listed with its name and where it is; what has one leaf, or was not begun, is not. */
static void what_is_cut_off_is_listed(void **state SH_UNUSED)
{
    struct sh_transfer *list = NULL;
    size_t count = 0;
    struct run run = run_of((struct run){.stop_in_transfer = true});
    assert_cause(run.secondary_cause, SH_SESSION_INTERRUPTED);
    assert_int_equal(sh_registry_list_transfers(world_secondary(world)->registry, &list, &count),
                     SH_OK);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].name, "item0");
    assert_int_equal(list[0].size, 2000000);
    assert_string_equal(list[0].dir, world->out);
    assert_memory_equal(list[0].anchor_id, world_anchor(world)->identity->id, SH_DEVICE_ID_SIZE);
    free(list);
    run = run_of((struct run){.never_type = true});
    assert_cause(run.secondary_cause, SH_OK);
    assert_int_equal(listed(), 0);
}

static bool has_slept(const struct world *w)
{
    return w->transfer_since > 0 && w->wire.now >= w->transfer_since + HOUR;
}

/* Asleep while it looks for links: no attempt that hangs, and no back-off, has come nearer to its end by that, and the network that is
 * there when it wakes is used. */
static void the_network_is_there_afterwards(struct world *w)
{
    if (has_slept(w))
        w->run->dial_unanswered = false;
}

static void it_sleeps_while_it_looks_for_links(void **state SH_UNUSED)
{
    struct run run = run_of((struct run){.lan = true,
                                         .ble_latency = 200,
                                         .dial_unanswered = true,
                                         .sleeps_for = 2 * HOUR,
                                         .sleeps = {true, true},
                                         .meddle = the_network_is_there_afterwards});
    expect_done(&run);
    assert_int_equal(run.lan_failed, 0);
    assert_int_equal(run.lan_ups[SH_SECONDARY], 1);
    /* The first attempt hung for its whole time awake, then came one back-off, and the probes. */
    assert_in_range(run.lan_up_after - run.sleeps_for, SH_DIAL_MS, SH_DIAL_MS + 4 * SH_BACKOFF_MS);
    assert_true(run.link_bytes[SIMHOP__LINK_KIND__LINK_KIND_LAN] > 0);
}

static sh_ms woke_at;

static void note_waking(struct world *w)
{
    if (woke_at == 0 && has_slept(w))
        woke_at = w->wire.now;
}

/* The other device does not wait so long. What was cut off so is looked for without an end, and goes on without a code. */
static void it_begins_again_after_a_sleep(void **state SH_UNUSED)
{
    struct sh_again again = SH_AGAIN_INIT;
    woke_at = 0;
    struct run run = run_of(
        (struct run){.sleeps_for = HOUR, .sleeps = {[SH_SECONDARY] = true}, .meddle = note_waking});
    sh_ms over = world_now(world);
    assert_false(run.secondary_done);
    assert_true(woke_at > 0);
    sh_again_slept(&again, HOUR, true, woke_at);
    assert_int_equal(sh_again_over(&again, run.secondary_cause, true, false, over),
                     SH_AGAIN_BY_SLEEP);
    sh_again_slept(&again, HOUR, false, over + HOUR);
    assert_int_equal(again.until, SH_NEVER);
    run = run_of((struct run){.never_type = true});
    assert_cause(run.secondary_cause, SH_OK);
    assert_true(run.resumed >= SH_LEAF_SIZE && world_files_equal(world));
    assert_int_equal(sh_again_over(&again, SH_OK, true, false, over + HOUR), SH_AGAIN_NO);
    /* Which is over with that: a loss long after it is one. */
    assert_int_equal(sh_again_over(&again, SH_CONNECT_LOST, true, false, over + HOUR),
                     SH_AGAIN_BY_LOSS);
}

/* Lost links are looked for as long as the machine is awake for: the sleep in the middle of that search is no part of it. */
static void it_sleeps_while_it_looks_for_the_device(void **state SH_UNUSED)
{
    struct sh_again again = SH_AGAIN_INIT;
    const sh_ms lost = 1000000, woke = lost + SH_AGAIN_MS / 2 + HOUR;
    assert_int_equal(sh_again_over(&again, SH_CONNECT_LOST, false, false, lost), SH_AGAIN_NO);
    (void)sh_fail(SH_TRANSFER_STALLED, "as it was lost");
    assert_int_equal(sh_again_over(&again, SH_TRANSFER_STALLED, true, false, lost),
                     SH_AGAIN_BY_LOSS);
    sh_again_slept(&again, HOUR, false, woke);
    assert_int_equal(again.until, lost + SH_AGAIN_MS + HOUR);
    assert_true(sh_again_may_search(&again, woke));
    /* A session that came to nothing is no end of the search, but one by a person is. */
    assert_int_equal(sh_again_over(&again, SH_CONNECT_LOST, false, true, woke), SH_AGAIN_NO);
    assert_int_equal(sh_again_over(&again, SH_CONNECT_LOST, false, false, woke),
                     SH_AGAIN_SEARCH_ON);
    assert_int_equal(sh_again_over(&again, SH_CONFIRM_WRONG_CODE, true, false, woke), SH_AGAIN_NO);
    assert_false(sh_again_may_search(&again, woke + SH_AGAIN_MS / 2));
    assert_int_equal(sh_again_over(&again, SH_CONNECT_LOST, false, false, woke + SH_AGAIN_MS / 2),
                     SH_AGAIN_NO);
    /* It ends with what it was needed for, unless a person or this machine ends it. */
    (void)sh_fail(SH_CONNECT_TIMEOUT, "of the search");
    assert_cause(sh_again_end(&again, SH_CONNECT_TIMEOUT), SH_TRANSFER_STALLED);
    assert_string_equal(sh_detail(), "as it was lost");
    assert_cause(sh_again_end(&again, SH_SESSION_INTERRUPTED), SH_SESSION_INTERRUPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(both_sleep, forget),
        cmocka_unit_test_setup(one_sleeps, forget),
        cmocka_unit_test_setup(one_sleeps_too_long, forget),
        cmocka_unit_test_setup(what_is_cut_off_is_listed, forget),
        cmocka_unit_test_setup(it_sleeps_while_it_looks_for_links, forget),
        cmocka_unit_test_setup(it_begins_again_after_a_sleep, forget),
        cmocka_unit_test(it_sleeps_while_it_looks_for_the_device),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
