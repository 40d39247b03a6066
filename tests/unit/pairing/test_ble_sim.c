/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim_world.h"

#include <math.h>

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
    assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload(), 0), SH_OK);
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

/* What is sent with less power is heard so much weaker. */
static void a_lowered_power_is_heard(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    double levels[3] = {0};
    world_open(&world);
    world_file(&world, "air", "interval 10\nfade 0\nsigma 0\n");
    world_file(&world, "positions", "anchor 0 0\ntablet 0.5 0\n");
    device_open(&world, &anchor, "anchor");
    device_open(&world, &tablet, "tablet");
    assert_true(anchor.ble->driver->can_lower(anchor.ble));
    for (int step = 0; step < 3; step++) {
        assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload(), -8 * step),
                         SH_OK);
        world_run(&world, 50);
        assert_int_equal(tablet.ble->driver->scan(tablet.ble, true), SH_OK);
        tablet.heard = 0;
        tablet.heard_sum = 0;
        WORLD_UNTIL(&world, tablet.heard >= 12);
        levels[step] = tablet.heard_sum / tablet.heard;
        assert_int_equal(tablet.ble->driver->scan(tablet.ble, false), SH_OK);
    }
    assert_true(fabs(levels[0] - levels[1] - 8.0) < 1.5);
    assert_true(fabs(levels[0] - levels[2] - 16.0) < 1.5);
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

static void open_pair(struct world *world, struct device *anchor, struct device *tablet,
                      const char *air, const char *faults)
{
    world_open(world);
    world_file(world, "air", air);
    world_file(world, "faults", faults);
    world_pair(world, anchor, tablet);
}

static void close_pair(struct world *world, struct device *anchor, struct device *tablet)
{
    device_close(anchor);
    device_close(tablet);
    world_close(world);
}

static uint8_t opaque[200000]; /* 0xaa is no type of message */

static int fill_opaque(void **state SH_UNUSED)
{
    memset(opaque, 0xaa, sizeof(opaque));
    return 0;
}

/* ---- signal strength of a connection ---- */

static void samples_follow_position(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    world_open(&world);
    world_file(&world, "air", "sample 5\n");
    world_file(&world, "positions", "anchor 0 0\ntablet 0.5 0\n");
    world_pair(&world, &anchor, &tablet);
    tablet.ble->driver->sample(tablet.ble, tablet.end[0].stream, true);
    anchor.ble->driver->sample(anchor.ble, anchor.end[0].stream, true);
    WORLD_UNTIL(&world, tablet.samples >= 40 && anchor.samples >= 40);
    double near = tablet.sample_sum / tablet.samples;
    double near_anchor = anchor.sample_sum / anchor.samples;
    /* One place, one shadow: both ends hear about the same. */
    assert_true(near > -59.0 && near - near_anchor < 3.0 && near_anchor - near < 3.0);
    world_file(&world, "positions", "anchor 0 0\ntablet 6 0\n");
    world_run(&world, 150);
    tablet.samples = 0;
    tablet.sample_sum = 0;
    WORLD_UNTIL(&world, tablet.samples >= 40);
    assert_true(tablet.sample_sum / tablet.samples < near - 12.0);
    tablet.ble->driver->sample(tablet.ble, tablet.end[0].stream, false);
    unsigned samples = tablet.samples;
    world_run(&world, 60);
    assert_int_equal(tablet.samples, samples);
    close_pair(&world, &anchor, &tablet);
}

/* ---- what does not connect ---- */

/* A connect that must fail, and with which cause. */
static void refused(struct world *world, struct device *tablet, const char *name, uint8_t psm,
                    enum sh_cause cause)
{
    tablet->connect_failed = 0;
    size_t ends = tablet->ends;
    assert_int_equal(tablet->ble->driver->connect(tablet->ble, name, psm, false), SH_OK);
    assert_int_equal(tablet->connect_failed, 0);
    WORLD_UNTIL(world, tablet->connect_failed == 1);
    assert_int_equal(tablet->connect_cause, cause);
    assert_int_equal(tablet->ends, ends);
}

