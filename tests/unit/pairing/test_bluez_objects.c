/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bus_build.h"
#include "pairing/advert.h"
#include "pairing/bluez_objects.h"

#define UUID "124d1ff8-34aa-417f-9a6a-bcb4eafba572"
#define DEV  "/org/bluez/hci1/dev_4A_00_00_00_00_01"

static struct bus_build build;
static struct sh_bluez *bluez;

static int set_up(void **state)
{
    (void)state;
    build = bus_build_open();
    return sh_bluez_new(&bluez) == SH_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sh_bluez_free(bluez);
    bus_build_close(&build);
    return 0;
}

/* ---- what bluetoothd would write ---- */

static void open_object(sd_bus_message *m, const char *path, const char *interface)
{
    bus_build_must(sd_bus_message_open_container(m, 'e', "oa{sa{sv}}"));
    bus_build_must(sd_bus_message_append(m, "o", path));
    bus_build_must(sd_bus_message_open_container(m, 'a', "{sa{sv}}"));
    bus_build_must(sd_bus_message_open_container(m, 'e', "sa{sv}"));
    bus_build_must(sd_bus_message_append(m, "s", interface));
}

static void close_object(sd_bus_message *m)
{
    for (unsigned i = 0; i < 3; i++)
        bus_build_must(sd_bus_message_close_container(m));
}

static void add_adapter(sd_bus_message *m, const char *name, const char *address, bool powered)
{
    char path[64];
    snprintf(path, sizeof(path), "/org/bluez/%s", name);
    open_object(m, path, SH_BLUEZ_ADAPTER);
    bus_build_must(sd_bus_message_append(m, "a{sv}", 4, "Address", "s", address, "Powered", "b",
                                         powered, "Name", "s", "a box", "Roles", "as", 2, "central",
                                         "peripheral"));
    close_object(m);
}

static void add_manager(sd_bus_message *m, const char *name, unsigned used, unsigned free_slots)
{
    char path[64];
    snprintf(path, sizeof(path), "/org/bluez/%s", name);
    open_object(m, path, SH_BLUEZ_ADV_MANAGER);
    bus_build_must(sd_bus_message_append(m, "a{sv}", 4, "ActiveInstances", "y", used,
                                         "SupportedInstances", "y", free_slots, "SupportedIncludes",
                                         "as", 2, "tx-power", "appearance", "SupportedCapabilities",
                                         "a{sv}", 2, "MaxTxPower", "n", 7, "MaxAdvLen", "y", 251));
    close_object(m);
}

static void add_device(sd_bus_message *m, const char *path, const char *uuid, const uint8_t *bytes,
                       size_t n)
{
    open_object(m, path, SH_BLUEZ_DEVICE);
    bus_build_must(sd_bus_message_open_container(m, 'a', "{sv}"));
    bus_build_must(sd_bus_message_append(m, "{sv}", "Address", "s", "4A:00:00:00:00:01"));
    bus_build_must(sd_bus_message_append(m, "{sv}", "AddressType", "s", "random"));
    bus_build_must(sd_bus_message_append(m, "{sv}", "RSSI", "n", -47));
    bus_build_must(sd_bus_message_open_container(m, 'e', "sv"));
    bus_build_must(sd_bus_message_append(m, "s", "ServiceData"));
    bus_build_must(sd_bus_message_open_container(m, 'v', "a{sv}"));
    bus_build_must(sd_bus_message_open_container(m, 'a', "{sv}"));
    bus_build_must(sd_bus_message_open_container(m, 'e', "sv"));
    bus_build_must(sd_bus_message_append(m, "s", uuid));
    bus_build_must(sd_bus_message_open_container(m, 'v', "ay"));
    bus_build_must(sd_bus_message_append_array(m, 'y', bytes, n));
    for (unsigned i = 0; i < 6; i++)
        bus_build_must(sd_bus_message_close_container(m));
    close_object(m);
}

static sd_bus_message *begin_managed(void)
{
    sd_bus_message *m = bus_build_managed(&build);
    bus_build_must(sd_bus_message_open_container(m, 'a', "{oa{sa{sv}}}"));
    return m;
}

