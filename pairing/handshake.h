/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The handshake, an engine: from a fresh stream to "TLS follows". Greeting, measurement of nearness by both sides, and, for
 * devices that are not linked yet, a code that confirms a key exchange (docs/protocol.md has the messages). What may
 * come when is a table of {state, message, role, handler}; each state has a name, a deadline and the cause of missing it;
 * every transition is logged once. Nothing secret is released before both sides have confirmed the key.
 */
#ifndef SIMHOP_PAIRING_HANDSHAKE_H
#define SIMHOP_PAIRING_HANDSHAKE_H

#include "crypto/code.h"
#include "crypto/identity.h"
#include "crypto/keys.h"
#include "pairing/nearness.h"
#include "pairing/returning.h"
#include "proto/msg.h"

#define SH_NAME_MAX  64 /* octets of a device's name */
#define SH_LINKS_MAX 8
#define SH_HANDSHAKE_ANSWER_MS                                                                     \
    3000 /* for the anchor's greeting: short, so that there is time to connect again */
#define SH_CODE_RUNS 10 /* codes in one session at most; the registry closes it before */

enum sh_role { SH_ANCHOR, SH_SECONDARY };

/* What the secondary connects for. A calibration demands no nearness of either side, and is for linked devices. */
enum sh_purpose { SH_PURPOSE_SYNC, SH_PURPOSE_CALIBRATE };

enum sh_handshake_phase { SH_HANDSHAKE_CONNECT, SH_HANDSHAKE_MEASURE, SH_HANDSHAKE_CONFIRM };

struct sh_handshake_config {
    enum sh_role role;
    bool reconnect; /* secondary: we have a certificate of this anchor */
    const struct sh_secret *
        returning_key; /* secondary, reconnect: sh_returning_key; NULL: we do not say who returns; copied */
    enum sh_purpose purpose; /* secondary: what we want */
    bool learns;             /* anchor: takes calibrations (calibrate.not-wanted else) */
    bool shares_nothing;     /* anchor: takes no syncs (calibrate.only) */
    uint8_t device_id[SH_DEVICE_ID_SIZE];
    const char *name; /* clean text, at most SH_NAME_MAX octets; copied */
    const char
        *peer_name; /* secondary: only an anchor with this name (near.no-anchor else); NULL = any */
    int links[SH_LINKS_MAX]; /* Simhop__LinkKind */
    size_t link_count;
    uint8_t advertised_id[SH_ROTATING_ID_SIZE];
    struct sh_level level; /* at one metre, as our receiver hears the peer */
    enum sh_proximity_rule rule;
    const struct sh_heard_id
        *heard; /* secondary: advertisements of this anchor, at most SH_HEARD_MAX count; copied */
    size_t heard_count;
    bool near_is_optional; /* the person agreed: our own measurement is said, but does not refuse */
};

/* What both sides know at the end. Wiped and freed with the handshake; valid during done(). */
struct sh_handshake_result {
    bool reconnect;
    enum sh_purpose purpose;
    uint8_t transcript[32];
    struct sh_session_keys keys;        /* not in reconnect mode */
    uint8_t peer_id[SH_DEVICE_ID_SIZE]; /* zeros in reconnect mode */
    char peer_name[SH_NAME_MAX + 1];
    int peer_links[SH_LINKS_MAX];
    size_t peer_link_count;
    struct sh_proximity_estimate proximity; /* ours */
    struct sh_samples samples;              /* that it rests on, to be sent inside TLS */
    /* What the peer's samples have to fit. */
    uint8_t peer_nonce[SH_HELLO_NONCE], peer_commitment[SH_COMMITMENT_SIZE];
};

struct sh_handshake_ops {
    void (*tx)(struct sh_bytes frame, void *user);
    void (*phase)(enum sh_handshake_phase phase, const char *peer_name, void *user);
    /* Samples of the connection's signal strength are wanted (or not any more). */
    void (*sample)(bool on, void *user);
    void (*proximity)(const struct sh_proximity_estimate *estimate, bool final, void *user);
    /* Anchor: somebody returns and says by this identifier who that is. true: it is to be measured by *ret_level, which is better
     * known than that of the configuration. May be NULL. */
    bool (*returning)(const uint8_t id[SH_RETURNING_ID_SIZE], const uint8_t nonce[SH_HELLO_NONCE],
                      struct sh_level *ret_level, void *user);
    /* Anchor: may a run begin? confirm.locked-out with *ret_wait_s set (0: until a person opens it). */
    enum sh_cause (*gate)(uint32_t *ret_wait_s, void *user);
    /* Anchor: one attempt, durably, before anything of the run leaves. */
    enum sh_cause (*charge)(void *user);
    /* Anchor: the row of failures is over. */
    enum sh_cause (*confirmed)(void *user);
    /* Anchor: show it; NULL: it is not valid any more. */
    void (*show_code)(const struct sh_code *code, void *user);
    /* Secondary: ask for the code; run counts from 1, so more than 1 means that the last one was wrong. */
    void (*want_code)(unsigned run, void *user);
    /* What follows on the stream is TLS, the secondary being the client. */
    void (*done)(const struct sh_handshake_result *result, void *user);
    /* It is over; the peer has been told where that makes sense. Called once. */
    void (*failed)(enum sh_cause cause, void *user);
};

struct sh_handshake;

/* Fails with env.no-memory, env.random, usage.bad-option (name). The secondary's greeting leaves at once. */
SH_MUST_USE enum sh_cause sh_handshake_new(const struct sh_handshake_config *config,
                                           const struct sh_handshake_ops *ops, void *user,
                                           sh_ms now, struct sh_handshake **ret_handshake);
void sh_handshake_free(struct sh_handshake *handshake);

/* Bytes of the stream; *ret_used are the handshake's, what follows them is TLS. */
void sh_handshake_rx(struct sh_handshake *handshake, struct sh_bytes bytes, sh_ms now,
                     size_t *ret_used);
/* The stream ended. */
void sh_handshake_closed(struct sh_handshake *handshake);
void sh_handshake_rssi(struct sh_handshake *handshake, int dbm, sh_ms now);
/* By Channel Sounding, in metres (sh_proximity_sounding). */
void sh_handshake_distance(struct sh_handshake *handshake, double metres, double sd_m, sh_ms now);
/* Secondary: the code that want_code asked for. */
void sh_handshake_code(struct sh_handshake *handshake, const struct sh_code *code, sh_ms now);
/* Ends it from our side: tells the peer and calls failed(cause). */
void sh_handshake_stop(struct sh_handshake *handshake, enum sh_cause cause);
/* Returns when it wants to be called again at the latest. */
sh_ms sh_handshake_tick(struct sh_handshake *handshake, sh_ms now);

/* Has the peer greeted us? (Before that a connection costs nothing but its place.) */
bool sh_handshake_greeted(const struct sh_handshake *handshake);
/* Has the peer said anything that answers us? A channel may carry one way only. */
bool sh_handshake_heard_us(const struct sh_handshake *handshake);

/* What a cause that the peer names means on our side: its near.too-far is our near.peer-too-far. */
enum sh_cause sh_cause_from_peer(const char *name);

#endif
