/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The anchor's receipts wait in a book until they are durable: before that neither side says that it is done, and whatever happens
 * meanwhile loses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/receipts.h"
#include "pairing/registry_db.h"
#include "world_internal.h"

#define LIMIT_MS 120000
#define NEVER    0

static struct world *world;
static struct sh_receipts *book;
static sh_ms came, keep_after; /* the receipt; NEVER: it is not kept */
static sh_ms step_ms;
static unsigned kept_before;
static bool told_before, stops, fails, until_over, mutes, breaks;

static int set_up(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {200000};
    world = world_new(sizes, SH_COUNT(sizes), false);
    assert_int_equal(sh_receipts_new(world->anchor.registry, &book), SH_OK);
    came = keep_after = step_ms = 0;
    kept_before = 0;
    told_before = stops = fails = until_over = mutes = breaks = false;
    return 0;
}

static int tear_down(void **state SH_UNUSED)
{
    sh_receipts_free(book);
    world_free(world);
    return 0;
}

static unsigned kept(void)
{
    uint64_t count = 99;
    assert_int_equal(
        sh_registry_count_receipts(world->anchor.registry, world->secondary.identity->id, &count),
        SH_OK);
    return (unsigned)count;
}

static void set_read_only(bool on)
{
    assert_int_equal(
        sh_db_exec(world->anchor.registry, on ? "PRAGMA query_only = 1" : "PRAGMA query_only = 0"),
        SH_OK);
}

/* The loop around the anchor: keeps what waits, as late as the test says. */
static void commit_later(struct world *in)
{
    const struct side *anchor = &in->sides[SH_ANCHOR], *secondary = &in->sides[SH_SECONDARY];
    if (!sh_receipts_waits(book))
        return;
    if (came == 0) {
        came = world_now(in);
        assert_false(anchor->over || secondary->over);
        if (stops)
            sh_session_stop(secondary->session, SH_SESSION_INTERRUPTED);
    }
    told_before = told_before || anchor->done || secondary->done;
    if (until_over ? !anchor->over : keep_after == NEVER || world_now(in) < came + keep_after)
        return;
    assert_int_equal(kept(), kept_before);
    if (fails)
        set_read_only(true);
    if (mutes)
        wire_pass_small(in->lan_end, 1);
    if (breaks) {
        wire_pass_small(anchor->ble, 1);
        wire_pass_small(secondary->ble, 1);
        wire_end(in->lan_end);
        in->lan_end = NULL;
    }
    sh_receipts_commit(book);
    assert_int_equal(anchor->done, !fails && !until_over);
    if (fails)
        set_read_only(false);
}

static struct run run_for(sh_ms limit)
{
    struct run run = {.ble_carries = true,
                      .lan = true,
                      .book = book,
                      .meddle = commit_later,
                      .anchor_step_ms = step_ms};
    run.lan_dies_after = mutes || breaks ? 2 * LIMIT_MS : 0; /* which lets us at that link */
    world_run(world, &run, limit);
    assert_int_not_equal(came, 0);
    assert_false(told_before);
    return run;
}

static void both_done(const struct run *run)
{
    assert_int_equal(run->anchor_cause, SH_OK);
    assert_int_equal(run->secondary_cause, SH_OK);
    assert_true(run->anchor_done && run->secondary_done);
    assert_true(world_files_equal(world));
    assert_int_equal(kept(), 1);
    assert_false(sh_receipts_waits(book));
}

/* After 7 s the secondary has asked a second time. */
static void said_when_durable(void **state SH_UNUSED)
{
    static const sh_ms after[] = {1, 1000, 7000};
    for (size_t i = 0; i < SH_COUNT(after); i++) {
        sh_receipts_free(book);
        world_reset(world);
        assert_int_equal(sh_receipts_new(world->anchor.registry, &book), SH_OK);
        came = 0;
        keep_after = after[i];
        struct run run = run_for(LIMIT_MS);
        both_done(&run);
        assert_true(run.ended_after >= keep_after);
    }
}

