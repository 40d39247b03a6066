/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The real radio: advertising, scanning, what is wrong and what comes back. */
#include "bluez_user.h"

#include "pairing/bluez_radio.h"

/* ---- advertising ---- */

static void advertises_what_it_is_given(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    static const uint8_t expected[] = {1, PSM, 127, 7, 7, 7, 7, 7, 7, 7};
    assert_int_equal(fake.data_n, sizeof(expected));
    assert_memory_equal(fake.data, expected, sizeof(expected));
    assert_true(fake.discoverable && fake.interval);
    assert_non_null(strstr(notes, "Using Bluetooth adapter hci0 (" FAKE_ADDRESS "): powered, Low "
                                  "Energy, 5 of 5 advertising slots free."));
    int fd = reach(&listens_at, listens_size);
    FAKE_UNTIL(streams == 1);
    close(fd);
    /* A controller may have stopped for the connection: it is told again. */
    FAKE_UNTIL(fake.registered >= 2 && fake.up == 1);
    ble->driver->advertise_stop(ble);
    FAKE_UNTIL(fake.up == 0);
    assert_int_equal(fails, 0);
}

/* The end of a connection leaves Linux advertising for nobody to connect to. */
static void advertises_anew_after_a_connection(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -40);
    fake_connected("dev_4A_00_00_00_00_01", true);
    fake_run(500);
    assert_int_equal(fake.registered, 1);
    fake_connected("dev_4A_00_00_00_00_01", false);
    FAKE_UNTIL(fake.registered == 2 && fake.up == 1);
    /* And not for each word about a device that is not connected. */
    fake_connected("dev_4A_00_00_00_00_01", false);
    fake_rssi("dev_4A_00_00_00_00_01", -41);
    fake_run(500);
    assert_int_equal(fake.registered, 2);
}

/* Not every end of a connection is told. */
static void advertises_anew_when_nobody_comes(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    FAKE_UNTIL(fake.registered == 2 && fake.up == 1);
    /* Not beside a visitor: once after it came, no more. */
    int fd = reach(&listens_at, listens_size);
    FAKE_UNTIL(streams == 1 && fake.registered == 3);
    fake_run(12000);
    assert_int_equal(fake.registered, 3);
    close(fd);
}

static void other_data_takes_the_place(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    advertise(7);
    fake_run(50);
    assert_int_equal(fake.registered, 1);
    advertise(8);
    FAKE_UNTIL(fake.registered == 2 && fake.up == 1);
    assert_int_equal(fake.data[3], 8);
    assert_int_equal(fake.data[1], PSM);
}

static void a_smaller_form_where_it_is_refused(void **state SH_UNUSED)
{
    fake.only_plain = true;
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    assert_false(fake.discoverable || fake.interval);
    assert_int_equal(fails, 0);
}

static void slots_that_are_full_are_waited_for(void **state SH_UNUSED)
{
    fake.slots_free = 0;
    all_up();
    advertise(7);
    FAKE_UNTIL(strstr(notes, "slots"));
    assert_int_equal(fake.registered, 0);
    fake_slots(1);
    FAKE_UNTIL(fake.registered == 1);
    FAKE_UNTIL(strstr(notes, "Bluetooth is back."));
    assert_int_equal(fails, 0);
}

/* ---- what is wrong at the start ---- */

static void fails_with(enum sh_cause cause)
{
    FAKE_UNTIL(fails == 1);
    assert_string_equal(sh_cause_info(fail_cause)->name, sh_cause_info(cause)->name);
    fake_run(100);
    assert_int_equal(fails, 1);
}

static void no_bluetoothd(void **state SH_UNUSED)
{
    fake_bus_start();
    open_radio(NULL);
    advertise(7);
    fails_with(SH_BLUETOOTH_NO_DAEMON);
}

static void no_bus(void **state SH_UNUSED)
{
    assert_int_equal(sh_ble_bluez_new(fake_bus.base, NULL, &ops, NULL, &ble), SH_ENV_NO_BUS);
}

static void no_bluetooth_in_the_kernel(void **state SH_UNUSED)
{
    supported = SH_BLUETOOTH_UNSUPPORTED;
    assert_int_equal(sh_ble_bluez_new(fake_bus.base, NULL, &ops, NULL, &ble),
                     SH_BLUETOOTH_UNSUPPORTED);
}

