/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When a Wi-Fi Direct group is wanted, and what becomes of a transfer that it takes over: the first bytes go over BLE at once, a
 * small transfer ends before there is a group, no byte is verified twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "world.h"

#define BLE         SIMHOP__LINK_KIND__LINK_KIND_BLE
#define LAN         SIMHOP__LINK_KIND__LINK_KIND_LAN
#define WIFI_DIRECT SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT

static struct run run_with(uint64_t size, struct run run)
{
    struct world *world = world_new(&size, 1, false);
    world_run(world, &run, 120000);
    assert_true(run.anchor_over && run.secondary_over);
    assert_string_equal(sh_cause_info(run.anchor_cause)->name, sh_cause_info(SH_OK)->name);
    assert_string_equal(sh_cause_info(run.secondary_cause)->name, sh_cause_info(SH_OK)->name);
    assert_true(world_files_equal(world));
    world_free(world);
    return run;
}

static void it_takes_over_in_mid_item(void **state SH_UNUSED)
{
    struct run run =
        run_with(4000000, (struct run){.group = true, .ble_carries = true, .ble_latency = 150});
    assert_int_equal(run.groups_wanted, 1);
    assert_in_range(run.group_wanted_after, 0, 60); /* at once: nothing better is allowed */
    assert_true(run.link_bytes[BLE] > 0);
    assert_true(run.link_bytes[WIFI_DIRECT] > run.link_bytes[BLE]);
    assert_int_equal(run.link_bytes[BLE] + run.link_bytes[WIFI_DIRECT], 4000000);
}

static void a_small_transfer_needs_none(void **state SH_UNUSED)
{
    struct run run =
        run_with(60000, (struct run){.group = true, .ble_carries = true, .ble_latency = 150});
    assert_int_equal(run.groups_wanted, 0);
    assert_int_equal(run.link_bytes[BLE], 60000);
}

/* A network that both are in is quicker to be had and costs nothing. */
static void none_while_the_lan_works(void **state SH_UNUSED)
{
    struct run run = run_with(8000000, (struct run){.group = true,
                                                    .lan = true,
                                                    .ble_carries = true,
                                                    .ble_latency = 150,
                                                    .link_latency = 100});
    assert_int_equal(run.groups_wanted, 0);
    assert_int_equal(run.link_bytes[WIFI_DIRECT], 0);
    assert_int_equal(run.link_bytes[BLE] + run.link_bytes[LAN], 8000000);
}

static void wanted_when_the_lan_dies(void **state SH_UNUSED)
{
    struct run run = run_with(16000000, (struct run){.group = true,
                                                     .lan = true,
                                                     .ble_carries = true,
                                                     .ble_latency = 150,
                                                     .link_latency = 100,
                                                     .lan_dies_after = 3000});
    assert_int_equal(run.groups_wanted, 1);
    assert_in_range(run.group_wanted_after, 3000, 4500);
    assert_true(run.link_bytes[LAN] > 0 && run.link_bytes[WIFI_DIRECT] > 0);
    assert_int_equal(run.link_bytes[BLE] + run.link_bytes[LAN] + run.link_bytes[WIFI_DIRECT],
                     16000000);
}

/* One that only one side may use is not made. */
static void none_that_ble_alone_carries(void **state SH_UNUSED)
{
    struct run run = run_with(1000000, (struct run){.ble_carries = true, .ble_latency = 100});
    assert_int_equal(run.groups_wanted, 0);
    assert_int_equal(run.link_bytes[BLE], 1000000);
}

/* The anchor's group goes while the secondary looks for it, or waits to look for it again: it hears that at once, by Bluetooth, and goes
 * on with what is left. */
static void nobody_looks_for_one_that_is_gone(void **state SH_UNUSED)
{
    static const sh_ms goes_after[] = {1000, 3000, SH_JOIN_MS + 400};
    for (size_t i = 0; i < SH_COUNT(goes_after); i++) {
        struct run run = run_with(12000000, (struct run){.group = true,
                                                         .group_unanswered = true,
                                                         .group_goes_after = goes_after[i],
                                                         .ble_carries = true,
                                                         .ble_latency = 150});
        assert_int_equal(run.link_bytes[BLE], 12000000);
        assert_int_equal(run.group_failed, 1);
        assert_int_equal(run.group_cancelled, 1);
        assert_in_range(run.group_verdict_after, 0, 1000); /* behind what Bluetooth carries */
        for (int side = 0; side < 2; side++)
            assert_string_equal(sh_cause_info(run.group_verdict[side])->name, "wifi.group-lost");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_over_in_mid_item),
        cmocka_unit_test(a_small_transfer_needs_none),
        cmocka_unit_test(none_while_the_lan_works),
        cmocka_unit_test(wanted_when_the_lan_dies),
        cmocka_unit_test(nobody_looks_for_one_that_is_gone),
        cmocka_unit_test(none_that_ble_alone_carries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
