/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to the Wi-Fi Direct link: link_wifi_direct.c (the driver), wifi_anchor.c and wifi_join.c (its two sides),
 * wifi_run.c (one task on this machine's Wi-Fi, with all that it leaves behind), wifi_mark.c and wifi_sweep.c.
 */
#ifndef SIMHOP_TRANSFER_WIFI_INTERNAL_H
#define SIMHOP_TRANSFER_WIFI_INTERNAL_H

#include "transfer/link_wifi_direct.h"
#include "transfer/tcp.h"
#include "transfer/wifi_radio.h"
#include "transfer/wpa_task.h"

/* Of this boot of the machine; "unknown" where it cannot be read. */
void sh_wifi_boot_id(char out[40]);

/* ---- One task on this machine's Wi-Fi ---- */

/* A killed wpa_supplicant says nothing: while a group is up it is asked so often. */
#define SH_WIFI_ALIVE_MS 5000

struct sh_wifi_run_config {
    struct event_base *base;
    enum sh_wpa_task_kind kind;
    const char *control_dir, *run_dir;
    struct sh_wifi_iface station;
    uint32_t newest; /* ifindex: what is made later has a greater one */
    struct sh_wifi_group group;
};

/* What is up. */
struct sh_wifi_up {
    char iface[SH_WIFI_NAME]; /* the group's interface here */
    uint32_t ifindex;
    uint8_t bssid[6]; /* its own address */
    struct sh_tcp_address addresses[2];
    size_t address_count;
};

struct sh_wifi_run;
struct sh_wifi_run_ops {
    void (*up)(const struct sh_wifi_up *up, void *user);
    /* Did not come up, or is over: the last call; what is left to do is to free it. */
    void (*ended)(enum sh_cause cause, void *user);
};

/* All is told from the loop, or (failing here) at once: wifi.*, env.*. */
SH_MUST_USE enum sh_cause sh_wifi_run_new(const struct sh_wifi_run_config *config,
                                          const struct sh_wifi_run_ops *ops, void *user,
                                          struct sh_wifi_run **ret_run);
/* Undoes it without waiting: what has to be said to wpa_supplicant is sent, interfaces are removed. NULL is fine; also from a callback.
 * false: something may be left, and its mark is, for a sweep. */
bool sh_wifi_run_free(struct sh_wifi_run *run);

/* ---- The link ---- */

typedef enum sh_cause (*sh_wifi_read_fn)(struct sh_wifi_radio *ret_radio);

struct sh_wifi_anchor;
struct sh_wifi_join;

struct sh_wifi {
    struct sh_link link;
    struct event_base *base;
    char iface[SH_WIFI_NAME], control_dir[64], run_dir[192];
    sh_wifi_read_fn read; /* sh_wifi_nl_read, or a test's */
    bool (*may_take_station)(void *user);
    void (*note)(const char *text, void *user);
    struct sh_tcp_owner owner;
    struct sh_wifi_anchor *anchor;
    struct sh_wifi_join *join;
    bool swept;      /* left-overs are gone, as far as is known */
    bool asked, iwd; /* iwd was asked for, and is there */
    struct sh_wifi_sweep *sweep;
    struct sh_wifi_owner *owner_asked;
    char said[256]; /* the last note */
};

/* Asks for what has to be known and sweeps what is left, if that is yet to do, before the anchor or the join begins. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_wifi_prepare(struct sh_wifi *wifi);

/* Says it once; the same again only after another. */
SH_PRINTF(2, 3) void sh_wifi_note(struct sh_wifi *wifi, const char *format, ...);

/* The same cause, or a better name for it. */
enum sh_cause sh_wifi_name_cause(const struct sh_wifi *wifi, enum sh_cause cause);

/* The radios, and the station interface to use, with that and the newest interface also in config. Fails with wifi.*, env.*. */
SH_MUST_USE enum sh_cause sh_wifi_look(const struct sh_wifi *wifi, struct sh_wifi_radio *ret_radio,
                                       const struct sh_wifi_iface **ret_station,
                                       struct sh_wifi_run_config *ret_config);

/* The anchor's side: tries until it is freed. Fails with env.no-memory, env.crypto. */
SH_MUST_USE enum sh_cause sh_wifi_anchor_new(struct sh_wifi *wifi, struct sh_bytes seed,
                                             struct sh_wifi_anchor **ret_anchor);
void sh_wifi_anchor_free(struct sh_wifi_anchor *anchor);
/* The left-overs are gone: it may begin. */
void sh_wifi_anchor_begin(struct sh_wifi_anchor *anchor);

/* The secondary's side. */
SH_MUST_USE enum sh_cause sh_wifi_join_new(struct sh_wifi *wifi, struct sh_wifi_join **ret_join);
void sh_wifi_join_free(struct sh_wifi_join *join);
SH_MUST_USE enum sh_cause sh_wifi_join_dial(struct sh_wifi_join *join,
                                            const struct sh_attempt *attempt);
void sh_wifi_join_cancel(struct sh_wifi_join *join, unsigned attempt);
/* Leaves the group; attempts that wait are forgotten. */
void sh_wifi_join_rest(struct sh_wifi_join *join);
void sh_wifi_join_begin(struct sh_wifi_join *join);
/* It joins, or has joined. */
bool sh_wifi_join_runs(const struct sh_wifi_join *join);

#endif