static enum sh_cause end_managed(sd_bus_message *m)
{
    bus_build_must(sd_bus_message_close_container(m));
    bus_build_seal(m);
    enum sh_cause cause = sh_bluez_managed(bluez, m);
    sd_bus_message_unref(m);
    return cause;
}

static struct sh_bluez_change take(sd_bus_message *m)
{
    bus_build_seal(m);
    struct sh_bluez_change change = sh_bluez_signal(bluez, m);
    sd_bus_message_unref(m);
    return change;
}

static sd_bus_message *changed(const char *path, const char *interface)
{
    sd_bus_message *m =
        bus_build_signal(&build, path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
    bus_build_must(sd_bus_message_append(m, "s", interface));
    return m;
}

static void two_adapters(unsigned free0, unsigned free1)
{
    sd_bus_message *m = begin_managed();
    add_adapter(m, "hci1", "00:AA:01:00:00:01", true);
    add_adapter(m, "hci0", "00:AA:01:00:00:00", true);
    add_manager(m, "hci0", 5 - free0, free0);
    add_manager(m, "hci1", 5 - free1, free1);
    assert_int_equal(end_managed(m), SH_OK);
}

/* ---- tests ---- */

static void reads_adapters(void **state)
{
    (void)state;
    char words[SH_BLUEZ_WORDS];
    two_adapters(4, 3);
    assert_int_equal(sh_bluez_adapter_count(bluez), 2);
    const struct sh_bluez_adapter *adapter = sh_bluez_adapter_find(bluez, "00:aa:01:00:00:00");
    assert_non_null(adapter);
    assert_string_equal(adapter->name, "hci0");
    assert_int_equal(adapter->roles, SH_BLUEZ_CENTRAL | SH_BLUEZ_PERIPHERAL);
    assert_true(adapter->includes_tx_power);
    assert_int_equal(adapter->advert_max, 251);
    sh_bluez_describe(adapter, words);
    assert_string_equal(
        words, "hci0 (00:AA:01:00:00:00): powered, Low Energy, 4 of 5 advertising slots free");
}

static void reads_devices(void **state)
{
    (void)state;
    const uint8_t data[] = {1, 0x80, 127, 1, 2, 3, 4, 5, 6, 7};
    sd_bus_message *m = begin_managed();
    add_device(m, DEV, UUID, data, sizeof(data));
    assert_int_equal(end_managed(m), SH_OK);
    const struct sh_bluez_device *device = sh_bluez_device_at(bluez, 0);
    assert_non_null(device);
    assert_string_equal(device->address, "4A:00:00:00:00:01");
    assert_true(device->random);
    assert_int_equal(device->rssi_dbm, -47);
    assert_int_equal(device->service_data_len, sizeof(data));
    assert_memory_equal(device->service_data, data, sizeof(data));

    m = changed(DEV, SH_BLUEZ_DEVICE);
    bus_build_must(sd_bus_message_append(m, "a{sv}as", 1, "RSSI", "n", -51, 0));
    struct sh_bluez_change change = take(m);
    assert_ptr_equal(change.device, device);
    assert_true(change.rssi);
    assert_false(change.service_data);
    assert_int_equal(device->rssi_dbm, -51);

    /* Less than before is all there is; an address of another form is none. */
    m = changed(DEV, SH_BLUEZ_DEVICE);
    bus_build_must(sd_bus_message_append(m, "a{sv}as", 2, "Address", "s", "4A-00:00:00:00:02",
                                         "ServiceData", "a{sv}", 1, UUID, "ay", 2, 5, 6, 0));
    assert_true(take(m).service_data);
    assert_int_equal(device->service_data_len, 2);
    assert_memory_equal(device->service_data, "\5\6", 2);
    assert_string_equal(device->address, "4A:00:00:00:00:01");
}

static void data_of_others_is_not_ours(void **state)
{
    (void)state;
    const uint8_t data[] = {1, 0x80, 127, 1, 2, 3, 4, 5, 6, 7};
    sd_bus_message *m = begin_managed();
    add_device(m, DEV, "0000fe2c-0000-1000-8000-00805f9b34fb", data, sizeof(data));
    assert_int_equal(end_managed(m), SH_OK);
    assert_int_equal(sh_bluez_device_count(bluez), 1);
    assert_int_equal(sh_bluez_device_at(bluez, 0)->service_data_len, 0);
}

static void long_service_data_is_cut(void **state)
{
    (void)state;
    uint8_t data[1000];
    memset(data, 7, sizeof(data));
    sd_bus_message *m = begin_managed();
    add_device(m, DEV, UUID, data, sizeof(data));
    assert_int_equal(end_managed(m), SH_OK);
    assert_int_equal(sh_bluez_device_at(bluez, 0)->service_data_len, SH_BLUEZ_SERVICE_DATA);
}

static void other_types_are_passed_over(void **state)
{
    (void)state;
    two_adapters(4, 3);
    sd_bus_message *m = changed("/org/bluez/hci0", SH_BLUEZ_ADAPTER);
    bus_build_must(sd_bus_message_append(m, "a{sv}as", 5, "Powered", "s", "no", "Roles", "ai", 1, 5,
                                         "Address", "s", "not an address", "PowerState", "u", 7,
                                         "Discovering", "b", 1, 0));
    assert_non_null(take(m).adapter);
    const struct sh_bluez_adapter *adapter = sh_bluez_adapter_find(bluez, "hci0");
    assert_true(adapter->powered);
    assert_true(adapter->discovering); /* what stands after them is still read */
    assert_string_equal(adapter->address, "00:AA:01:00:00:00");
    assert_int_equal(adapter->roles, SH_BLUEZ_CENTRAL | SH_BLUEZ_PERIPHERAL);

    m = changed("/org/bluez/hci0", SH_BLUEZ_ADV_MANAGER);
    bus_build_must(sd_bus_message_append(m, "a{sv}as", 3, "ActiveInstances", "u", 77,
                                         "SupportedCapabilities", "s", "x", "SupportedInstances",
                                         "y", 2, 0));
    assert_non_null(take(m).adapter);
    assert_int_equal(adapter->slots_used, 1);
    assert_int_equal(adapter->slots_free, 2);

    m = changed(DEV, SH_BLUEZ_DEVICE);
    bus_build_must(
        sd_bus_message_append(m, "a{sv}as", 2, "RSSI", "i", -51, "ServiceData", "as", 1, UUID, 0));
    struct sh_bluez_change change = take(m);
    assert_non_null(change.device);
    assert_false(change.rssi || change.service_data);
}

static void other_signatures_change_nothing(void **state)
{
    (void)state;
    two_adapters(4, 3);
    sd_bus_message *m = changed("/org/bluez/hci0", SH_BLUEZ_ADAPTER);
    bus_build_must(sd_bus_message_append(m, "as", 1, "Powered"));
    assert_null(take(m).adapter);
    m = bus_build_signal(&build, "/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved");
    bus_build_must(sd_bus_message_append(m, "os", "/org/bluez/hci0", SH_BLUEZ_ADAPTER));
    assert_false(take(m).adapter_gone);
    m = bus_build_managed(&build);
    bus_build_must(sd_bus_message_append(m, "s", "nothing of the kind"));
    bus_build_seal(m);
    assert_int_equal(sh_bluez_managed(bluez, m), SH_BLUETOOTH_REFUSED);
    sd_bus_message_unref(m);
    assert_int_equal(sh_bluez_adapter_count(bluez), 2);
}

static void what_is_removed_is_gone(void **state)
{
    (void)state;
    two_adapters(4, 3);
    sd_bus_message *m =
        bus_build_signal(&build, "/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved");
    bus_build_must(sd_bus_message_append(m, "oas", "/org/bluez/hci0", 3, "some.Other",
                                         SH_BLUEZ_ADV_MANAGER, SH_BLUEZ_ADAPTER));
    assert_true(take(m).adapter_gone);
    assert_null(sh_bluez_adapter_find(bluez, "hci0"));
    assert_non_null(sh_bluez_adapter_find(bluez, "hci1"));
    m = bus_build_signal(&build, "/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved");
    bus_build_must(sd_bus_message_append(m, "oas", "/org/bluez/hci1", 1, SH_BLUEZ_ADAPTER));
    assert_true(take(m).adapter_gone);
    assert_int_equal(sh_bluez_adapter_count(bluez), 0);

    /* A late word of it does not bring it back: it would be one without abilities. */
    m = changed("/org/bluez/hci1", SH_BLUEZ_ADAPTER);
    bus_build_must(sd_bus_message_append(m, "a{sv}as", 1, "Powered", "b", 1, 0));
    assert_null(take(m).adapter);
    assert_int_equal(sh_bluez_adapter_count(bluez), 0);
}

static void told_twice_is_one(void **state)
{
    (void)state;
    two_adapters(4, 3);
    sd_bus_message *m = begin_managed();
    for (unsigned i = 0; i < 3; i++) {
        add_adapter(m, "hci0", "00:AA:01:00:00:00", i == 2);
        add_device(m, DEV, UUID, (const uint8_t *)"x", 1);
    }
    assert_int_equal(end_managed(m), SH_OK);
    assert_int_equal(sh_bluez_adapter_count(bluez), 1);
    assert_true(sh_bluez_adapter_at(bluez, 0)->powered);
    assert_int_equal(sh_bluez_device_count(bluez), 1);
}

/* A crowd of strangers does not push out the device that is ours, and the tables do not grow. */
static void thousands_of_objects(void **state)
{
    (void)state;
    char text[64];
    sd_bus_message *m = begin_managed();
    add_device(m, DEV, UUID, (const uint8_t *)"abc", 3);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(text, sizeof(text), "/org/bluez/hci1/dev_%u", i);
        add_device(m, text, "0000fe2c-0000-1000-8000-00805f9b34fb", (const uint8_t *)"x", 1);
        snprintf(text, sizeof(text), "hci%u", i);
        add_adapter(m, text, "00:AA:01:00:00:00", true);
    }
    assert_int_equal(end_managed(m), SH_OK);
    assert_int_equal(sh_bluez_device_count(bluez), SH_BLUEZ_DEVICES);
    assert_int_equal(sh_bluez_adapter_count(bluez), SH_BLUEZ_ADAPTERS);
    assert_string_equal(sh_bluez_device_at(bluez, 0)->path, DEV);
}

