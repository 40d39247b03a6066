/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bluetoothd that does what a test says, on a message bus of the test's own (fake_bus.h), in the same loop as what is
 * tested: what it answers when it is called, and its life. What it shows is fake_bluez_shows.h.
 */
#ifndef SIMHOP_TESTS_FAKE_BLUEZ_H
#define SIMHOP_TESTS_FAKE_BLUEZ_H

#include "fake_bluez_shows.h"

/* ---- what it is asked ---- */

static inline void fake_read_data(sd_bus_message *m)
{
    const char *uuid = NULL;
    const void *bytes = NULL;
    size_t n = 0;
    fake_must(sd_bus_message_enter_container(m, 'v', "a{sv}"));
    fake_must(sd_bus_message_enter_container(m, 'a', "{sv}"));
    fake_must(sd_bus_message_enter_container(m, 'e', "sv"));
    fake_must(sd_bus_message_read(m, "s", &uuid));
    assert_string_equal(uuid, sh_advert_uuid_text);
    fake_must(sd_bus_message_enter_container(m, 'v', "ay"));
    fake_must(sd_bus_message_read_array(m, 'y', &bytes, &n));
    assert_true(n <= sizeof(fake.data));
    memcpy(fake.data, bytes, n);
    fake.data_n = n;
    for (unsigned i = 0; i < 4; i++)
        fake_must(sd_bus_message_exit_container(m));
}

/* An advertisement, or a change of it, is on the air: bluetoothd tells what power the controller chose. */
static inline void fake_on_air(sd_bus_message *from, const char *path)
{
    sd_bus_message *m = NULL;
    int least = fake.power_max - 5;
    fake.chosen = fake.power;
    if (fake.power == SH_BLUEZ_NO_POWER || fake.power_way == FAKE_IGNORES)
        fake.chosen = fake.power_max;
    else if (fake.power_way == FAKE_ROUNDS && fake.power < least)
        fake.chosen = least;
    int less = 4 * (fake.data[0] >> 5); /* than usual, by what it says */
    if (less > fake.power_max - fake.chosen)
        fake.louder = true;
    if (fake.power_way == FAKE_MUTE)
        return;
    fake_must(sd_bus_message_new_method_call(sh_bus_sd(fake.bus), &m,
                                             sd_bus_message_get_sender(from), path,
                                             "org.freedesktop.DBus.Properties", "Set"));
    fake_must(
        sd_bus_message_append(m, "ssv", "org.bluez.LEAdvertisement1", "TxPower", "n", fake.chosen));
    fake_must(sd_bus_message_set_expect_reply(m, 0));
    fake_send(m);
}

static inline void fake_read_power(sd_bus_message *m)
{
    int16_t power = 0;
    fake_must(sd_bus_message_read(m, "v", "n", &power));
    fake.power = power;
    fake.powers++;
}

static inline struct fake_advert *fake_advert(const char *path)
{
    for (size_t i = 0; i < SH_COUNT(fake.adverts); i++) {
        if (strcmp(fake.adverts[i].path, path) == 0)
            return &fake.adverts[i];
    }
    return NULL;
}

/* One property after the other, each a change of what is on the air. */
static inline int fake_changed(sd_bus_message *m, void *user SH_UNUSED,
                               sd_bus_error *error SH_UNUSED)
{
    fake_must(sd_bus_message_skip(m, "s"));
    fake_must(sd_bus_message_enter_container(m, 'a', "{sv}"));
    while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
        const char *key = NULL;
        fake_must(sd_bus_message_read(m, "s", &key));
        if (strcmp(key, "TxPower") == 0)
            fake_read_power(m);
        else
            fake_read_data(m);
        fake_must(sd_bus_message_exit_container(m));
        fake_on_air(m, sd_bus_message_get_path(m));
    }
    struct fake_advert *advert = fake_advert(sd_bus_message_get_path(m));
    if (advert)
        advert->id = fake.data[3];
    fake.steps++;
    return 1;
}

static inline void fake_unregister(sd_bus_message *call)
{
    const char *path = NULL;
    fake_must(sd_bus_message_read(call, "o", &path));
    struct fake_advert *advert = fake_advert(path);
    if (!advert)
        return;
    fake.up -= advert->up;
    *advert = (struct fake_advert){.up = false};
}

/* The object that a call is about. */
static inline const char *fake_path(sd_bus_message *call)
{
    const char *path = NULL;
    fake_must(sd_bus_message_rewind(call, true));
    fake_must(sd_bus_message_read(call, "o", &path));
    return path;
}

