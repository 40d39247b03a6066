/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bluetoothd that does what a test says, on a message bus of the test's own (dbus-daemon on a socket in a temporary
 * folder), in the same loop as what is tested; and sockets of AF_UNIX in place of those of
 * L2CAP. It shows one adapter, hci0.
 */
#ifndef SIMHOP_TESTS_FAKE_BLUEZ_H
#define SIMHOP_TESTS_FAKE_BLUEZ_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pairing/advert.h"
#include "pairing/bluez_objects.h"
#include "pairing/l2cap.h"
#include "pairing/l2cap_socket.h"
#include "system/bus.h"

#define FAKE_ADAPTER "/org/bluez/hci0"
#define FAKE_ADDRESS "00:AA:01:00:00:42"

struct fake_advert {
    char path[64]; /* "": none */
    bool up;
};

/* What becomes of a transmit power that is asked for. */
enum fake_power {
    FAKE_TAKES,
    FAKE_REFUSES,
    FAKE_IGNORES, /* the controller chooses its full one */
    FAKE_ROUNDS,  /* to what it has: the full one and 5 dB less than that */
    FAKE_MUTE,    /* it never says what was chosen */
};

/* What bluetoothd does, and what it was asked. */
struct fake {
    struct event_base *base;
    struct sh_bus *bus;
    pid_t daemon;
    char folder[64], socket_path[96];
    bool named;

    bool no_adapter, off, random_objects;
    unsigned slots_free;
    const char *silent;      /* this method is not answered */
    const char *denied;      /* this one is refused */
    const char *denied_name; /* with this error */
    bool hangs;              /* it answers when it goes on (fake_goes_on) */
    sd_bus_message *unanswered[16];
    unsigned unanswered_n;
    bool old;        /* it cannot report a device again and again */
    bool only_plain; /* an advertisement with more than is needed is refused */
    bool can_set_power;
    int power_max;
    enum fake_power power_way;

    unsigned registered, started, stopped, filtered;
    int filter_rssi; /* SH_BLUEZ_NO_RSSI: the filter of the discovery has none */
    bool filter_duplicates;
    unsigned pinged, disconnected;
    char disconnected_path[64];
    struct fake_advert adverts[8];
    unsigned up; /* registered and not unregistered */
    uint8_t data[64];
    size_t data_n;
    bool discoverable, interval;
    int power, chosen; /* SH_BLUEZ_NO_POWER: not asked for */
    unsigned powers,
        steps;   /* how often a power was asked for; how often an advertisement was changed */
    bool louder; /* it was sent with more power than it said */
};

static struct fake fake;

/* ---- the bus daemon ---- */

static inline void fake_exec(const char *path, int out)
{
    char config[128], address[64];
    snprintf(config, sizeof(config), "--config-file=%s", path);
    snprintf(address, sizeof(address), "--print-address=%d", out);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stderr)) /* it complains of limits that it may not raise */
        _exit(126);
    execlp("dbus-daemon", "dbus-daemon", config, address, "--nofork", "--nopidfile", (char *)NULL);
    _exit(127);
}

/* Skips the test where there is no such program. */
static inline void fake_daemon_start(void)
{
    static const char config[] =
        "<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>\n"
        "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>"
        "<allow send_type=\"*\"/><allow receive_type=\"*\"/></policy></busconfig>\n";
    char path[96], text[256];
    int out[2];
    snprintf(path, sizeof(path), "%s/bus.conf", fake.folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, config, fake.socket_path);
    fclose(file);
    assert_int_equal(pipe(out), 0);
    fake.daemon = fork();
    if (fake.daemon == 0)
        fake_exec(path, out[1]);
    close(out[1]);
    ssize_t n = read(out[0], text, sizeof(text)); /* it listens once it says where */
    close(out[0]);
    if (n > 0)
        return;
    waitpid(fake.daemon, NULL, 0);
    fake.daemon = 0;
    print_message("skipped: no dbus-daemon here\n");
    skip();
}

static inline void fake_daemon_stop(void)
{
    if (fake.daemon <= 0)
        return;
    kill(fake.daemon, SIGKILL);
    waitpid(fake.daemon, NULL, 0);
    fake.daemon = 0;
}