static void not_kept(void **state SH_UNUSED)
{
    keep_after = 1;
    fails = true;
    struct run run = run_for(LIMIT_MS);
    assert_int_equal(run.anchor_cause, SH_STORE_READ_ONLY);
    assert_int_equal(run.secondary_cause, sh_cause_from_peer("store.read-only"));
    assert_false(run.anchor_done || run.secondary_done);
    assert_int_equal(kept(), 0);
    /* Nothing is lost: all of it is there the next time. */
    came = 0;
    fails = false;
    run = run_for(LIMIT_MS);
    both_done(&run);
    assert_int_equal(run.resumed, 200000);
}

/* The person there leaves in the moment between: all was here, so both it and the receipt count. */
static void secondary_leaves(void **state SH_UNUSED)
{
    keep_after = 500;
    stops = true;
    struct run run = run_for(LIMIT_MS);
    assert_int_equal(run.secondary_cause, SH_SESSION_INTERRUPTED);
    assert_int_equal(run.anchor_cause, SH_OK);
    assert_true(run.anchor_done);
    assert_int_equal(kept(), 1);
}

/* The network falls silent behind the receipt: it is asked for again, by Bluetooth, while the anchor is still there. */
static void acknowledgement_is_lost(void **state SH_UNUSED)
{
    keep_after = 1;
    mutes = true;
    struct run run = run_for(LIMIT_MS);
    both_done(&run);
    assert_in_range(run.ended_after, 5000, 20000);
}

/* The network breaks there and Bluetooth is silent: the anchor takes a link that is made anew. */
static void links_are_lost_before_the_acknowledgement(void **state SH_UNUSED)
{
    keep_after = 1;
    breaks = true;
    struct run run = run_for(LIMIT_MS);
    both_done(&run);
}

/* The session is freed, in the middle of it or over: its receipt is kept all the same, and nobody is told. */
static void session_is_gone(void **state SH_UNUSED)
{
    static const bool over[] = {false, true};
    keep_after = 1;
    struct run run = run_for(LIMIT_MS);
    sh_ms usual = run.ended_after;
    for (size_t i = 0; i < SH_COUNT(over); i++) {
        sh_receipts_free(book);
        world_reset(world);
        assert_int_equal(sh_receipts_new(world->anchor.registry, &book), SH_OK);
        came = 0;
        keep_after = NEVER;
        run = run_for(over[i] ? LIMIT_MS : usual + 2000);
        assert_int_equal(run.anchor_over, over[i]);
        assert_false(run.anchor_done || run.secondary_done);
        assert_true(sh_receipts_waits(book));
        sh_receipts_commit(book);
        assert_int_equal(kept(), 1);
    }
}

/* Over for another reason, and not freed yet: after its end it says nothing any more. */
static void session_is_over(void **state SH_UNUSED)
{
    until_over = true;
    struct run run = run_for(LIMIT_MS);
    assert_int_equal(run.secondary_cause, SH_RECEIPT_TIMEOUT);
    assert_int_equal(run.anchor_cause, SH_CONNECT_LOST);
    assert_false(run.anchor_done || run.secondary_done);
    assert_int_equal(kept(), 1);
}

/* The secondary has all, and the anchor's disk takes longer for it than whoever asks for nothing is served. */
static void anchor_reads_for_minutes(void **state SH_UNUSED)
{
    static const uint64_t size = (uint64_t)160 << 20;
    tear_down(NULL);
    world = world_new(&size, 1, false);
    assert_int_equal(sh_receipts_new(world->anchor.registry, &book), SH_OK);
    keep_after = 1;
    struct run run = run_for(LIMIT_MS);
    both_done(&run);
    world_restart_anchor(world);
    step_ms = 1000;
    came = 0;
    kept_before = 1;
    run = run_for(4 * LIMIT_MS);
    assert_int_equal(run.anchor_cause, SH_OK);
    assert_int_equal(run.secondary_cause, SH_OK);
    assert_true(run.ended_after >= 160000);
    assert_int_equal(run.resumed, size);
    assert_int_equal(kept(), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(said_when_durable),
        TEST(not_kept),
        TEST(secondary_leaves),
        TEST(session_is_gone),
        TEST(session_is_over),
        TEST(acknowledgement_is_lost),
        TEST(links_are_lost_before_the_acknowledgement),
        TEST(anchor_reads_for_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