static void no_adapter(void **state SH_UNUSED)
{
    fake.no_adapter = true;
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_NO_ADAPTER);
}

static void another_adapter_than_is_named(void **state SH_UNUSED)
{
    fake_bus_start();
    fake_start();
    open_radio("hci7");
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    fails_with(SH_BLUETOOTH_NO_ADAPTER);
    assert_string_equal(fail_detail, "hci7 is not here");
}

static void switched_off(void **state SH_UNUSED)
{
    fake.off = true;
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_OFF);
}

static void refused_to_this_user(void **state SH_UNUSED)
{
    fake.denied = "GetManagedObjects";
    fake.denied_name = "org.freedesktop.DBus.Error.AccessDenied";
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_PERMISSION);
}

static void advertising_is_refused_to_this_user(void **state SH_UNUSED)
{
    fake.denied = "RegisterAdvertisement";
    fake.denied_name = "org.freedesktop.DBus.Error.AccessDenied";
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_PERMISSION);
}

static void scanning_is_refused(void **state SH_UNUSED)
{
    fake.denied = "StartDiscovery";
    fake.denied_name = "org.bluez.Error.Failed";
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    fails_with(SH_BLUETOOTH_REFUSED);
    assert_non_null(strstr(fail_detail, "StartDiscovery"));
}

static void an_answer_of_another_kind(void **state SH_UNUSED)
{
    fake.random_objects = true;
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_REFUSED);
}

static void an_answer_that_never_comes(void **state SH_UNUSED)
{
    fake.silent = "GetManagedObjects";
    all_up();
    advertise(7);
    fails_with(SH_BLUETOOTH_REFUSED);
}

static void hang_while_it_scans(void)
{
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_run(20);
    fake.hangs = true;
    fake.pinged = 0;
    FAKE_UNTIL(fake.pinged == 1); /* nothing comes: is it alive? */
    FAKE_UNTIL(strstr(notes, "Waiting") != NULL);
}

static void one_that_hangs(void **state SH_UNUSED)
{
    hang_while_it_scans();
    FAKE_UNTIL(fails == 1);
    assert_int_equal(fail_cause, SH_BLUETOOTH_REFUSED);
    fake_goes_on();
}

/* ---- what comes back ---- */

static void one_that_hung_goes_on(void **state SH_UNUSED)
{
    hang_while_it_scans();
    fake_goes_on();
    FAKE_UNTIL(strstr(notes, "Bluetooth is back.") != NULL && fake.started > 1);
    fake_run(20);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -40);
    FAKE_UNTIL(heard == 1);
    assert_int_equal(fails, 0);
}

/* What was asked of it meanwhile, and given up, it does now. */
static void one_that_hung_advertises_once(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.up == 1);
    fake.hangs = true;
    advertise(8);
    FAKE_UNTIL(strstr(notes, "Waiting") != NULL);
    fake_goes_on();
    FAKE_UNTIL(strstr(notes, "Bluetooth is back.") != NULL);
    FAKE_UNTIL(fake.up == 1);
    fake_run(300);
    assert_int_equal(fake.up, 1);
    assert_int_equal(fails, 0);
}

/* It has heard that it is on the air. */
static bool is_usable(void)
{
    return ((const struct sh_bluez_radio *)ble)->was_usable;
}

static void bluetoothd_starts_again(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.registered == 1 && fake.started == 1);
    FAKE_UNTIL(is_usable());
    fake_end();
    FAKE_UNTIL(strstr(notes, "The Bluetooth service does not run."));
    fake_start();
    FAKE_UNTIL(fake.registered == 2 && fake.started == 2);
    FAKE_UNTIL(strstr(notes, "Bluetooth is back."));
    assert_int_equal(fails, 0);
}

static void the_adapter_is_switched_off_and_on(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.registered == 1 && fake.started == 1);
    FAKE_UNTIL(is_usable());
    fake_power(false);
    FAKE_UNTIL(strstr(notes, "switched off"));
    /* The scan is lost with it: what is still said of devices is old. */
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -50);
    fake_run(50);
    assert_int_equal(heard, 0);
    fake_power(true);
    FAKE_UNTIL(fake.registered == 2 && fake.started == 2);
    /* It began anew at once, not because nothing was heard for long, for then it would have been stopped first. */
    assert_int_equal(fake.stopped, 0);
    assert_int_equal(fails, 0);
}

