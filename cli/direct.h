/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The direct way to a linked anchor, an engine on the secondary: where one was reached last (the registry has its addresses) is
 * dialled at once, beside the search by radio. Who answers there with TLS and the certificate that we know is taken; a
 * session begins on that channel (session.h, sh_session_new_direct). Whatever fails costs nothing: the search goes on.
 *
 *   a round      all addresses of all anchors at once, an anchor's channels one after the other, SH_DIRECT_MS in all
 *   then again   after SH_DIRECT_AGAIN_MS, as long as nobody was found otherwise: the anchor may begin to share later
 *
 * An anchor that refused us is not asked again, unless it was busy.
 */
#ifndef SIMHOP_CLI_DIRECT_H
#define SIMHOP_CLI_DIRECT_H

#include "cli/lane.h"
#include "pairing/registry.h"
#include "transfer/ladder.h"

#define SH_DIRECT_MS       1500
#define SH_DIRECT_AGAIN_MS 3000
#define SH_DIRECT_DIALS    16
#define SH_DIRECT_FIRST    0x10000U /* numbers of attempts from here on, far above those of a ladder */

struct sh_direct_config {
    const struct sh_identity *identity;
    struct sh_registry *registry;
    const struct sh_device *linked; /* borrowed */
    size_t linked_count;
    const char *only; /* of them, only this name; NULL: any */
    int64_t wall;     /* seconds since 1970: judges certificates */
};

struct sh_direct_ops {
    sh_ms (*now)(void *user);
    /* Answered by sh_direct_dialled or sh_direct_dial_failed, later. */
    enum sh_cause (*dial)(const struct sh_attempt *attempt, void *user);
    void (*cancel)(unsigned attempt, void *user);
    /* A channel with this anchor is up, and taken over but for a failure; all other attempts are over. Called by the lane's up(). */
    enum sh_cause (*up)(const struct sh_device *anchor, struct sh_lane *lane, void *user);
    /* This anchor cannot be reached so. Said once, not again in later rounds; and once more where one that did not answer (SH_CAT_NO_LINK), or was
     * busy, refuses. */
    void (*failed)(const struct sh_device *anchor, enum sh_cause cause, void *user);
    /* The first round, or one after a refusal, is over with nobody; not if there was none (sh_direct_is_trying). */
    void (*over)(void *user);
};

struct sh_direct;

/* config's pointers are kept. Dials nothing yet. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_direct_new(const struct sh_direct_config *config,
                                        const struct sh_direct_ops *ops, void *user,
                                        struct sh_direct **ret_direct);
void sh_direct_free(struct sh_direct *direct);

/* A round, now; none, if there is nobody to be asked. */
void sh_direct_begin(struct sh_direct *direct, sh_ms now);
/* Ends the round and all later ones. */
void sh_direct_stop(struct sh_direct *direct);
/* The session with the one that was up last came to nothing: others are tried at once if it refused us, all later if it was lost. */
void sh_direct_refused(struct sh_direct *direct, enum sh_cause cause, sh_ms now);

/* The stream is taken over. */
void sh_direct_dialled(struct sh_direct *direct, unsigned attempt, struct sh_stream *stream);
void sh_direct_dial_failed(struct sh_direct *direct, unsigned attempt, enum sh_cause cause);

/* A lane on this stream by which a linked anchor is reached with certificates; what comes up has to pass sh_direct_check. Takes the
 * stream over, at failure too. Fails as sh_lane_new and sh_cert_from_der do. */
SH_MUST_USE enum sh_cause sh_direct_lane(const struct sh_identity *identity,
                                         const struct sh_device *anchor, int64_t wall,
                                         struct sh_stream *stream, const struct sh_lane_ops *ops,
                                         void *user, struct sh_lane **ret_lane);
/* The certificate is of the anchor's CA, TLS has checked that; it has to be for the key that we know the anchor by, too. Fails with
 * tls.bad-certificate. */
SH_MUST_USE enum sh_cause sh_direct_check(const struct sh_device *anchor, struct sh_lane *lane);

/* In a first round, or one after a refusal: somebody may answer any moment. */
bool sh_direct_is_trying(const struct sh_direct *direct);
/* Returns when it wants to be called again at the latest. */
sh_ms sh_direct_tick(struct sh_direct *direct, sh_ms now);

#endif