/* ---- the loop ---- */

static inline sh_ms fake_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (sh_ms)ts.tv_sec * 1000 + (sh_ms)ts.tv_nsec / 1000000;
}

static inline void fake_turn(void)
{
    event_base_loop(fake.base, EVLOOP_NONBLOCK);
    usleep(500);
}

static inline void fake_run(unsigned ms)
{
    for (sh_ms until = fake_now() + ms; fake_now() < until;)
        fake_turn();
}

/* The limit is for a machine that is busy with something else; nothing is measured by it. */
#define FAKE_UNTIL(condition)                                                                      \
    do {                                                                                           \
        for (sh_ms until_ = fake_now() + 30000; !(condition) && fake_now() < until_;)              \
            fake_turn();                                                                           \
        assert_true(condition);                                                                    \
    } while (0)

/* ---- what it shows ---- */

static inline void fake_must(int r)
{
    assert_true(r >= 0);
}

static inline void fake_open(sd_bus_message *m, const char *path, const char *interface)
{
    fake_must(sd_bus_message_open_container(m, 'e', "oa{sa{sv}}"));
    fake_must(sd_bus_message_append(m, "o", path));
    fake_must(sd_bus_message_open_container(m, 'a', "{sa{sv}}"));
    fake_must(sd_bus_message_open_container(m, 'e', "sa{sv}"));
    fake_must(sd_bus_message_append(m, "s", interface));
}

static inline void fake_shut(sd_bus_message *m)
{
    for (unsigned i = 0; i < 3; i++)
        fake_must(sd_bus_message_close_container(m));
}

static inline void fake_objects(sd_bus_message *m)
{
    fake_must(sd_bus_message_open_container(m, 'a', "{oa{sa{sv}}}"));
    if (!fake.no_adapter) {
        fake_open(m, FAKE_ADAPTER, SH_BLUEZ_ADAPTER);
        fake_must(sd_bus_message_append(m, "a{sv}", 4, "Address", "s", FAKE_ADDRESS, "AddressType",
                                        "s", "public", "Powered", "b", !fake.off, "Roles", "as", 2,
                                        "central", "peripheral"));
        fake_shut(m);
        fake_open(m, FAKE_ADAPTER, SH_BLUEZ_ADV_MANAGER);
        fake_must(sd_bus_message_append(
            m, "a{sv}", 4, "ActiveInstances", "y", 5 - fake.slots_free, "SupportedInstances", "y",
            fake.slots_free, "SupportedFeatures", "as", 1,
            fake.can_set_power ? "CanSetTxPower" : "HardwareOffload", "SupportedCapabilities",
            "a{sv}", 3, "MaxAdvLen", "y", 31, "MinTxPower", "n", fake.power_max - 30, "MaxTxPower",
            "n", fake.power_max));
        fake_shut(m);
    }
    fake_must(sd_bus_message_close_container(m));
}

static inline sd_bus_message *fake_signal(const char *path, const char *interface,
                                          const char *member)
{
    sd_bus_message *m = NULL;
    fake_must(sd_bus_message_new_signal(sh_bus_sd(fake.bus), &m, path, interface, member));
    return m;
}

static inline void fake_send(sd_bus_message *m)
{
    fake_must(sd_bus_send(sh_bus_sd(fake.bus), m, NULL));
    sd_bus_message_unref(m);
    sh_bus_kick(fake.bus);
}

static inline void fake_power(bool on)
{
    fake.off = !on;
    sd_bus_message *m =
        fake_signal(FAKE_ADAPTER, "org.freedesktop.DBus.Properties", "PropertiesChanged");
    fake_must(sd_bus_message_append(m, "sa{sv}as", SH_BLUEZ_ADAPTER, 1, "Powered", "b", on, 0));
    fake_send(m);
}

static inline void fake_slots(unsigned free_slots)
{
    fake.slots_free = free_slots;
    sd_bus_message *m =
        fake_signal(FAKE_ADAPTER, "org.freedesktop.DBus.Properties", "PropertiesChanged");
    fake_must(sd_bus_message_append(m, "sa{sv}as", SH_BLUEZ_ADV_MANAGER, 1, "SupportedInstances",
                                    "y", free_slots, 0));
    fake_send(m);
}