static void the_bus_starts_again(void **state SH_UNUSED)
{
    all_up();
    advertise(7);
    FAKE_UNTIL(fake.registered == 1);
    FAKE_UNTIL(is_usable());
    fake_bus_stop();
    fake_end();
    unlink(fake_bus.socket_path);
    FAKE_UNTIL(strstr(notes, "message bus"));
    fake_bus_start();
    fake_start();
    FAKE_UNTIL(fake.registered == 2);
    assert_int_equal(fails, 0);
}

/* ---- scanning ---- */

#define OTHER_UUID "0000fe2c-0000-1000-8000-00805f9b34fb"

static void hears(void **state SH_UNUSED)
{
    struct sh_advert advert;
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_run(20);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -50);
    FAKE_UNTIL(heard == 1);
    assert_string_equal(last_heard.address, "4A:00:00:00:00:01/random");
    assert_int_equal(last_heard.rssi_dbm, -50);
    assert_int_equal(sh_advert_decode(SH_BYTES(last_payload, last_heard.payload.n), &advert),
                     SH_OK);
    assert_int_equal(advert.psm, 0x93);
    fake_rssi("dev_4A_00_00_00_00_01", -60);
    FAKE_UNTIL(heard == 2);
    assert_int_equal(last_heard.rssi_dbm, -60);
    fake_device("4A:00:00:00:00:02", OTHER_UUID, -50);
    fake_rssi("dev_4A_00_00_00_00_02", -55);
    fake_device_of(FAKE_ADAPTER "0", "4A:00:00:00:00:03", sh_advert_uuid_text, -50);
    fake_run(50);
    assert_int_equal(heard, 2);
    assert_int_equal(ble->driver->scan(ble, false), SH_OK);
    FAKE_UNTIL(fake.stopped == 1);
    fake_rssi("dev_4A_00_00_00_00_01", -61);
    fake_run(50);
    assert_int_equal(heard, 2);
    /* A level of an earlier scan is none of this one. */
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 2);
    fake_run(20);
    fake_data("dev_4A_00_00_00_00_01");
    fake_run(50);
    assert_int_equal(heard, 2);
    fake_rssi("dev_4A_00_00_00_00_01", -62);
    FAKE_UNTIL(heard == 3);
}

/* A change of less than 8 dB is told only to who asks for a level, whichever (BlueZ's src/adapter.c,
 * discovery_filter_has_proximity), and the same data only to who asks for duplicates. */
static void asks_for_every_report(void **state SH_UNUSED)
{
    all_up();
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    assert_int_equal(fake.filtered, 1);
    assert_int_equal(fake.filter_rssi, -127);
    assert_true(fake.filter_duplicates);
}

static void may_be_freed_when_it_hears(void **state SH_UNUSED)
{
    all_up();
    free_when_heard = true;
    assert_int_equal(ble->driver->scan(ble, true), SH_OK);
    FAKE_UNTIL(fake.started == 1);
    fake_run(20);
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -50);
    FAKE_UNTIL(!ble);
}

static void may_be_freed_when_it_notes(void **state SH_UNUSED)
{
    fake_bus_start();
    fake_start();
    free_when_noted = true;
    open_radio(NULL);
    advertise(7);
    FAKE_UNTIL(!ble);
    fake_run(50);
    assert_int_equal(fake.up, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(advertises_what_it_is_given),
        TEST(advertises_anew_after_a_connection),
        TEST(advertises_anew_when_nobody_comes),
        TEST(other_data_takes_the_place),
        TEST(a_smaller_form_where_it_is_refused),
        TEST(slots_that_are_full_are_waited_for),
        TEST(no_bluetoothd),
        TEST(no_bus),
        TEST(no_bluetooth_in_the_kernel),
        TEST(no_adapter),
        TEST(another_adapter_than_is_named),
        TEST(switched_off),
        TEST(refused_to_this_user),
        TEST(advertising_is_refused_to_this_user),
        TEST(scanning_is_refused),
        TEST(an_answer_of_another_kind),
        TEST(an_answer_that_never_comes),
        TEST(one_that_hangs),
        TEST(one_that_hung_goes_on),
        TEST(one_that_hung_advertises_once),
        TEST(bluetoothd_starts_again),
        TEST(the_adapter_is_switched_off_and_on),
        TEST(the_bus_starts_again),
        TEST(hears),
        TEST(asks_for_every_report),
        TEST(may_be_freed_when_it_hears),
        TEST(may_be_freed_when_it_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
