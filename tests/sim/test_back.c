/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The other direction of LAN: the secondary's calls do not come through, the anchor's do. Then all goes over LAN; what is not needed is
 * not opened, what is open is closed, strangers at the door change nothing, and where neither direction works the verdict is the
 * same as without any of this.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transfer/back.h"
#include "world.h"

#define LAN SIMHOP__LINK_KIND__LINK_KIND_LAN
#define BLE SIMHOP__LINK_KIND__LINK_KIND_BLE

#define assert_cause(is, should)                                                                   \
    assert_string_equal(sh_cause_info(is)->name, sh_cause_info(should)->name)

#define SIZE 5000000
/* Two back-offs by the longest chance, and some words over Bluetooth. */
#define LONGEST (3 * SH_BACKOFF_MS * 5 / 4 + 1000)

static const struct sh_path_facts reset = {
    .phase = SH_PATH_CONNECT, .error = ECONNREFUSED, .answer = SH_PATH_RESET};

/* Bluetooth is slow, so that there is time for all else. Each door that was opened is closed. */
static struct run sync_by(struct run run)
{
    uint64_t size = SIZE;
    struct world *world = world_new(&size, 1, false);
    run.lan = run.ble_carries = true;
    run.ble_latency = run.ble_latency ? run.ble_latency : 150;
    world_run(world, &run, 300000);
    assert_true(run.anchor_over && run.secondary_over);
    assert_cause(run.anchor_cause, SH_OK);
    assert_cause(run.secondary_cause, SH_OK);
    assert_true(world_files_equal(world));
    assert_int_equal(run.opened, run.closed);
    uint64_t sum = 0;
    for (int kind = 0; kind < SH_SESSION_KINDS; kind++)
        sum += run.link_bytes[kind];
    assert_int_equal(sum, SIZE); /* nothing was verified twice */
    world_free(world);
    return run;
}

static void assert_over_lan(const struct run *run)
{
    assert_int_equal(run->lan_ups[SH_SECONDARY], 1);
    assert_int_equal(run->lan_ups[SH_ANCHOR], 1);
    assert_int_equal(run->lan_failed, 0);
    assert_int_equal(run->dials_while_up, 0);
    assert_true(run->link_bytes[LAN] > SIZE / 2);
    assert_true(run->anchor_link_bytes[LAN] >= run->link_bytes[LAN]);
    assert_int_equal(run->opened, 1);
}

static void the_anchor_calls_where_it_cannot_be_called(void **state SH_UNUSED)
{
    struct run run = sync_by((struct run){
        .lan_fails = SH_LINK_REFUSED, .lan_facts = reset, .link_latency = 300, .back = BACK_WORKS});
    assert_over_lan(&run);
    assert_in_range(run.opened_after, 0, 1000);
}

static void it_calls_where_attempts_hang(void **state SH_UNUSED)
{
    struct run run = sync_by((struct run){.dial_unanswered = true, .back = BACK_WORKS});
    assert_over_lan(&run);
    assert_in_range(run.opened_after, SH_BACK_HUNG_MS, SH_BACK_HUNG_MS + 1000);
}

static void it_calls_where_it_has_no_address(void **state SH_UNUSED)
{
    struct run run = sync_by((struct run){.lan_has_no_address = true, .back = BACK_WORKS});
    assert_over_lan(&run);
    assert_in_range(run.opened_after, 0, 1000);
}

static void nobody_calls_without_a_need(void **state SH_UNUSED)
{
    struct run run = sync_by((struct run){.back = BACK_WORKS});
    assert_int_equal(run.opened, 0);
    assert_int_equal(run.calls, 0);
    assert_int_equal(run.lan_ups[SH_SECONDARY], 1);
}

