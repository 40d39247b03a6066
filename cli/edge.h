/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What share and sync have in common towards the world: the libevent loop, the radio that --radio names, the LAN and Wi-Fi Direct links,
 * SIGINT and SIGTERM, --deadline, the clock. One timer drives the engines' ticks.
 *
 * The two signals stay blocked when it is closed: one that comes later is for whoever opens system/signals.h next, and does not kill
 * what is about to say how it ended.
 */
#ifndef SIMHOP_CLI_EDGE_H
#define SIMHOP_CLI_EDGE_H

#include <event2/event.h>

#include "cli/options.h"
#include "cli/output.h"
#include "pairing/air_files.h"
#include "pairing/ble.h"
#include "pairing/handshake.h"
#include "pairing/registry.h"
#include "system/sleep.h"
#include "system/watchdog.h"
#include "transfer/link.h"

struct sh_edge_ops {
    /* SIGINT, SIGTERM (session.interrupted), --deadline (session.deadline). */
    void (*stop)(enum sh_cause cause, void *user);
    /* Returns when it wants to be called again at the latest. */
    sh_ms (*tick)(sh_ms now, void *user);
    /* What a person should hear of the links. May be NULL. */
    void (*note)(const char *text, void *user);
    /* May Wi-Fi Direct take the station's own link, as its last resort? NULL: no. */
    bool (*may_take_wifi)(void *user);
    /* Do bytes move? NULL: sleep does not matter, and the next two are not called. */
    bool (*moving)(void *user);
    /* The machine is about to sleep while bytes move; it has slept so long (0: not known). */
    void (*sleeps)(void *user);
    void (*slept)(sh_ms slept, void *user);
};

struct sh_edge {
    const struct sh_edge_ops *ops;
    void *user;
    struct sh_output *out; /* while it runs */
    struct event_base *base;
    struct event *signals, *timer, *deadline, *quit;
    int signal_fd;            /* 0: none yet */
    sh_ms quit_by;            /* 0: it goes on */
    struct sh_air_files *air; /* NULL with a real radio */
    struct sh_ble *ble;
    struct sh_link *lan, *wifi;   /* NULL: not allowed */
    struct sh_sleep *sleep;       /* NULL: does not matter */
    struct sh_watchdog *watchdog; /* while it runs */
    double ref1m_dbm;             /* what this radio is heard with at one metre, NAN = unknown */
    int links[SH_LINKS_MAX];
    size_t link_count;
    char boot_id[64];
    int64_t wall;
};

/* Opens all that the options ask for. The caller zeroes the struct; sh_edge_close after a failure too. Fails with usage.bad-option,
 * env.no-radio, env.name-taken, env.permission, env.no-memory. */
SH_MUST_USE enum sh_cause sh_edge_open(struct sh_edge *edge, const struct sh_common *common,
                                       const struct sh_edge_ops *ops,
                                       const struct sh_ble_ops *ble_ops,
                                       const struct sh_link_ops *link_ops, void *user);
void sh_edge_close(struct sh_edge *edge);

/* Runs until sh_edge_quit, and gives on what waits in `out` (see sh_output_unblock). Where the disk keeps the loop that is said after 4 s, and
 * after 30 s it ends the process with store.slow. */
SH_MUST_USE enum sh_cause sh_edge_run(struct sh_edge *edge, struct sh_output *out);
/* Ends the loop when the streams are closed and their goodbyes have left, or after a moment that is long enough; a longer one if a session was cut off, whose goodbye
 * stands behind the data that a slow link has not taken yet. */
void sh_edge_quit(struct sh_edge *edge, bool cut_off);
/* Ticks now rather than when the last tick said. */
void sh_edge_wake(struct sh_edge *edge);

/* A connection over the radio that broke or could not be made: is it this machine's radio? Then what is wrong with that, with
 * its detail, else the cause as it is. */
enum sh_cause sh_edge_explain(const struct sh_edge *edge, enum sh_cause cause);

/* What the radio's own signal strengths belong to: the adapter's address, "sim" for the simulated air. false: not known (yet). */
bool sh_edge_adapter(const struct sh_edge *edge, char out[SH_ADAPTER_MAX + 1]);

/* The link of a Simhop__LinkKind; NULL: there is none. */
struct sh_link *sh_edge_link(const struct sh_edge *edge, int kind);

/* Simhop__LinkKind of "ble", "lan", "wifi-direct", 0 for another; and back ("" for none). */
int sh_link_kind_by_name(const char *name, size_t len);
const char *sh_link_kind_name(int kind);

/* Simhop__DeviceKind of "phone", "tablet", "laptop", "watch", "iot"; -1 for another. */
int sh_device_kind_by_name(const char *name);
const char *sh_device_kind_name(int kind);

#endif
