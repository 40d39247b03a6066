/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim_world.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define MIB (1024 * 1024)

/* ---- advertisements ---- */

static void hears_and_trend(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    world_open(&world);
    world_file(&world, "air", "interval 10\n");
    world_file(&world, "positions", "anchor 0 0\ntablet 0.5 0\n");
    device_open(&world, &anchor, "anchor");
    device_open(&world, &tablet, "tablet");
    assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload()), SH_OK);
    assert_int_equal(tablet.ble->driver->scan(tablet.ble, true), SH_OK);
    WORLD_UNTIL(&world, tablet.heard >= 20);
    assert_string_equal(tablet.heard_from, "anchor");
    assert_int_equal(tablet.heard_payload_n, test_payload().n);
    assert_memory_equal(tablet.heard_payload, test_payload().p, test_payload().n);
    assert_int_equal(anchor.heard, 0);
    double near = tablet.heard_sum / tablet.heard;

    world_file(&world, "positions", "anchor 0 0\ntablet 5 0\n");
    world_run(&world, 150);
    tablet.heard = 0;
    tablet.heard_sum = 0;
    WORLD_UNTIL(&world, tablet.heard >= 20);
    double far = tablet.heard_sum / tablet.heard;
    assert_true(near > far + 10.0);

    world_file(&world, "positions", "anchor 0 0\ntablet 31 0\n");
    world_run(&world, 150);
    tablet.heard = 0;
    world_run(&world, 150);
    assert_int_equal(tablet.heard, 0);

    world_file(&world, "positions", "anchor 0 0\ntablet 1 0\n");
    WORLD_UNTIL(&world, tablet.heard >= 3);
    assert_int_equal(tablet.ble->driver->scan(tablet.ble, false), SH_OK);
    unsigned heard = tablet.heard;
    world_run(&world, 100);
    assert_int_equal(tablet.heard, heard);
    device_close(&anchor);
    device_close(&tablet);
    world_close(&world);
}

static void connects_and_carries(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    world_open(&world);
    world_file(&world, "air", "ble_rate 0\n");
    world_pair(&world, &anchor, &tablet);
    uint8_t *data = malloc(MIB);
    assert_non_null(data);
    for (size_t i = 0; i < MIB; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 8) + 0x40);
    struct sh_stream *up = tablet.end[0].stream;
    struct sh_stream *down = anchor.end[0].stream;
    sh_stream_send(up, SH_BYTES(data, MIB));
    sh_stream_send(down, SH_BYTES(data, 1));
    sh_stream_send(down, SH_BYTES(data + 1, MIB - 1));
    assert_int_equal(sh_stream_pending(up), MIB);
    assert_int_equal(tablet.end[0].writable, 0);
    WORLD_UNTIL(&world, anchor.end[0].got_n == MIB && tablet.end[0].got_n == MIB);
    assert_memory_equal(anchor.end[0].got, data, MIB);
    assert_memory_equal(tablet.end[0].got, data, MIB);
    assert_int_equal(sh_stream_pending(up), 0);
    assert_int_equal(tablet.end[0].writable, 1);
    assert_int_equal(anchor.end[0].writable, 1);
    free(data);
    device_close(&anchor);
    device_close(&tablet);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hears_and_trend),
        cmocka_unit_test(connects_and_carries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