/* Among strangers the one heard of longest ago goes. */
static void who_is_heard_again_stays(void **state)
{
    (void)state;
    char text[64];
    sd_bus_message *m = begin_managed();
    for (unsigned i = 0; i < SH_BLUEZ_DEVICES; i++) {
        snprintf(text, sizeof(text), "/org/bluez/hci1/dev_%u", i);
        add_device(m, text, "0000fe2c-0000-1000-8000-00805f9b34fb", (const uint8_t *)"x", 1);
    }
    assert_int_equal(end_managed(m), SH_OK);
    static const char *const heard[] = {"/org/bluez/hci1/dev_0", DEV};
    for (size_t i = 0; i < SH_COUNT(heard); i++) {
        m = changed(heard[i], SH_BLUEZ_DEVICE);
        bus_build_must(sd_bus_message_append(m, "a{sv}as", 1, "RSSI", "n", -51, 0));
        assert_non_null(take(m).device);
    }
    assert_int_equal(sh_bluez_device_count(bluez), SH_BLUEZ_DEVICES);
    assert_string_equal(sh_bluez_device_at(bluez, 0)->path, heard[0]);
    assert_string_equal(sh_bluez_device_at(bluez, 1)->path, DEV);
}

static void long_paths_are_not_kept(void **state)
{
    (void)state;
    char path[400] = "/";
    memset(path + 1, 'a', sizeof(path) - 2);
    sd_bus_message *m = begin_managed();
    add_device(m, path, UUID, (const uint8_t *)"x", 1);
    open_object(m, path, SH_BLUEZ_ADAPTER);
    bus_build_must(sd_bus_message_append(m, "a{sv}", 0));
    close_object(m);
    assert_int_equal(end_managed(m), SH_OK);
    assert_int_equal(sh_bluez_device_count(bluez) + sh_bluez_adapter_count(bluez), 0);
}

