/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The real radio: calls, and the connections below them. */
#include "bluez_user.h"

/* ---- connecting ---- */

static void does_not_scan_while_it_connects(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_run(20);
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(streams == 1);
    assert_int_equal(calls, 1);
    assert_int_equal(calls_while_scanning, 0);
    FAKE_UNTIL(fake.started == 2); /* it goes on */
    sh_stream_close(last_stream);
    close(listener);
}

/* A bluetoothd that does not answer StopDiscovery does not keep it from connecting. */
static void connects_though_the_scan_does_not_stop(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    fake.silent = "StopDiscovery";
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_run(20);
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(streams == 1);
    close(listener);
}

static void tries_twice_then_says_why(void **state SH_UNUSED)
{
    all_up();
    call_error = EHOSTDOWN;
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(connect_fails == 1);
    assert_int_equal(connect_cause, SH_CONNECT_FAILED);
    assert_int_equal(calls, 2);
    call_error = ETIMEDOUT;
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(connect_fails == 2);
    assert_int_equal(connect_cause, SH_CONNECT_TIMEOUT);
}

#define LINUX_GIVES_UP_MS 4000
#define A_MOMENT_MS       3000 /* for one to go that we may have ended */

/* A call that was given up may keep Linux busy until it gives up too, and then takes the next one along. */
static void the_next_call_waits_for_linux(void **state SH_UNUSED)
{
    all_up();
    call_hangs = true;
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(calls == 1);
    sh_ms first = called_at;
    FAKE_UNTIL(calls == 2);
    sh_ms second = called_at;
    assert_true(second - first > 3000 + LINUX_GIVES_UP_MS);
    /* Given up by whoever calls. */
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:02/random", 0x93, false), SH_OK);
    FAKE_UNTIL(calls == 3);
    assert_true(called_at - second > LINUX_GIVES_UP_MS);
    assert_int_equal(connect_fails, 0);
}

/* A connection that is up does not block anything: only our channel did not come up. */
static void a_call_over_a_connection_does_not_wait(void **state SH_UNUSED)
{
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -40);
    FAKE_UNTIL(heard == 1);
    call_hangs = true;
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(calls == 1);
    fake_connected("dev_4A_00_00_00_00_01", true);
    fake_run(500); /* what it shows of one that is being called is not heard */
    sh_ms given_up = sh_now();
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, true), SH_OK);
    FAKE_UNTIL(fake.disconnected == 1);
    assert_true(sh_now() - given_up < LINUX_GIVES_UP_MS);
}

static void what_we_connected_we_end(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    all_up();
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(streams == 1);
    fake_run(20);
    assert_int_equal(fake.disconnected, 0);
    sh_stream_close(last_stream);
    FAKE_UNTIL(fake.disconnected == 1);
    assert_string_equal(fake.disconnected_path, FAKE_ADAPTER "/dev_4A_00_00_00_00_01");
    /* And at our own end, which comes before that of the stream. */
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(streams == 2);
    drop();
    FAKE_UNTIL(fake.disconnected == 2);
    close(listener);
}

/* What was signalled before has arrived: what one sender says keeps its order. */
static void until_seen(void)
{
    unsigned before = heard;
    fake_rssi("dev_4A_00_00_00_00_01", -41);
    FAKE_UNTIL(heard > before);
}

/* Scans, hears two devices that are connected and calls one of them, anew or not. */
static void call_connected(bool anew)
{
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_device("4A:00:00:00:00:02", sh_advert_uuid_text, -40);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -40);
    FAKE_UNTIL(heard == 2);
    fake_connected("dev_4A_00_00_00_00_02", true);
    fake_connected("dev_4A_00_00_00_00_01", true);
    until_seen();
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, anew), SH_OK);
}

