/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Can linked anchors be reached over a network, and if not, what is in the way? An engine, for `simhop doctor --peer`. Each address
 * that is known of them is dialled; who answers with the certificate that we know is asked for a small word and for one that
 * fills a segment, and is left again. Nothing is asked for that makes a session: to the anchor it is a connection that came to nothing.
 *
 *   an address    SH_DIAL_MS to connect, as long once more after silence, SH_PROBE_MS for TLS and both words; who connects and does not answer
 *                 is dialled once more with small segments: do those pass, full ones are what is lost
 *   an anchor     all addresses are dialled at once, its channels come one after the other (direct.h)
 *   all           SH_PROBE_ALL_MS: what is not done by then is told as it stands
 *
 * Why something fails is judged from the facts of the way (transfer/path.h). The anchor's own view is not to be had here: a reset
 * stays link.refused.
 */
#ifndef SIMHOP_CLI_PROBE_H
#define SIMHOP_CLI_PROBE_H

#include "cli/direct.h"

#define SH_PROBE_MS      4500 /* longer than SH_PATH_MUTE_MS */
#define SH_PROBE_FULL_MS 1500 /* for the large word, after the small one */
#define SH_PROBE_ALL_MS  20000
#define SH_PROBE_SEGMENT 536  /* octets that any way takes (RFC 9293 section 3.7.1) */
#define SH_PROBE_PADDING 4096 /* fills a segment on any usual path */
#define SH_PROBE_DEVICES 8

/* Of one address. */
struct sh_probe_result {
    const struct sh_device *anchor;
    struct sh_address address;
    uint16_t port;
    enum sh_cause cause; /* SH_OK: both words came back */
    bool
        answers; /* it is the anchor, by its certificate; cause is then what it said to us, or link.mtu */
    bool small_passes; /* not so with full segments */
    bool has_rtt;
    sh_ms rtt; /* of the small word */
    char detail[128];
};

struct sh_probe_target {
    const struct sh_device *anchor; /* borrowed */
    struct sh_addresses addresses;
};

struct sh_probe_ops {
    sh_ms (*now)(void *user);
    /* Answered by sh_probe_dialled or sh_probe_dial_failed, later. */
    enum sh_cause (*dial)(const struct sh_attempt *attempt, void *user);
    void (*cancel)(unsigned attempt, void *user);
    /* Once for each address, in no order. */
    void (*result)(const struct sh_probe_result *result, void *user);
    /* All are told. */
    void (*over)(void *user);
};

struct sh_probe;

/* Copies the targets; identity stays the caller's. wall: seconds since 1970, judges certificates. Dials nothing yet. Fails with
 * env.no-memory, internal.bug (more than SH_PROBE_DEVICES). */
SH_MUST_USE enum sh_cause sh_probe_new(const struct sh_identity *identity, int64_t wall,
                                       const struct sh_probe_target *targets, size_t count,
                                       const struct sh_probe_ops *ops, void *user,
                                       struct sh_probe **ret_probe);
void sh_probe_free(struct sh_probe *probe);

/* Once; may call result and over. */
void sh_probe_begin(struct sh_probe *probe);

/* The stream is taken over. */
void sh_probe_dialled(struct sh_probe *probe, unsigned attempt, struct sh_stream *stream);
void sh_probe_dial_failed(struct sh_probe *probe, unsigned attempt, enum sh_cause cause,
                          const struct sh_path_facts *facts);

/* Returns when it wants to be called again at the latest. */
sh_ms sh_probe_tick(struct sh_probe *probe, sh_ms now);

#endif