/* The same verdict as without a door, and at most as much later as a view is waited for. */
static void neither_direction_works(void **state SH_UNUSED)
{
    static const int backs[] = {BACK_REFUSED, BACK_DROPPED};
    struct run none = sync_by((struct run){
        .lan_fails = SH_LINK_REFUSED, .lan_facts = reset, .view = VIEW_LISTENS, .seed = 3});
    assert_int_equal(none.opened, 0);
    assert_in_range(none.lan_verdict_after, 0, LONGEST);
    assert_cause(none.lan_verdict, SH_LINK_FIREWALL_REJECT);
    for (size_t i = 0; i < SH_COUNT(backs); i++) {
        struct run run = sync_by((struct run){.lan_fails = SH_LINK_REFUSED,
                                              .lan_facts = reset,
                                              .view = VIEW_LISTENS,
                                              .seed = 3,
                                              .back = backs[i]});
        assert_int_equal(run.lan_failed, 1);
        assert_cause(run.lan_verdict, SH_LINK_FIREWALL_REJECT);
        assert_cause(run.lan_verdict_anchor, SH_LINK_FIREWALL_REJECT);
        assert_in_range(run.lan_verdict_after, 0, LONGEST + SH_VIEW_MS);
        assert_int_equal(run.opened, 1);
        assert_int_equal(run.calls, SH_BACK_ROUNDS);
    }
}

/* Up to four wait in time for their end, and who says nothing makes room. */
static void strangers_change_nothing(void **state SH_UNUSED)
{
    static const int kinds[] = {STRANGER_SILENT, STRANGER_BABBLES, STRANGER_HAS_ANOTHER_KEY,
                                STRANGER_KNOWS_NO_KEY};
    static const unsigned counts[] = {1, 12};
    for (size_t i = 0; i < SH_COUNT(kinds) * SH_COUNT(counts); i++) {
        struct run run = sync_by((struct run){.lan_fails = SH_LINK_REFUSED,
                                              .lan_facts = reset,
                                              .back = BACK_WORKS,
                                              .stranger = kinds[i / SH_COUNT(counts)],
                                              .strangers = counts[i % SH_COUNT(counts)]});
        assert_over_lan(&run);
        assert_int_equal(run.strangers_gone, counts[i % SH_COUNT(counts)]);
    }
}

/* With Bluetooth gone as well there is no lane at all when a stranger says that it does not know our key; the anchor, which would have
 * ended the session by that, calls a moment later. */
static void a_stranger_does_not_end_it(void **state SH_UNUSED)
{
    struct run run = sync_by((struct run){.lan_fails = SH_LINK_REFUSED,
                                          .lan_facts = reset,
                                          .back = BACK_WORKS,
                                          .ble_latency = 150,
                                          .ble_dies_then = true,
                                          .stranger = STRANGER_KNOWS_NO_KEY,
                                          .strangers = 1});
    assert_over_lan(&run);
    assert_int_equal(run.strangers_gone, 1);
}

/* Nothing that strangers do is a verdict, nor the end. */
static void strangers_alone_change_nothing(void **state SH_UNUSED)
{
    static const int kinds[] = {STRANGER_SILENT, STRANGER_BABBLES, STRANGER_HAS_ANOTHER_KEY,
                                STRANGER_KNOWS_NO_KEY};
    for (size_t i = 0; i < SH_COUNT(kinds); i++) {
        struct run run = sync_by((struct run){.lan_fails = SH_LINK_REFUSED,
                                              .lan_facts = reset,
                                              .view = VIEW_LISTENS,
                                              .back = BACK_DROPPED,
                                              .stranger = kinds[i],
                                              .strangers = 12});
        assert_cause(run.lan_verdict, SH_LINK_FIREWALL_REJECT);
        assert_int_equal(run.strangers_gone, 12);
        assert_int_equal(run.lan_ups[SH_SECONDARY], 0);
    }
}

/* It is called again, after a while, as it would be called first. */
static void a_link_that_goes_down_comes_back(void **state SH_UNUSED)
{
    struct run run = sync_by((struct run){.lan_fails = SH_LINK_REFUSED,
                                          .lan_facts = reset,
                                          .link_latency = 100,
                                          .back = BACK_WORKS,
                                          .back_dies_after = 1200});
    assert_in_range(run.opened, 2, SH_BACK_SETS);
    assert_in_range(run.lan_ups[SH_SECONDARY], 2, SH_BACK_SETS);
    assert_true(run.link_bytes[LAN] > 0);
}

