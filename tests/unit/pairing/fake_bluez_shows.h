/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a bluetoothd that does what a test says is told to do, and what it shows: its objects and signals, of one adapter, hci0. */
#ifndef SIMHOP_TESTS_FAKE_BLUEZ_SHOWS_H
#define SIMHOP_TESTS_FAKE_BLUEZ_SHOWS_H

#include "fake_bus.h"

#include "pairing/advert.h"
#include "pairing/bluez_objects.h"

#define FAKE_ADAPTER "/org/bluez/hci0"
#define FAKE_ADDRESS "00:AA:01:00:00:42"

struct fake_advert {
    char path[64]; /* "": none */
    bool up;
    uint8_t id; /* the first octet of the identity that it sends */
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
    struct sh_bus *bus; /* its own connection; NULL: it does not run */
    bool named;

    bool no_adapter, off, random_objects;
    const char *knows; /* the address of a device that it has heard; NULL: none */
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
    unsigned pinged, disconnected, measured;
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

/* ---- what it shows ---- */

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

static inline void fake_device_path(char path[64], const char *adapter, const char *address)
{
    snprintf(path, 64, "%s/dev_%s", adapter, address);
    for (char *c = path; *c; c++)
        *c = *c == ':' ? '_' : *c;
}

/* The properties of a device that has our data. */
static inline void fake_device_properties(sd_bus_message *m, const char *address, const char *uuid,
                                          int rssi)
{
    static const uint8_t data[] = {1, 0x93, 127, 1, 2, 3, 4, 5, 6, 7};
    fake_must(sd_bus_message_append(m, "a{sv}", 4, "Address", "s", address, "AddressType", "s",
                                    "random", "RSSI", "n", rssi, "ServiceData", "a{sv}", 1, uuid,
                                    "ay", 10, data[0], data[1], data[2], data[3], data[4], data[5],
                                    data[6], data[7], data[8], data[9]));
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
    if (fake.knows) {
        char path[64];
        fake_device_path(path, FAKE_ADAPTER, fake.knows);
        fake_open(m, path, SH_BLUEZ_DEVICE);
        fake_device_properties(m, fake.knows, sh_advert_uuid_text, -50);
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
    char path[64];
    fake_device_path(path, adapter, address);
    sd_bus_message *m = fake_signal("/", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded");
    fake_must(sd_bus_message_append(m, "o", path));
    fake_must(sd_bus_message_open_container(m, 'a', "{sa{sv}}"));
    fake_must(sd_bus_message_open_container(m, 'e', "sa{sv}"));
    fake_must(sd_bus_message_append(m, "s", SH_BLUEZ_DEVICE));
    fake_device_properties(m, address, uuid, rssi);
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

#endif