static void does_not_connect(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    world_open(&world);
    device_open(&world, &anchor, "anchor");
    device_open(&world, &tablet, "tablet");
    refused(&world, &tablet, "nobody", 0x80, SH_CONNECT_FAILED);
    refused(&world, &tablet, "anchor", 0x80, SH_CONNECT_FAILED); /* it does not advertise */
    assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload(), 0), SH_OK);
    refused(&world, &tablet, "anchor", 0x81, SH_CONNECT_FAILED);
    world_file(&world, "positions", "anchor 0 0\ntablet 0 30.5\n");
    world_run(&world, 60);
    refused(&world, &tablet, "anchor", 0x80, SH_CONNECT_FAILED);
    world_file(&world, "positions", "anchor 0 0\ntablet 0 0.5\n");
    world_file(&world, "faults", "cut connect\n");
    world_run(&world, 60);
    refused(&world, &tablet, "anchor", 0x80, SH_CONNECT_FAILED);
    world_file(&world, "faults", "drop connect 100\n");
    world_run(&world, 60);
    refused(&world, &tablet, "anchor", 0x80, SH_CONNECT_FAILED);
    world_file(&world, "faults", "blackhole connect\n");
    world_run(&world, 60);
    refused(&world, &tablet, "anchor", 0x80, SH_CONNECT_TIMEOUT);
    static const char *const no_names[] = {"", "../x", "a b", ".x", "tablet"};
    for (size_t i = 0; i < SH_COUNT(no_names); i++)
        assert_int_equal(tablet.ble->driver->connect(tablet.ble, no_names[i], 0x80, false),
                         SH_CONNECT_FAILED);
    /* After all that it does, and a connect that was given up is not heard of. */
    world_file(&world, "faults", "delay connect 20\n");
    world_run(&world, 60);
    tablet.connect_failed = 0;
    assert_int_equal(tablet.ble->driver->connect(tablet.ble, "nobody", 0x80, false), SH_OK);
    assert_int_equal(tablet.ble->driver->connect(tablet.ble, "anchor", 0x80, false), SH_OK);
    WORLD_UNTIL(&world, tablet.ends == 1 && anchor.ends == 1);
    assert_int_equal(tablet.connect_failed, 0);
    close_pair(&world, &anchor, &tablet);
}

/* ---- rate and faults ---- */

static void rate_holds_back(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "ble_rate 20000\n", "");
    sh_ms start = sh_now();
    sh_stream_send(tablet.end[0].stream, SH_BYTES(opaque, 100000));
    WORLD_UNTIL(&world, anchor.end[0].got_n >= 3000);
    /* Twenty octets a millisecond, and the twentieth of a second that may go at once. */
    assert_true(anchor.end[0].got_n <= 20 * (sh_now() - start) + 1000);
    /* What went and has not come yet is in the socket; there is a moment in which nothing is. */
    WORLD_UNTIL(&world, sh_stream_pending(tablet.end[0].stream) + anchor.end[0].got_n == 100000);
    /* A change of the file lets it go. */
    world_file(&world, "air", "ble_rate 0\n");
    WORLD_UNTIL(&world, anchor.end[0].got_n == 100000);
    close_pair(&world, &anchor, &tablet);
}

static void cut_ends_both(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "ble_rate 0\n", "cut ble after 50000\n");
    sh_stream_send(tablet.end[0].stream, SH_BYTES(opaque, 100000));
    WORLD_UNTIL(&world, anchor.end[0].closed == 1 && tablet.end[0].closed == 1);
    assert_int_equal(anchor.end[0].got_n, 50000);
    assert_int_equal(anchor.end[0].cause, SH_CONNECT_LOST);
    assert_int_equal(tablet.end[0].cause, SH_CONNECT_LOST);
    /* A stream that is over takes nothing and is closed without harm. */
    sh_stream_send(tablet.end[0].stream, SH_BYTES(opaque, 10));
    assert_int_equal(sh_stream_pending(tablet.end[0].stream), 0);
    sh_stream_close(tablet.end[0].stream);
    world_run(&world, 60);
    assert_int_equal(tablet.end[0].closed, 1);
    close_pair(&world, &anchor, &tablet);
}