static inline void fake_advert_up(sd_bus_message *call)
{
    struct fake_advert *advert = fake_advert(fake_path(call));
    if (!advert)
        return; /* unregistered meanwhile */
    advert->up = true;
    advert->id = fake.data[3];
    fake.up++;
}

/* The properties of the advertisement are there: the answer to RegisterAdvertisement. Of an object that is not there any more
 * bluetoothd makes an empty one. */
static inline int fake_got_all(sd_bus_message *answer, void *user, sd_bus_error *error SH_UNUSED)
{
    sd_bus_message *call = user;
    bool discoverable = false, interval = false;
    fake.power = SH_BLUEZ_NO_POWER;
    if (sd_bus_message_get_error(answer)) {
        fake_advert_up(call);
        sd_bus_message_unref(call);
        return 1;
    }
    fake_must(sd_bus_message_enter_container(answer, 'a', "{sv}"));
    while (sd_bus_message_enter_container(answer, 'e', "sv") > 0) {
        const char *key = NULL;
        fake_must(sd_bus_message_read(answer, "s", &key));
        discoverable = discoverable || strcmp(key, "Discoverable") == 0;
        interval = interval || strcmp(key, "MinInterval") == 0;
        assert_string_not_equal(key, "LocalName");
        if (strcmp(key, "ServiceData") == 0)
            fake_read_data(answer);
        else if (strcmp(key, "TxPower") == 0)
            fake_read_power(answer);
        else
            fake_must(sd_bus_message_skip(answer, "v"));
        fake_must(sd_bus_message_exit_container(answer));
    }
    bool refused = fake.power_way == FAKE_REFUSES && fake.power != SH_BLUEZ_NO_POWER;
    if (refused || (fake.only_plain && (discoverable || interval))) {
        fake_must(sd_bus_reply_method_errorf(call, "org.bluez.Error.Failed", "too long"));
    } else if (fake.slots_free == 0) {
        fake_must(sd_bus_reply_method_errorf(call, "org.bluez.Error.NotPermitted", "full"));
    } else {
        fake.discoverable = discoverable;
        fake.interval = interval;
        fake.registered++;
        fake_advert_up(call);
        fake_on_air(answer, fake_path(call));
        fake_must(sd_bus_reply_method_return(call, ""));
    }
    sd_bus_message_unref(call);
    sh_bus_kick(fake.bus);
    return 1;
}

static inline void fake_register(sd_bus_message *call)
{
    const char *path = NULL;
    sd_bus_message *m = NULL;
    fake_must(sd_bus_message_read(call, "o", &path));
    struct fake_advert *advert = fake_advert("");
    assert_non_null(advert);
    snprintf(advert->path, sizeof(advert->path), "%s", path);
    fake_must(sd_bus_message_new_method_call(sh_bus_sd(fake.bus), &m,
                                             sd_bus_message_get_sender(call), path,
                                             "org.freedesktop.DBus.Properties", "GetAll"));
    fake_must(sd_bus_message_append(m, "s", "org.bluez.LEAdvertisement1"));
    assert_int_equal(sh_bus_call(fake.bus, m, fake_got_all, sd_bus_message_ref(call), 0, NULL),
                     SH_OK);
    sd_bus_message_unref(m);
}

static inline void fake_managed(sd_bus_message *call)
{
    sd_bus_message *m = NULL;
    fake_must(sd_bus_message_new_method_return(call, &m));
    if (fake.random_objects)
        fake_must(sd_bus_message_append(m, "as", 2, "not", "objects"));
    else
        fake_objects(m);
    fake_send(m);
}

static inline void fake_read_filter(sd_bus_message *m)
{
    fake.filter_rssi = SH_BLUEZ_NO_RSSI;
    fake.filter_duplicates = false;
    fake_must(sd_bus_message_enter_container(m, 'a', "{sv}"));
    while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
        const char *key = NULL;
        int16_t rssi = 0;
        int duplicates = 0;
        fake_must(sd_bus_message_read(m, "s", &key));
        if (strcmp(key, "RSSI") == 0) {
            fake_must(sd_bus_message_read(m, "v", "n", &rssi));
            fake.filter_rssi = rssi;
        } else if (strcmp(key, "DuplicateData") == 0) {
            fake_must(sd_bus_message_read(m, "v", "b", &duplicates));
            fake.filter_duplicates = duplicates != 0;
        } else {
            fake_must(sd_bus_message_skip(m, "v"));
        }
        fake_must(sd_bus_message_exit_container(m));
    }
    fake.filtered++;
}