/* A device that is heard for the first time, with our data. */
static inline void fake_device_of(const char *adapter, const char *address, const char *uuid,
                                  int rssi)
{
    static const uint8_t data[] = {1, 0x93, 127, 1, 2, 3, 4, 5, 6, 7};
    char path[64];
    snprintf(path, sizeof(path), "%s/dev_%s", adapter, address);
    for (char *c = path; *c; c++)
        *c = *c == ':' ? '_' : *c;
    sd_bus_message *m = fake_signal("/", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded");
    fake_must(sd_bus_message_append(m, "o", path));
    fake_must(sd_bus_message_open_container(m, 'a', "{sa{sv}}"));
    fake_must(sd_bus_message_open_container(m, 'e', "sa{sv}"));
    fake_must(sd_bus_message_append(m, "s", SH_BLUEZ_DEVICE));
    fake_must(sd_bus_message_append(m, "a{sv}", 4, "Address", "s", address, "AddressType", "s",
                                    "random", "RSSI", "n", rssi, "ServiceData", "a{sv}", 1, uuid,
                                    "ay", 10, data[0], data[1], data[2], data[3], data[4], data[5],
                                    data[6], data[7], data[8], data[9]));
    fake_must(sd_bus_message_close_container(m));
    fake_must(sd_bus_message_close_container(m));
    fake_send(m);
}

static inline void fake_device(const char *address, const char *uuid, int rssi)
{
    fake_device_of(FAKE_ADAPTER, address, uuid, rssi);
}

/* Its data once more, without a word of its signal. */
static inline void fake_data(const char *device)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", FAKE_ADAPTER, device);
    sd_bus_message *m = fake_signal(path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
    fake_must(sd_bus_message_append(m, "sa{sv}as", SH_BLUEZ_DEVICE, 1, "ServiceData", "a{sv}", 1,
                                    sh_advert_uuid_text, "ay", 10, 1, 0x93, 127, 1, 2, 3, 4, 5, 6,
                                    7, 0));
    fake_send(m);
}

static inline void fake_rssi(const char *device, int rssi)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", FAKE_ADAPTER, device);
    sd_bus_message *m = fake_signal(path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
    fake_must(sd_bus_message_append(m, "sa{sv}as", SH_BLUEZ_DEVICE, 1, "RSSI", "n", rssi, 0));
    fake_send(m);
}

static inline void fake_connected(const char *device, bool connected)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", FAKE_ADAPTER, device);
    sd_bus_message *m = fake_signal(path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
    fake_must(
        sd_bus_message_append(m, "sa{sv}as", SH_BLUEZ_DEVICE, 1, "Connected", "b", connected, 0));
    fake_send(m);
}

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
    fake.steps++;
    return 1;
}

static inline struct fake_advert *fake_advert(const char *path)
{
    for (size_t i = 0; i < SH_COUNT(fake.adverts); i++) {
        if (strcmp(fake.adverts[i].path, path) == 0)
            return &fake.adverts[i];
    }
    return NULL;
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
    assert_int_equal(sh_bus_open(fake.base, fake_lost, NULL, &fake.bus), SH_OK);
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
    char address[128];
    fake = (struct fake){.slots_free = 5, .power_max = 8, .power = SH_BLUEZ_NO_POWER};
    strcpy(fake.folder, "/tmp/simhop-fake.XXXXXX");
    assert_non_null(mkdtemp(fake.folder));
    snprintf(fake.socket_path, sizeof(fake.socket_path), "%s/socket", fake.folder);
    snprintf(address, sizeof(address), "unix:path=%s", fake.socket_path);
    setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
    fake.base = event_base_new();
    assert_non_null(fake.base);
}

static inline void fake_tear_down(void)
{
    char path[128];
    fake_end();
    event_base_free(fake.base);
    fake_daemon_stop();
    snprintf(path, sizeof(path), "%s/bus.conf", fake.folder);
    unlink(path);
    unlink(fake.socket_path);
    rmdir(fake.folder);
}

#endif