/* What two kernels disagree about lives as long as the connection below, which others may hold up. */
static void the_second_try_has_a_connection_of_its_own(void **state SH_UNUSED)
{
    call_error = ECONNREFUSED;
    call_connected(false);
    FAKE_UNTIL(calls == 1);
    assert_int_equal(fake.disconnected, 0);
    FAKE_UNTIL(connect_fails == 1);
    assert_int_equal(calls, 2);
    assert_int_equal(fake.disconnected, 1);
    assert_string_equal(fake.disconnected_path, FAKE_ADAPTER "/dev_4A_00_00_00_00_01");
}

/* The first try connected the two, and came to nothing; the second is ours to end all the same. */
static void what_the_first_try_connected_we_end(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -40);
    FAKE_UNTIL(heard == 1);
    call_error = ETIMEDOUT;
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    FAKE_UNTIL(calls == 1);
    call_error = 0;
    fake_connected("dev_4A_00_00_00_00_01", true);
    FAKE_UNTIL(streams == 1);
    assert_int_equal(fake.disconnected, 0);
    sh_stream_close(last_stream);
    FAKE_UNTIL(fake.disconnected == 1);
    close(listener);
}

/* Somebody else uses it. It is given a moment to go, since it may be one that we ended. */
static void what_was_connected_before_stays(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    sh_ms asked = fake_now();
    call_connected(false);
    FAKE_UNTIL(streams == 1);
    assert_int_equal(calls, 1);
    assert_true(called_at - asked >= A_MOMENT_MS);
    sh_stream_close(last_stream);
    fake_run(200);
    assert_int_equal(fake.disconnected, 0);
    /* As soon as it has gone. */
    asked = fake_now();
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, false), SH_OK);
    fake_run(100);
    assert_true(calls == 1 || called_at - asked >= A_MOMENT_MS);
    fake_connected("dev_4A_00_00_00_00_01", false);
    FAKE_UNTIL(streams == 2);
    sh_stream_close(last_stream);
    FAKE_UNTIL(fake.disconnected == 1);
    close(listener);
}

static void connects_anew(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    call_connected(true);
    FAKE_UNTIL(streams == 1);
    assert_int_equal(fake.disconnected, 1);
    assert_int_equal(calls, 1);
    sh_stream_close(last_stream);
    close(listener);
}

static void nothing_is_ended_that_is_not_there(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    all_up();
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, true), SH_OK);
    FAKE_UNTIL(streams == 1);
    assert_int_equal(fake.disconnected, 0);
    sh_stream_close(last_stream);
    close(listener);
}

/* A bluetoothd that does not answer Disconnect does not keep it from connecting; nor does one that refuses. */
static void connects_though_the_connection_does_not_end(void **state SH_UNUSED)
{
    int listener = bound(&peer_at, &peer_size);
    fake.silent = "Disconnect";
    call_connected(true);
    FAKE_UNTIL(streams == 1);
    assert_int_equal(calls, 1);
    sh_stream_close(last_stream);
    fake.silent = NULL;
    fake.denied = "Disconnect";
    fake.denied_name = "org.bluez.Error.NotConnected";
    assert_int_equal(ble->driver->connect(ble, "4A:00:00:00:00:01/random", 0x93, true), SH_OK);
    FAKE_UNTIL(streams == 2);
    assert_int_equal(calls, 2);
    sh_stream_close(last_stream);
    close(listener);
}

static void no_address(void **state SH_UNUSED)
{
    all_up();
    assert_int_equal(ble->driver->connect(ble, "tablet", 0x93, false), SH_CONNECT_FAILED);
    fake_run(20);
    assert_int_equal(connect_fails, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(does_not_scan_while_it_connects),
        TEST(connects_though_the_scan_does_not_stop),
        TEST(tries_twice_then_says_why),
        TEST(the_next_call_waits_for_linux),
        TEST(a_call_over_a_connection_does_not_wait),
        TEST(the_second_try_has_a_connection_of_its_own),
        TEST(what_we_connected_we_end),
        TEST(what_the_first_try_connected_we_end),
        TEST(what_was_connected_before_stays),
        TEST(connects_anew),
        TEST(nothing_is_ended_that_is_not_there),
        TEST(connects_though_the_connection_does_not_end),
        TEST(no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
