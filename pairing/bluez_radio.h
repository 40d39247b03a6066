/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the two halves of the real radio share: the adapter and what bluetoothd does for us
 * (ble_bluez.c), and the channels (bluez_link.c).
 *
 * What is wanted stands in the radio; sh_bluez_review does what is wanted and not yet done, and is run
 * after everything that happens. So nothing is lost by an adapter that goes and comes back.
 *
 * Whoever is called from here may free the radio: every handler runs between enter and leave, and the
 * outermost leave frees it.
 */
#ifndef SIMHOP_PAIRING_BLUEZ_RADIO_H
#define SIMHOP_PAIRING_BLUEZ_RADIO_H

#include "pairing/bdaddr.h"
#include "pairing/ble_bluez.h"
#include "pairing/bluez_advert.h"
#include "pairing/bluez_daemon.h"
#include "pairing/bluez_scan.h"
#include "pairing/bluez_sounding.h"
#include "pairing/l2cap.h"
#include "pairing/l2cap_socket.h"
#include "pairing/mgmt_info.h"
#include "pairing/rssi.h"
#include "system/rfkill.h"

#define SH_BLUEZ_DETAIL 256

/* A cause and what sh_detail said of it. */
struct sh_bluez_trouble {
    enum sh_cause cause;
    char detail[SH_BLUEZ_DETAIL];
};

enum sh_bluez_calling {
    SH_BLUEZ_NO_CALL,
    SH_BLUEZ_CALL_WAITS, /* for the adapter, for the scan to end, for a pause between tries */
    SH_BLUEZ_CALL_ENDS,  /* the connection that is there */
    SH_BLUEZ_CALL_OUT,
};

struct sh_bluez_call {
    enum sh_bluez_calling state;
    struct sh_bdaddr peer;
    uint8_t psm;
    unsigned tries;
    struct event *timer; /* WAITS, ENDS: at the latest then */
    bool patience_over;
    bool anew;           /* end what connects us first */
    sd_bus_slot *ending; /* ENDS: bluetoothd's answer, if we asked */
    bool made;           /* nothing connected us before it */
    struct sh_l2cap_spares spares;
};

struct sh_bluez_sampled {
    uint16_t handle;
    struct sh_stream *stream;
};

struct sh_bluez_radio {
    struct sh_ble ble;
    struct event_base *base;
    char wanted_adapter[64]; /* "": the best one */
    struct sh_bluez_daemon *daemon;
    struct sh_bluez_advert *advert;
    struct sh_bluez_scan *scan;
    struct sh_l2cap *l2cap;
    struct sh_rssi *rssi;
    struct sh_mgmt_info *info;
    struct sh_rfkill_watch *rfkill;
    struct sh_rfkill switches[SH_RFKILL_TYPES];
    struct event *kick, *grace, *reassert, *watch;
    sh_ms asleep_ms; /* as counted at the last watch */

    /* What is wanted. */
    bool advertising, scanning;
    struct sh_advert payload;
    int power_db;
    struct sh_bluez_call call;
    sh_ms blocked_until; /* no call goes out before */
    struct sh_bluez_sampled sampled[SH_RSSI_TARGETS];
    size_t sampled_count;
    struct sh_bluez_sounding *sounding; /* NULL: none runs */
    struct sh_stream *sounded;          /* whose; NULL as well */
    char hang_up[SH_BLUEZ_PATH]; /* the device whose connection ends with our stream; "": none */

    /* What is. */
    struct sh_bluez_trouble daemon_trouble, advert_trouble, scan_trouble, trouble;
    bool told;                       /* bluetoothd, or its absence, is known */
    bool usable;                     /* the adapter is */
    struct sh_bluez_adapter adapter; /* as it was when it was last usable */
    bool was_usable, noted_trouble, over;
    bool listening;
    struct sh_bdaddr listens_as;
    unsigned heard; /* since the last watch */
    unsigned silent_watches;
    unsigned visitors;     /* incoming streams */
    unsigned idle_watches; /* without one, since the advertisement was told */

    unsigned depth; /* handlers that run now */
    bool freed;
};

void sh_bluez_radio_enter(struct sh_bluez_radio *radio);
void sh_bluez_radio_leave(struct sh_bluez_radio *radio);
/* Does what is wanted and not yet done. From a handler of the loop only. */
void sh_bluez_review(struct sh_bluez_radio *radio);
/* Review soon. */
void sh_bluez_kick(struct sh_bluez_radio *radio);
/* The adapter's own address. false: it says none. */
SH_MUST_USE bool sh_bluez_own(const struct sh_bluez_radio *radio, struct sh_bdaddr *ret_own);

/* ---- bluez_link.c ---- */

/* Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_bluez_link_open(struct sh_bluez_radio *radio);
void sh_bluez_link_close(struct sh_bluez_radio *radio);
/* Listens if it is wanted, and puts the PSM into the payload. Fails with env.radio-failed, bluetooth.unsupported. */
SH_MUST_USE enum sh_cause sh_bluez_link_listen(struct sh_bluez_radio *radio);
void sh_bluez_link_unlisten(struct sh_bluez_radio *radio);
SH_MUST_USE enum sh_cause sh_bluez_link_call(struct sh_bluez_radio *radio, const char *address,
                                             uint8_t psm, bool anew);
void sh_bluez_link_call_stop(struct sh_bluez_radio *radio);
/* Goes on with a call that waits, if it may. */
void sh_bluez_link_review(struct sh_bluez_radio *radio);
/* Some connection of the adapter ended, and not only a channel. */
void sh_bluez_link_ended(struct sh_bluez_radio *radio);
void sh_bluez_link_sample(struct sh_bluez_radio *radio, struct sh_stream *stream, bool on);
/* Another adapter: signal strengths come from there. */
SH_MUST_USE enum sh_cause sh_bluez_link_adapter(struct sh_bluez_radio *radio, uint16_t index);

/* ---- bluez_ranging.c ---- */

/* From now until stopped, the distance of this stream's device by ops->distance, where bluetoothd measures one. */
void sh_bluez_ranging_start(struct sh_bluez_radio *radio, struct sh_stream *stream,
                            const char *device);
/* If it is this stream's (NULL: none). */
void sh_bluez_ranging_stop(struct sh_bluez_radio *radio, const struct sh_stream *stream);

#endif
