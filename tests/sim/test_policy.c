/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each side demands nearness by its own policy; who does not demand it decides for itself only. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "world.h"

#define LIMIT_MS 60000

/* The anchor takes the level at one metre for so much higher than it is that it finds nobody near; the secondary not. */
#define WRONG_DB 25.0

static struct world *world;

static int set_up(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {1000};
    world = world_new(sizes, 1, false);
    return world ? 0 : -1;
}

static int tear_down(void **state SH_UNUSED)
{
    world_free(world);
    return 0;
}

static struct run session(double metres, double anchor_level_db, enum sh_proximity_policy anchor,
                          enum sh_proximity_policy secondary)
{
    struct run run = {.ble_carries = true,
                      .distance_m = metres,
                      .anchor_level_db = anchor_level_db,
                      .anchor_policy = anchor,
                      .secondary_policy = secondary};
    world_reset(world);
    world_run(world, &run, LIMIT_MS);
    assert_true(run.anchor_over && run.secondary_over);
    return run;
}

static void who_stands_far(void **state SH_UNUSED)
{
    struct run run = session(5.0, 0.0, SH_POLICY_NORMAL, SH_POLICY_NORMAL);
    assert_false(run.secondary_done || run.anchor_done);
    assert_int_equal(sh_cause_info(run.secondary_cause)->category, SH_CAT_NOT_NEAR);
    run = session(5.0, 0.0, SH_POLICY_OFF, SH_POLICY_OFF);
    assert_true(run.secondary_done && run.anchor_done);
    /* Only one side agreed: the other one still demands it. */
    run = session(5.0, 0.0, SH_POLICY_OFF, SH_POLICY_NORMAL);
    assert_false(run.secondary_done || run.anchor_done);
    assert_int_equal(run.secondary_cause, SH_NEAR_TOO_FAR);
    assert_int_equal(run.anchor_cause, SH_NEAR_PEER_TOO_FAR);
    run = session(5.0, 0.0, SH_POLICY_NORMAL, SH_POLICY_OFF);
    assert_false(run.secondary_done || run.anchor_done);
    assert_int_equal(run.anchor_cause, SH_NEAR_TOO_FAR);
    assert_int_equal(run.secondary_cause, SH_NEAR_PEER_TOO_FAR);
}

static void one_side_finds_it_far(void **state SH_UNUSED)
{
    struct run run = session(0.25, WRONG_DB, SH_POLICY_NORMAL, SH_POLICY_NORMAL);
    assert_int_equal(run.anchor_cause, SH_NEAR_TOO_FAR);
    assert_int_equal(run.secondary_cause, SH_NEAR_PEER_TOO_FAR);
    run = session(0.25, WRONG_DB, SH_POLICY_OFF, SH_POLICY_OFF);
    assert_true(run.secondary_done && run.anchor_done);
    /* Whoever still demands it judges the samples of both by his own rule. */
    run = session(0.25, WRONG_DB, SH_POLICY_OFF, SH_POLICY_NORMAL);
    assert_false(run.secondary_done || run.anchor_done);
    assert_int_equal(run.secondary_cause, SH_NEAR_ASYMMETRIC);
    /* Strict asks that both have measured one metre, whatever the other one demands. */
    run = session(0.25, WRONG_DB, SH_POLICY_OFF, SH_POLICY_STRICT);
    assert_false(run.secondary_done || run.anchor_done);
    assert_int_equal(run.secondary_cause, SH_NEAR_PEER_TOO_FAR);
    run = session(0.25, 0.0, SH_POLICY_STRICT, SH_POLICY_STRICT);
    assert_true(run.secondary_done && run.anchor_done);
}

/* What the measurement rested on is kept with the link, on both sides. */
static void what_is_kept(void **state SH_UNUSED)
{
    struct run run = session(5.0, 0.0, SH_POLICY_OFF, SH_POLICY_OFF);
    struct sh_device *list = NULL;
    size_t count = 0;
    assert_true(run.secondary_done);
    assert_int_equal(sh_registry_list_devices(world_anchor(world)->registry, 0, &list, &count),
                     SH_OK);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].policy, SH_POLICY_OFF);
    assert_true(list[0].score_db < -5.0 && list[0].metres > 1.5);
    assert_true(list[0].spread_db > 0.0 && list[0].rate_hz > 5.0);
    free(list);
    run = session(0.25, 0.0, SH_POLICY_STRICT, SH_POLICY_NORMAL);
    assert_int_equal(sh_registry_list_devices(world_anchor(world)->registry, 0, &list, &count),
                     SH_OK);
    assert_int_equal(list[0].policy, SH_POLICY_STRICT);
    assert_true(list[0].score_db > 3.0 && list[0].metres < 1.0);
    free(list);
    assert_int_equal(sh_registry_list_devices(world_secondary(world)->registry, 0, &list, &count),
                     SH_OK);
    assert_int_equal(list[0].policy, SH_POLICY_NORMAL);
    assert_int_equal(list[0].level, SH_LEVEL_CALIBRATED);
    free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_stands_far, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_side_finds_it_far, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
