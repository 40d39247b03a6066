/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What wpa_supplicant says on its control socket, parsed without I/O: replies to commands and
 * unsolicited events (wpa_supplicant 2.10: wpa_ctrl.h, "Control interface" of its developers' documentation). A datagram is a
 * view of bytes, any bytes; what does not fit is not there.
 */
#ifndef SIMHOP_TRANSFER_WPA_REPLY_H
#define SIMHOP_TRANSFER_WPA_REPLY_H

#include "proto/base.h"

#define SH_WPA_DATAGRAM 8192 /* longer ones are cut by whoever receives */
#define SH_WPA_NAME     16   /* IFNAMSIZ */
#define SH_WPA_NETWORKS 16

/* Events start with "<LEVEL>", or "IFNAME=x <LEVEL>" on the global socket; all else is a reply. */
bool sh_wpa_is_event(struct sh_bytes datagram);

/* ---- Replies ---- */

bool sh_wpa_is_ok(struct sh_bytes reply); /* "OK\n" */

/* "7\n" of ADD_NETWORK. */
bool sh_wpa_number(struct sh_bytes reply, unsigned *ret_number);

/* The value of a line "key=value", as in STATUS and BSS; the first one counts. false: not there, or longer than out. */
bool sh_wpa_value(struct sh_bytes reply, const char *key, char *out, size_t out_size);

struct sh_wpa_network {
    unsigned id;
    bool ours;    /* its name is the one asked for */
    bool enabled; /* wpa_supplicant may connect to it by itself */
    bool current;
};
/* The lines of LIST_NETWORKS, at most SH_WPA_NETWORKS, first those of our name. ssid: in printable ASCII without tab or backslash, or
 * empty. Returns how many. */
size_t sh_wpa_networks(struct sh_bytes reply, struct sh_bytes ssid,
                       struct sh_wpa_network out[SH_WPA_NETWORKS]);

/* "02:00:00:00:00:01" */
bool sh_wpa_address(const char *text, uint8_t ret_address[6]);

/* ---- Events ---- */

enum sh_wpa_event_kind {
    SH_WPA_OTHER, /* one that means nothing to us */
    SH_WPA_GROUP_STARTED,
    SH_WPA_GROUP_REMOVED,
    SH_WPA_GROUP_FORMATION_FAILURE,
    SH_WPA_GO_NEG_FAILURE,
    SH_WPA_CONNECTED,
    SH_WPA_DISCONNECTED,
    SH_WPA_ASSOC_REJECT,
    SH_WPA_AUTH_REJECT,
    SH_WPA_NETWORK_NOT_FOUND,
    SH_WPA_TEMP_DISABLED,
    SH_WPA_SCAN_RESULTS,
    SH_WPA_SCAN_FAILED,
    SH_WPA_FREQ_CONFLICT,
    SH_WPA_AP_ENABLED,
    SH_WPA_AP_DISABLED,
    SH_WPA_BEACON_FAILED, /* "Failed to set beacon parameters" */
    SH_WPA_PSK_MISMATCH,  /* AP-STA-POSSIBLE-PSK-MISMATCH, of a group owner */
    SH_WPA_STA_CONNECTED, /* AP-STA-CONNECTED, likewise */
    SH_WPA_STA_DISCONNECTED,
    SH_WPA_TERMINATING,
    SH_WPA_EVENTS,
};

struct sh_wpa_event {
    enum sh_wpa_event_kind kind;
    char iface[SH_WPA_NAME]; /* GROUP_STARTED, GROUP_REMOVED; "": not told */
    bool owner;              /* of these: "GO", not "client" */
    char ssid[33]; /* GROUP_STARTED, as escaped by wpa_supplicant; "": not told, or longer */
    char reason
        [24]; /* GROUP_REMOVED, TEMP_DISABLED: "REQUESTED", "WRONG_KEY"; DISCONNECTED: a number */
    unsigned status; /* ASSOC_REJECT, AUTH_REJECT: IEEE 802.11-2020 table 9-50; 0: not told */
};

/* A name for the log: "P2P-GROUP-STARTED". Never with an argument, which may hold a passphrase. */
const char *sh_wpa_event_name(enum sh_wpa_event_kind kind);

/* false: not an event. */
bool sh_wpa_event_parse(struct sh_bytes datagram, struct sh_wpa_event *ret_event);

#endif