static inline int fake_called(sd_bus_message *m, void *user SH_UNUSED,
                              sd_bus_error *error SH_UNUSED)
{
    const char *member = sd_bus_message_get_member(m);
    uint8_t type = 0;
    fake_must(sd_bus_message_get_type(m, &type));
    if (type != SD_BUS_MESSAGE_METHOD_CALL || !member)
        return 0;
    fake.pinged += strcmp(member, "Ping") == 0;
    if (fake.hangs) {
        assert_true(fake.unanswered_n < SH_COUNT(fake.unanswered));
        fake.unanswered[fake.unanswered_n++] = sd_bus_message_ref(m);
        return 1;
    }
    if (fake.silent && strcmp(fake.silent, member) == 0)
        return 1;
    if (fake.denied && strcmp(fake.denied, member) == 0) {
        fake_must(sd_bus_reply_method_errorf(m, fake.denied_name, "no"));
    } else if (strcmp(member, "GetManagedObjects") == 0) {
        fake_managed(m);
    } else if (strcmp(member, "GetDiscoveryFilters") == 0) {
        fake_must(
            sd_bus_reply_method_return(m, "as", 2, "RSSI", fake.old ? "UUIDs" : "DuplicateData"));
    } else if (strcmp(member, "RegisterAdvertisement") == 0) {
        fake_register(m);
    } else {
        if (strcmp(member, "UnregisterAdvertisement") == 0)
            fake_unregister(m);
        if (strcmp(member, "SetDiscoveryFilter") == 0)
            fake_read_filter(m);
        fake.started += strcmp(member, "StartDiscovery") == 0;
        fake.stopped += strcmp(member, "StopDiscovery") == 0;
        fake.measured += strcmp(member, "StartMeasurement") == 0;
        if (strcmp(member, "Disconnect") == 0) {
            fake.disconnected++;
            snprintf(fake.disconnected_path, sizeof(fake.disconnected_path), "%s",
                     sd_bus_message_get_path(m));
        }
        if (sd_bus_message_get_expect_reply(m) > 0)
            fake_must(sd_bus_reply_method_return(m, ""));
    }
    sh_bus_kick(fake.bus);
    return 1;
}

static inline void fake_goes_on(void)
{
    fake.hangs = false;
    for (unsigned i = 0; i < fake.unanswered_n; i++) {
        fake_called(fake.unanswered[i], NULL, NULL);
        sd_bus_message_unref(fake.unanswered[i]);
    }
    fake.unanswered_n = 0;
}

/* ---- life ---- */

static inline int fake_is_named(sd_bus_message *m, void *user SH_UNUSED,
                                sd_bus_error *error SH_UNUSED)
{
    assert_null(sd_bus_message_get_error(m));
    fake.named = true;
    return 1;
}

static inline void fake_lost(enum sh_cause cause SH_UNUSED, void *user SH_UNUSED) {}

/* bluetoothd starts. */
static inline void fake_start(void)
{
    fake.named = false;
    fake.up = 0;
    memset(fake.adverts, 0, sizeof(fake.adverts));
    assert_int_equal(sh_bus_open(fake_bus.base, fake_lost, NULL, &fake.bus), SH_OK);
    fake_must(sd_bus_add_filter(sh_bus_sd(fake.bus), NULL, fake_called, NULL));
    fake_must(sd_bus_add_match_async(
        sh_bus_sd(fake.bus), NULL,
        "type='signal',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
        "arg0='org.bluez.LEAdvertisement1'",
        fake_changed, NULL, NULL));
    fake_must(
        sd_bus_request_name_async(sh_bus_sd(fake.bus), NULL, "org.bluez", 0, fake_is_named, NULL));
    sh_bus_kick(fake.bus);
    FAKE_UNTIL(fake.named);
}

/* It is killed. */
static inline void fake_end(void)
{
    sh_bus_free(fake.bus);
    fake.bus = NULL;
}

static inline void fake_set_up(void)
{
    fake = (struct fake){.slots_free = 5, .power_max = 8, .power = SH_BLUEZ_NO_POWER};
    fake_bus_set_up();
}

static inline void fake_tear_down(void)
{
    fake_end();
    fake_bus_tear_down();
}

#endif