/* An anchor can be made to call, but not without end. */
static void it_does_not_call_for_ever(void **state SH_UNUSED)
{
    struct run run = sync_by((struct run){.lan_fails = SH_LINK_REFUSED,
                                          .lan_facts = reset,
                                          .back = BACK_DROPPED,
                                          .back_repeats = 100});
    assert_in_range(run.calls, SH_BACK_ROUNDS, SH_BACK_SETS + SH_BACK_ROUNDS);
}

/* Small segments pass, full ones do not, one way or both: it calls again at once, with smaller ones, until they pass. */
static void it_calls_with_smaller_segments(void **state SH_UNUSED)
{
    static const unsigned passes[] = {1300, 1000}, segments[] = {0, 1200, 900};
    for (int hole = HOLE_BOTH_WAYS; hole <= HOLE_TO_SECONDARY; hole++) {
        for (unsigned i = 0; i < SH_COUNT(passes); i++) {
            struct run run = sync_by((struct run){.lan_fails = SH_LINK_REFUSED,
                                                  .lan_facts = reset,
                                                  .link_latency = 20,
                                                  .back = BACK_WORKS,
                                                  .back_passes = passes[i],
                                                  .back_hole = hole});
            assert_over_lan(&run);
            assert_int_equal(run.calls, i + 2);
            for (unsigned j = 0; j < run.calls; j++)
                assert_int_equal(run.segments[j], segments[j]);
        }
    }
}

/* Nor for ever: both smaller ones, and then the rounds that there are anyway. */
static void no_segment_is_small_enough(void **state SH_UNUSED)
{
    for (int hole = HOLE_BOTH_WAYS; hole <= HOLE_TO_SECONDARY; hole++) {
        struct run run = sync_by((struct run){.lan_fails = SH_LINK_REFUSED,
                                              .lan_facts = reset,
                                              .view = VIEW_LISTENS,
                                              .back = BACK_WORKS,
                                              .back_passes = 800,
                                              .back_hole = hole});
        assert_int_equal(run.calls, 2 + SH_BACK_ROUNDS);
        assert_int_equal(run.lan_ups[SH_SECONDARY] + run.lan_ups[SH_ANCHOR], 0);
        assert_int_equal(run.lan_failed, 1);
        assert_cause(run.lan_verdict, SH_LINK_FIREWALL_REJECT);
        assert_int_equal(run.opened, 1);
    }
}

static void a_malformed_offer_ends_it(void **state SH_UNUSED)
{
    uint64_t size = SIZE;
    struct world *world = world_new(&size, 1, false);
    struct run run = {.lan = true,
                      .ble_carries = true,
                      .lan_fails = SH_LINK_REFUSED,
                      .back = BACK_WORKS,
                      .back_is_malformed = true};
    world_run(world, &run, 300000);
    assert_cause(run.anchor_cause, SH_PROTO_MALFORMED);
    assert_int_equal(run.calls, 0);
    assert_int_equal(run.opened, run.closed);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_anchor_calls_where_it_cannot_be_called),
        cmocka_unit_test(it_calls_where_attempts_hang),
        cmocka_unit_test(it_calls_where_it_has_no_address),
        cmocka_unit_test(nobody_calls_without_a_need),
        cmocka_unit_test(neither_direction_works),
        cmocka_unit_test(strangers_change_nothing),
        cmocka_unit_test(a_stranger_does_not_end_it),
        cmocka_unit_test(strangers_alone_change_nothing),
        cmocka_unit_test(a_link_that_goes_down_comes_back),
        cmocka_unit_test(it_does_not_call_for_ever),
        cmocka_unit_test(it_calls_with_smaller_segments),
        cmocka_unit_test(no_segment_is_small_enough),
        cmocka_unit_test(a_malformed_offer_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