static void chooses_by_ability(void **state)
{
    (void)state;
    const struct sh_bluez_adapter *adapter = NULL;
    assert_int_equal(sh_bluez_choose(bluez, NULL, SH_BLUEZ_CENTRAL, &adapter),
                     SH_BLUETOOTH_NO_ADAPTER);
    two_adapters(3, 4);
    assert_int_equal(sh_bluez_choose(bluez, NULL, SH_BLUEZ_PERIPHERAL, &adapter), SH_OK);
    assert_string_equal(adapter->name, "hci1");
    two_adapters(4, 4);
    assert_int_equal(sh_bluez_choose(bluez, NULL, SH_BLUEZ_PERIPHERAL, &adapter), SH_OK);
    assert_string_equal(adapter->name, "hci0");
    assert_int_equal(sh_bluez_choose(bluez, "hci1", SH_BLUEZ_CENTRAL, &adapter), SH_OK);
    assert_string_equal(adapter->name, "hci1");
    assert_int_equal(sh_bluez_choose(bluez, "hci7", SH_BLUEZ_CENTRAL, &adapter),
                     SH_BLUETOOTH_NO_ADAPTER);
    assert_string_equal(sh_detail(), "hci7 is not here");
    two_adapters(0, 0);
    assert_int_equal(sh_bluez_choose(bluez, NULL, SH_BLUEZ_PERIPHERAL, &adapter),
                     SH_BLUETOOTH_SLOTS_FULL);
    assert_string_equal(sh_detail(), "hci0: 5 in use");
    assert_int_equal(sh_bluez_choose(bluez, NULL, SH_BLUEZ_CENTRAL, &adapter), SH_OK);
}

