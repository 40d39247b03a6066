/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What bluetoothd shows on the bus, as plain structs: adapters and devices, out of the messages of
 * org.freedesktop.DBus.ObjectManager and .Properties (BlueZ's doc/adapter-api.txt, device-api.txt,
 * advertising-api.txt). No I/O here: whoever has a message gives it in.
 *
 * Nothing in a message is trusted: a value of another type than the documented one is passed over,
 * names and data are cut to what fits, and there are at most SH_BLUEZ_ADAPTERS adapters and
 * SH_BLUEZ_DEVICES devices, of which the one not heard of for longest makes room for a new one.
 */
#ifndef SIMHOP_PAIRING_BLUEZ_OBJECTS_H
#define SIMHOP_PAIRING_BLUEZ_OBJECTS_H

#include <systemd/sd-bus.h>

#include "proto/cause.h"

#define SH_BLUEZ_ADAPTERS     16
#define SH_BLUEZ_DEVICES      1024
#define SH_BLUEZ_PATH         80
#define SH_BLUEZ_ADDRESS      18 /* "AA:BB:CC:DD:EE:FF" */
#define SH_BLUEZ_SERVICE_DATA 64 /* more is cut */
#define SH_BLUEZ_WORDS        256
#define SH_BLUEZ_NO_RSSI      127
#define SH_BLUEZ_NO_POWER     127
#define SH_BLUEZ_POWER_MIN    (-127) /* of what may be asked for */
#define SH_BLUEZ_POWER_MAX    20

#define SH_BLUEZ_NAME        "org.bluez"
#define SH_BLUEZ_ADAPTER     "org.bluez.Adapter1"
#define SH_BLUEZ_DEVICE      "org.bluez.Device1"
#define SH_BLUEZ_ADV_MANAGER "org.bluez.LEAdvertisingManager1"

/* What of an adapter is asked for; flags. */
enum sh_bluez_role {
    SH_BLUEZ_ANY_ROLE = 0,
    SH_BLUEZ_CENTRAL = 1,    /* scans and connects */
    SH_BLUEZ_PERIPHERAL = 2, /* advertises and is connected to */
};

struct sh_bluez_adapter {
    char path[SH_BLUEZ_PATH]; /* "/org/bluez/hci0" */
    char name[16];            /* "hci0" */
    char address[SH_BLUEZ_ADDRESS];
    bool random; /* AddressType: its own address is a static random one */
    bool powered;
    bool blocked;     /* PowerState says off-blocked: a switch holds it off */
    bool roles_known; /* BlueZ 5.5x and newer say them */
    unsigned roles;   /* enum sh_bluez_role */
    bool discovering;
    /* LEAdvertisingManager1. */
    bool advertises; /* it is there */
    unsigned slots_used, slots_free;
    bool includes_tx_power, can_set_tx_power;
    int tx_power_min,
        tx_power_max;    /* of an advertisement, dBm; SH_BLUEZ_NO_POWER: it does not say */
    unsigned advert_max; /* octets of advertising data; 0: it does not say */
};

struct sh_bluez_device {
    char path[SH_BLUEZ_PATH];
    char address[SH_BLUEZ_ADDRESS]; /* "": not said yet */
    bool random;                    /* AddressType */
    bool connected;
    int rssi_dbm;                                /* as last said, maybe long ago */
    uint8_t service_data[SH_BLUEZ_SERVICE_DATA]; /* under our UUID (pairing/advert.h) */
    size_t service_data_len;                     /* 0: none */
    uint64_t turn; /* when it was heard of last, counted in messages */
};

/* What a message changed. device and adapter are valid until the next message. */
struct sh_bluez_change {
    const struct sh_bluez_adapter *adapter; /* NULL: none of interest */
    const struct sh_bluez_device *device;
    bool rssi, service_data; /* the message itself told them of the device */
    bool disconnected;       /* its connection ended */
    bool adapter_gone;       /* an adapter, or what it had, was taken away */
};

struct sh_bluez;

/* Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_bluez_new(struct sh_bluez **ret_bluez);
/* NULL is fine. */
void sh_bluez_free(struct sh_bluez *bluez);
/* Forgets all. */
void sh_bluez_clear(struct sh_bluez *bluez);

/* The reply to GetManagedObjects; what was known is forgotten. Fails with bluetooth.refused (an
 * error, or not that reply at all). */
SH_MUST_USE enum sh_cause sh_bluez_managed(struct sh_bluez *bluez, sd_bus_message *message);
/* InterfacesAdded, InterfacesRemoved, PropertiesChanged; anything else changes nothing. */
struct sh_bluez_change sh_bluez_signal(struct sh_bluez *bluez, sd_bus_message *message);

size_t sh_bluez_adapter_count(const struct sh_bluez *bluez);
const struct sh_bluez_adapter *sh_bluez_adapter_at(const struct sh_bluez *bluez, size_t i);
/* By path, "hci0" or address (in any case); NULL: there is none. */
const struct sh_bluez_adapter *sh_bluez_adapter_find(const struct sh_bluez *bluez,
                                                     const char *name);
size_t sh_bluez_device_count(const struct sh_bluez *bluez);
const struct sh_bluez_device *sh_bluez_device_at(const struct sh_bluez *bluez, size_t i);

/* No device was heard, as far as signal strengths go: what was said before is old now. */
void sh_bluez_forget_rssi(struct sh_bluez *bluez);

/* "hci0 (AA:BB:CC:DD:EE:FF): powered, Low Energy, 4 of 5 advertising slots free" */
void sh_bluez_describe(const struct sh_bluez_adapter *adapter, char out[SH_BLUEZ_WORDS]);
/* Can the adapter be used for these roles now? Fails, with the adapter's name and what is missing as
 * detail, with bluetooth.off, bluetooth.rfkill-soft (some switch: who knows rfkill tells which),
 * bluetooth.no-le, bluetooth.daemon-old, bluetooth.slots-full. */
SH_MUST_USE enum sh_cause sh_bluez_fits(const struct sh_bluez_adapter *adapter, unsigned roles);
/* The adapter named wanted (NULL: the best that fits: most free slots, then the lowest number). Fails
 * with bluetooth.no-adapter, or with what keeps the one that is nearest to fitting. */
SH_MUST_USE enum sh_cause sh_bluez_choose(const struct sh_bluez *bluez, const char *wanted,
                                          unsigned roles,
                                          const struct sh_bluez_adapter **ret_adapter);

#endif