static void cut_while_idle(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "", "");
    tablet.end[0].close_in_closed = true;
    world_file(&world, "faults", "cut ble\n");
    WORLD_UNTIL(&world, anchor.end[0].closed == 1 && tablet.end[0].closed == 1);
    close_pair(&world, &anchor, &tablet);
}

static void blackhole_swallows(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "ble_rate 0\n", "blackhole ble after 30000\n");
    sh_stream_send(tablet.end[0].stream, SH_BYTES(opaque, 100000));
    WORLD_UNTIL(&world, sh_stream_pending(tablet.end[0].stream) == 0);
    world_run(&world, 60);
    assert_int_equal(anchor.end[0].got_n, 30000);
    assert_int_equal(anchor.end[0].closed + tablet.end[0].closed, 0);
    world_file(&world, "faults", "# mended\n");
    world_run(&world, 150); /* a look may be passed over */
    sh_stream_send(tablet.end[0].stream, SH_BYTES(opaque, 7));
    WORLD_UNTIL(&world, anchor.end[0].got_n == 30007);
    close_pair(&world, &anchor, &tablet);
}

static void delays_in_order(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "", "delay ble 150\n");
    sh_ms sent = sh_now();
    sh_stream_send(tablet.end[0].stream, SH_BYTES("first ", 6));
    world_run(&world, 10);
    world_file(&world, "faults", "delay ble 0\n");
    world_run(&world, 60);
    sh_stream_send(tablet.end[0].stream, SH_BYTES("second", 6));
    WORLD_UNTIL(&world, anchor.end[0].got_n == 12);
    assert_memory_equal(anchor.end[0].got, "first second", 12);
    assert_true(sh_now() - sent >= 150);
    close_pair(&world, &anchor, &tablet);
}

static void drops_message(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "", "drop message:proximity 100\n");
    static const uint8_t talk[] = {1, 0, 0, 1, 'h', 2, 0, 0, 1, 'p', 3, 0, 0, 0};
    sh_stream_send(tablet.end[0].stream, SH_BYTES(talk, sizeof(talk)));
    WORLD_UNTIL(&world, anchor.end[0].got_n >= 9);
    assert_int_equal(anchor.end[0].got_n, 9);
    assert_memory_equal(anchor.end[0].got, "\1\0\0\1h\3\0\0\0", 9);
    close_pair(&world, &anchor, &tablet);
}

static void advert_faults(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    world_open(&world);
    world_file(&world, "air", "interval 10\n");
    world_file(&world, "faults", "drop advert 100\n");
    device_open(&world, &anchor, "anchor");
    device_open(&world, &tablet, "tablet");
    assert_int_equal(anchor.ble->driver->advertise(anchor.ble, test_payload(), 0), SH_OK);
    assert_int_equal(tablet.ble->driver->scan(tablet.ble, true), SH_OK);
    world_run(&world, 100);
    assert_int_equal(tablet.heard, 0);
    world_file(&world, "faults", "blackhole advert\n");
    world_run(&world, 150);
    assert_int_equal(tablet.heard, 0);
    world_file(&world, "faults", "# none\n");
    WORLD_UNTIL(&world, tablet.heard > 0);
    anchor.ble->driver->advertise_stop(anchor.ble);
    world_run(&world, 30);
    unsigned heard = tablet.heard;
    world_run(&world, 60);
    assert_int_equal(tablet.heard, heard);
    close_pair(&world, &anchor, &tablet);
}

static void lost_out_of_range(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    world_open(&world);
    world_file(&world, "positions", "anchor 0 0\ntablet 1 0\n");
    world_pair(&world, &anchor, &tablet);
    world_file(&world, "positions", "anchor 0 0\ntablet 100 0\n");
    world_run(&world, 100);
    sh_stream_send(tablet.end[0].stream, SH_BYTES("x", 1));
    world_run(&world, 100);
    assert_int_equal(anchor.end[0].got_n, 0);
    WORLD_UNTIL(&world, anchor.end[0].closed == 1 && tablet.end[0].closed == 1);
    assert_int_equal(tablet.end[0].cause, SH_CONNECT_LOST);
    close_pair(&world, &anchor, &tablet);
}

/* ---- closing ---- */

