/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The second half of `simhop calibrate`: it connects to the anchor that has just been listened to and runs a session in which that one
 * learns its own level. It owns the connection and the session; the radio and the loop are the caller's, who hands on what they call.
 */
#ifndef SIMHOP_CLI_TEACH_H
#define SIMHOP_CLI_TEACH_H

#include "cli/edge.h"
#include "cli/session.h"
#include "pairing/advert.h"

#define SH_TEACH_CONNECT_MS 10000 /* until a stream is up */
#define SH_TEACH_CONNECTS   3     /* tries in all */

struct sh_teach_ops {
    /* The anchor has kept this level. */
    void (*learned)(const struct sh_calibrated *level, void *user);
    /* Once, the last call; SH_OK after learned. Not the place to free it. */
    void (*ended)(enum sh_cause cause, void *user);
};

/* Borrowed, all of it. */
struct sh_teach_config {
    struct sh_edge *edge;
    const struct sh_identity *identity;
    struct sh_registry *registry;
    const char *name; /* ours */
    const struct sh_device *anchor;
    struct sh_calibrated found; /* what we have kept of it */
};

struct sh_teach;

/* Connects to this address, where this was advertised. Fails with env.no-memory, else it ends in ops->ended. */
SH_MUST_USE enum sh_cause sh_teach_new(const struct sh_teach_config *config, const char *address,
                                       const struct sh_advert *advert,
                                       const struct sh_teach_ops *ops, void *user,
                                       struct sh_teach **ret_teach);
/* NULL is fine. Before the edge is closed. */
void sh_teach_free(struct sh_teach *teach);

/* What the radio calls. The stream is taken over. */
void sh_teach_stream(struct sh_teach *teach, struct sh_stream *stream);
void sh_teach_connect_failed(struct sh_teach *teach, enum sh_cause cause);
void sh_teach_rssi(struct sh_teach *teach, const struct sh_stream *stream, int dbm);

/* Ends it; the other device is told. */
void sh_teach_stop(struct sh_teach *teach, enum sh_cause cause);
/* Returns when it wants to be called again at the latest. */
sh_ms sh_teach_tick(struct sh_teach *teach, sh_ms now);

#endif
