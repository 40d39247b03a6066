/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A secondary that says that it lives and asks for nothing does not keep its place on the anchor for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/session_internal.h"
#include "transfer/puller_internal.h"
#include "world_internal.h"

static void words_of_life_alone(void **state SH_UNUSED)
{
    static const uint64_t sizes[] = {2000000};
    struct world *world = world_new(sizes, SH_COUNT(sizes), false);
    struct run run = {.ble_carries = true};
    struct stream *ends[2];
    sh_ms since = 0, limit = world_now(world) + 600000;
    world->run = &run;
    wire_set_fault(&world->wire, FAULT_NONE, 0, 0);
    wire_pair(&world->wire, 20, ends);
    world_start_side(world, SH_ANCHOR, ends[0]);
    world_start_side(world, SH_SECONDARY, ends[1]);
    struct side *anchor = &world->sides[SH_ANCHOR], *secondary = &world->sides[SH_SECONDARY];
    while (!anchor->over && world_step(world, limit)) {
        if (!secondary->in_transfer || since != 0)
            continue;
        since = world_now(world);
        secondary->session->puller->over = true; /* it does nothing any more; the session goes on */
    }
    assert_true(anchor->over && !secondary->over);
    assert_int_equal(anchor->cause, SH_TRANSFER_STALLED);
    assert_in_range(world_now(world) - since, IDLE_MS - 2000, IDLE_MS + 2000);
    world_clear_run(world);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_of_life_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