static void close_flushes(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "ble_rate 0\n", "");
    sh_stream_send(tablet.end[0].stream, SH_BYTES(opaque, sizeof(opaque)));
    sh_stream_send(anchor.end[0].stream, SH_BYTES(opaque, 1000)); /* nobody reads this any more */
    sh_stream_close(tablet.end[0].stream);
    WORLD_UNTIL(&world, anchor.end[0].closed == 1);
    assert_int_equal(anchor.end[0].got_n, sizeof(opaque));
    assert_int_equal(anchor.end[0].cause, SH_CONNECT_LOST);
    assert_int_equal(tablet.end[0].closed + tablet.end[0].got_n + tablet.end[0].writable, 0);
    close_pair(&world, &anchor, &tablet);
}

static void close_gives_up_after_a_second(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "ble_rate 100\n", "");
    sh_stream_send(tablet.end[0].stream, SH_BYTES(opaque, sizeof(opaque)));
    sh_stream_close(tablet.end[0].stream);
    WORLD_UNTIL(&world, anchor.end[0].closed == 1);
    assert_in_range(anchor.end[0].got_n, 1, 2000);
    close_pair(&world, &anchor, &tablet);
}

/* After close nothing is called, whatever becomes of the rest. */
static void close_then_peer_ends(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "ble_rate 100\n", "");
    sh_stream_send(tablet.end[0].stream, SH_BYTES(opaque, sizeof(opaque)));
    sh_stream_close(tablet.end[0].stream);
    world_run(&world, 30); /* what is left waits for the rate */
    anchor.ble->driver->free(anchor.ble);
    anchor.ble = NULL;
    world_run(&world, 100);
    assert_int_equal(tablet.end[0].closed + tablet.end[0].writable, 0);
    close_pair(&world, &anchor, &tablet);
}

static void close_and_free_in_callbacks(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "interval 10\n", "");
    anchor.end[0].close_in_rx = true;
    sh_stream_send(tablet.end[0].stream, SH_BYTES("x", 1));
    WORLD_UNTIL(&world, tablet.end[0].closed == 1);
    anchor.refuse = true; /* closes in the callback that brings the stream */
    assert_int_equal(tablet.ble->driver->connect(tablet.ble, "anchor", 0x80, false), SH_OK);
    WORLD_UNTIL(&world, tablet.ends == 2 && tablet.end[1].closed == 1);
    tablet.free_when_heard = true;
    assert_int_equal(tablet.ble->driver->scan(tablet.ble, true), SH_OK);
    WORLD_UNTIL(&world, !tablet.ble);
    close_pair(&world, &anchor, &tablet);
}

/* What a session says last before it ends arrives, though the loop does not run any more. */
static void free_sends_the_rest(void **state SH_UNUSED)
{
    struct world world;
    struct device anchor, tablet;
    open_pair(&world, &anchor, &tablet, "", "");
    sh_stream_send(tablet.end[0].stream, SH_BYTES("\x09\0\0\1!", 5));
    sh_stream_close(tablet.end[0].stream);
    tablet.ble->driver->free(tablet.ble);
    tablet.ble = NULL;
    WORLD_UNTIL(&world, anchor.end[0].closed == 1);
    assert_int_equal(anchor.end[0].got_n, 5);
    close_pair(&world, &anchor, &tablet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hears_and_trend),
        cmocka_unit_test(a_lowered_power_is_heard),
        cmocka_unit_test(connects_and_carries),
        cmocka_unit_test(samples_follow_position),
        cmocka_unit_test(does_not_connect),
        cmocka_unit_test(rate_holds_back),
        cmocka_unit_test(cut_ends_both),
        cmocka_unit_test(cut_while_idle),
        cmocka_unit_test(blackhole_swallows),
        cmocka_unit_test(delays_in_order),
        cmocka_unit_test(drops_message),
        cmocka_unit_test(advert_faults),
        cmocka_unit_test(lost_out_of_range),
        cmocka_unit_test(close_flushes),
        cmocka_unit_test(close_gives_up_after_a_second),
        cmocka_unit_test(close_then_peer_ends),
        cmocka_unit_test(close_and_free_in_callbacks),
        cmocka_unit_test(free_sends_the_rest),
    };
    return cmocka_run_group_tests(tests, fill_opaque, NULL);
}