/* One that is off is named rather than one that cannot do it at all. */
static void says_what_is_nearest(void **state)
{
    (void)state;
    const struct sh_bluez_adapter *adapter = NULL;
    sd_bus_message *m = begin_managed();
    open_object(m, "/org/bluez/hci0", SH_BLUEZ_ADAPTER);
    bus_build_must(sd_bus_message_append(m, "a{sv}", 2, "Powered", "b", 1, "Roles", "as", 0));
    close_object(m);
    add_adapter(m, "hci1", "00:AA:01:00:00:01", false);
    assert_int_equal(end_managed(m), SH_OK);
    assert_int_equal(sh_bluez_choose(bluez, "hci0", SH_BLUEZ_CENTRAL, &adapter),
                     SH_BLUETOOTH_NO_LE);
    assert_int_equal(sh_bluez_choose(bluez, NULL, SH_BLUEZ_CENTRAL, &adapter), SH_BLUETOOTH_OFF);
    assert_string_equal(sh_detail(), "hci1");
    m = changed("/org/bluez/hci1", SH_BLUEZ_ADAPTER);
    bus_build_must(sd_bus_message_append(m, "a{sv}as", 1, "PowerState", "s", "off-blocked", 0));
    assert_non_null(take(m).adapter);
    assert_int_equal(sh_bluez_choose(bluez, NULL, SH_BLUEZ_CENTRAL, &adapter),
                     SH_BLUETOOTH_RFKILL_SOFT);
    m = changed("/org/bluez/hci1", SH_BLUEZ_ADAPTER);
    bus_build_must(
        sd_bus_message_append(m, "a{sv}as", 2, "PowerState", "s", "on", "Powered", "b", 1, 0));
    assert_non_null(take(m).adapter);
    assert_int_equal(sh_bluez_choose(bluez, NULL, SH_BLUEZ_PERIPHERAL, &adapter),
                     SH_BLUETOOTH_DAEMON_OLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_adapters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_devices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(data_of_others_is_not_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_service_data_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_types_are_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_signatures_change_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_removed_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(told_twice_is_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thousands_of_objects, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_heard_again_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_paths_are_not_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chooses_by_ability, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_what_is_nearest, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
