/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A BLE radio behind one table: `sim` (the simulated air) and `bluez`. One object is one radio of
 * one device: it can advertise and take connections, or scan and connect. Streams are L2CAP LE
 * channels. Everything is asynchronous in the given libevent base; callbacks come from the loop.
 */
#ifndef SIMHOP_PAIRING_BLE_H
#define SIMHOP_PAIRING_BLE_H

#include <event2/event.h>

#include "pairing/advert.h"
#include "proto/stream.h"

#define SH_BLE_ADDRESS 64

struct sh_ble;

/* An advertisement that was heard. address names the sender until it rotates; any text without
 * spaces. */
struct sh_ble_heard {
    char address[SH_BLE_ADDRESS];
    struct sh_bytes payload; /* AD structures, not trusted */
    int rssi_dbm;
};

struct sh_ble_ops {
    void (*heard)(const struct sh_ble_heard *heard, void *user);
    /* A connection was made: incoming while advertising, or the one asked for. The callee sets
     * stream->ops, or closes it. After `closed` too the stream stays until it is closed. */
    void (*stream)(struct sh_stream *stream, bool incoming, void *user);
    void (*connect_failed)(enum sh_cause cause, void *user);
    /* One sample of a stream's signal strength, while sampling is on. */
    void (*rssi)(struct sh_stream *stream, int dbm, void *user);
    /* A distance by Channel Sounding of a stream that is sampled, with its standard deviation, in metres. May be NULL; most radios
     * have none. */
    void (*distance)(struct sh_stream *stream, double metres, double sd_m, void *user);
    /* The radio is gone for good: it was not usable for SH_BLE_GRACE_MS, or never will be. */
    void (*failed)(enum sh_cause cause, void *user);
    /* What a person should hear of the radio: which adapter is used, that it went off and came back. May be NULL. */
    void (*note)(const char *text, void *user);
};

struct sh_ble_driver {
    const char *name; /* "sim", "bluez" */
    /* Advertises until stopped; called again it replaces the payload. Incoming connections are
     * taken meanwhile; at most SH_BLE_STREAMS at once, the rest is closed at once. Where the system
     * chooses the PSM, the driver puts it into the payload.
     * power_db, -SH_ADVERT_LOWER_MAX to 0: sent by so much more than usual, as the payload states it; where that
     * cannot be had (any more) the driver sends as usual, and has the payload say so. */
    enum sh_cause (*advertise)(struct sh_ble *ble, struct sh_bytes payload, int power_db);
    /* Can the power be lowered by SH_ADVERT_LOWER_MAX, as far as is known now? Looks without waiting. NULL: never. */
    bool (*can_lower)(const struct sh_ble *ble);
    unsigned step_ms; /* other payloads and powers at most so often, as a habit */
    /* Streams that are up stay. */
    void (*advertise_stop)(struct sh_ble *ble);
    enum sh_cause (*scan)(struct sh_ble *ble, bool on);
    /* Ends in ops->stream or ops->connect_failed, unless it fails at once. A connect that is not
     * done is given up for a new one, and is not heard of again. anew: what connects the two devices now is ended first,
     * where there is such a thing; the last stream on it was of no use. */
    enum sh_cause (*connect)(struct sh_ble *ble, const char *address, uint8_t psm, bool anew);
    /* 20 to 50 samples a second by ops->rssi. */
    void (*sample)(struct sh_ble *ble, struct sh_stream *stream, bool on);
    /* Can the radio be used at this moment? SH_OK, or what is wrong with it (a switch, the adapter, the daemon): what stands
     * behind a connection that broke. Looks without waiting. NULL: it always can. */
    enum sh_cause (*state)(struct sh_ble *ble);
    /* The address of the adapter that is used, "" while none is. NULL: there is only one, of the driver's name. */
    const char *(*adapter)(const struct sh_ble *ble);
    /* Are there streams, in use or saying their last words, or does the radio do anything else that whoever leaves cuts off? */
    bool (*busy)(const struct sh_ble *ble);
    /* Closes all, streams too; what a closed one still has is sent as far as it goes at once. The
     * object is gone; may be called from its own callbacks. */
    void (*free)(struct sh_ble *ble);
};

#define SH_BLE_STREAMS  64
#define SH_BLE_GRACE_MS 10000 /* a real radio may come back: adapter, daemon, sleep */

/* Drivers embed this at the start of their own struct. */
struct sh_ble {
    const struct sh_ble_driver *driver;
    const struct sh_ble_ops *ops;
    void *user;
};

#endif
