/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Marks of what we changed on the Wi-Fi of this machine, so that it is undone after a sudden end too. A mark is a file in
 * run_dir; the process that works on it holds its lock (flock), which ends with the process.
 *
 * A sweep reads the marks whose lock is free, of this boot, and removes what they name, but only what is still ours: a group owner that has
 * the mark's network name, a P2P client of the mark's name and number (Linux 6.1 tells no network of a client, and gives no number twice
 * in a boot), a station interface that has the mark's random address, networks of that name, addresses of the mark.
 */
#ifndef SIMHOP_TRANSFER_WIFI_MARK_H
#define SIMHOP_TRANSFER_WIFI_MARK_H

#include <event2/event.h>

#include "transfer/tcp.h"
#include "transfer/wpa_reply.h"
#include "transfer/wpa_task.h"

struct sh_wifi_mark_text {
    enum sh_wpa_task_kind kind;
    char boot_id[40];
    char iface[SH_WPA_NAME]; /* the group's, or our second station; "": none yet */
    uint32_t ifindex;        /* of a group's; 0: not known */
    uint8_t address[6];      /* of the second station */
    uint8_t ssid[32];
    size_t ssid_len;
    char control[108]; /* socket that removes the group and its networks; "": none */
    unsigned enabled[SH_WPA_NETWORKS]; /* networks that are to be allowed again */
    size_t enabled_count;
    struct sh_tcp_address addresses[2]; /* that an interface which stays got from us */
    size_t address_count;
};

/* At most SH_WIFI_MARK_SIZE octets, without NUL. Returns how many. */
#define SH_WIFI_MARK_SIZE 1024
size_t sh_wifi_mark_write_text(const struct sh_wifi_mark_text *text, char out[SH_WIFI_MARK_SIZE]);
/* false: not such a text. */
bool sh_wifi_mark_read_text(struct sh_bytes bytes, struct sh_wifi_mark_text *ret_text);

struct sh_wifi_mark;

/* Makes run_dir (0700) and a mark in it. Fails with env.permission, store.*, env.no-memory. */
SH_MUST_USE enum sh_cause sh_wifi_mark_new(const char *run_dir, struct sh_wifi_mark **ret_mark);
/* Sets its text; boot_id is filled in. */
SH_MUST_USE enum sh_cause sh_wifi_mark_set(struct sh_wifi_mark *mark,
                                           struct sh_wifi_mark_text *text);
/* All is undone: the file is removed. NULL is fine. */
void sh_wifi_mark_free(struct sh_wifi_mark *mark);
/* Not all is: the file stays for a sweep. NULL is fine. */
void sh_wifi_mark_leave(struct sh_wifi_mark *mark);

#define SH_WIFI_SWEEP_MS 6000

struct sh_wifi_sweep;
/* read: sh_wifi_nl_read. */
/* done is called from the loop, once, when everything that can be undone is: after some milliseconds, or as long as wpa_supplicant takes to
 * answer, but after SH_WIFI_SWEEP_MS at the latest, however many marks there are. count: marks of which all is undone. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_wifi_sweep_new(struct event_base *base, const char *run_dir,
                                            enum sh_cause (*read)(struct sh_wifi_radio *ret_radio),
                                            void (*done)(unsigned count, void *user), void *user,
                                            struct sh_wifi_sweep **ret_sweep);
/* NULL is fine; also from done. */
void sh_wifi_sweep_free(struct sh_wifi_sweep *sweep);

#endif
