/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session, an engine: everything between a fresh BLE stream and a receipt that both sides hold. It drives the
 * handshake, the secure channel, enrolment, the ladder of links and the transfer, each an engine of a room below,
 * and is the one place where pairing/ and transfer/ meet. It reads no clock and opens no socket: streams, time and codes
 * come in, events go out. Files are those of the registry and the store.
 *
 * At every moment one phase with a running deadline: it changes, verified bytes come in, or ended() names a cause.
 */
#ifndef SIMHOP_CLI_SESSION_H
#define SIMHOP_CLI_SESSION_H

#include "cli/lane.h"
#include "cli/output.h"
#include "cli/receipts.h"
#include "cli/tracer.h"
#include "pairing/calibration.h"
#include "pairing/handshake.h"
#include "pairing/registry.h"
#include "profile/bundle.h"
#include "transfer/ladder.h"
#include "transfer/paths.h"
#include "transfer/puller.h"
#include "transfer/server.h"

#define SH_SESSION_KINDS SH_PATHS_KINDS

struct sh_session_config {
    enum sh_role role;
    const struct sh_identity *identity; /* anchor: with its CA */
    struct sh_registry *registry;
    struct sh_receipts *receipts; /* anchor: where its receipt waits for the registry; NULL: it
                                   * does not. Outlives the session */
    const char *boot_id;
    const char *name;
    int device_kind; /* Simhop__DeviceKind */
    const char *eid; /* "" = unknown */
    int64_t wall;    /* seconds since 1970 at the start: judges certificates, never the pairing */
    struct sh_tracer
        *tracer; /* what is seen is recorded there; NULL: nowhere. Outlives the session */
    int links[SH_LINKS_MAX]; /* allowed kinds, best first */
    size_t link_count;
    uint8_t advertised_id[SH_ROTATING_ID_SIZE];
    struct sh_level level;            /* at one metre, as our receiver hears the peer */
    char adapter[SH_ADAPTER_MAX + 1]; /* whose levels are known and learned; "" = unknown */
    enum sh_proximity_policy policy;

    /* Anchor; borrowed, must outlive the session. */
    struct sh_item *const *items;
    size_t item_count;
    const struct sh_bundle *draft; /* NULL: no bundle */
    /* Advertised identifiers, each with the power at which it was sent, when that was stepped; none: it was not. The
     * secondary has to have heard one of the weakest. */
    const struct sh_heard_id *stepped;
    size_t stepped_count;
    bool here;           /* a simulated radio: the secondary may be on this machine */
    bool learns;         /* a linked device may calibrate our level: the person asked for it */
    bool shares_nothing; /* and for nothing else */

    /* Secondary. */
    enum sh_purpose purpose; /* to calibrate needs reconnect_to and what we found */
    struct sh_calibrated calibrated;
    const struct sh_heard_id
        *heard; /* what of the anchor's advertisements was heard, newest last */
    size_t heard_count;
    const char *peer_name;                /* --anchor; NULL = any */
    const struct sh_device *reconnect_to; /* a linked anchor; NULL: pair with a code. Copied */
    const char *dir;                      /* where items go */
    const char *incoming_dir;             /* where a bundle is received, in the state folder */
    const char *bundle_dir;               /* where an accepted bundle is kept */
    struct sh_worker *worker, *syncer;    /* for the disk; NULL: at once */
};

struct sh_session_item {
    const char *name;
    int kind; /* Simhop__ItemKind */
    uint64_t size;
    bool has_sha256;    /* an anchor may not have been told */
    uint8_t sha256[32]; /* of what arrived, as the secondary found it */
    const char *path;   /* NULL on the anchor */
};

struct sh_session_summary {
    const struct sh_session_item *items;
    size_t item_count;
    uint64_t link_bytes[SH_SESSION_KINDS]; /* by Simhop__LinkKind */
    uint64_t resumed;
};

/* What a session that did not come to its end leaves behind, verified, for the next one. */
struct sh_session_held {
    uint8_t anchor_id[SH_DEVICE_ID_SIZE];
    size_t items;
    uint64_t verified, total; /* octets of these items */
};

struct sh_session_progress {
    const char *item;
    uint64_t verified, total;
    int link; /* Simhop__LinkKind, 0 = none */
};

/* How a kind of link looks from the anchor. */
struct sh_session_view {
    bool listening;
    unsigned connections; /* taken so far, of whomever */
};

enum sh_session_change {
    SH_CHANGE_REPLACES, /* the one that came */
    SH_CHANGE_GOES_ON,  /* from what was kept of it */
    SH_CHANGE_ANEW,     /* so little was kept that all of it is fetched */
};

struct sh_session_ops {
    sh_ms (*now)(void *user);
    /* Something came in: call sh_session_tick soon, whatever it said last. */
    void (*wake)(void *user);
    void (*phase)(enum sh_phase phase, const char *peer, void *user);
    void (*proximity)(const struct sh_proximity_estimate *estimate, bool final, void *user);
    void (*sample)(bool on, void *user); /* signal strength of the BLE stream */
    void (*show_code)(const struct sh_code *code, const char *peer, void *user); /* NULL: no more */
    void (*want_code)(unsigned run, const char *peer, void *user);
    /* Anchor: fills at most max offers, valid for the session's life, and says how many. */
    size_t (*offers)(Simhop__LinkOffer *offers, size_t max, void *user);
    /* Anchor: there is enough to send, and nothing better, for a Wi-Fi Direct group; its credentials come from this seed
     * of SH_SECRET_SIZE octets unless there is a group already. Once; sh_session_reoffer when it is up. May be NULL. */
    void (*want_group)(struct sh_bytes seed, void *user);
    /* Anchor: for a secondary that does not come through. May be NULL. */
    void (*view)(int kind, struct sh_session_view *ret_view, void *user);
    /* Answered by sh_session_dialled or sh_session_dial_failed. Anchor: to call a secondary that says where; NULL: it does not. */
    void (*dial)(const struct sh_attempt *attempt, void *user);
    void (*cancel)(unsigned attempt, void *user);
    /* Secondary: the anchor is to call us by LAN: listens, sh_session_listens says where, and who is accepted is an attempt of
     * number 0; or does so no more. false: it cannot. NULL: never. */
    bool (*listen)(bool on, void *user);
    void (*link)(int kind, const char *state, enum sh_cause cause, void *user);
    void (*progress)(const struct sh_session_progress *progress, void *user);
    /* Secondary: this file is another one than the one of that name that came, or began to come, before. May be NULL. */
    void (*changed)(const char *item, enum sh_session_change change, void *user);
    /* Secondary: the disk takes its time, see struct sh_puller_ops. May be NULL. */
    void (*disk_waits)(void *user);
    /* Secondary: all is here, and the anchor takes its time for reading it again: so many octets of this item. May be NULL. */
    void (*anchor_reads)(const char *item, uint64_t octets, uint64_t size, void *user);
    /* A session that calibrates: the anchor has kept this level, which is its own of that peer (the secondary is told). May be
     * NULL. */
    void (*calibrated)(const char *peer, const struct sh_calibrated *level, void *user);
    /* Everything is verified, committed and receipted; before ended(SH_OK). */
    void (*done)(const struct sh_session_summary *summary, void *user);
    /* Once, the last call. Not the place to free the session. */
    void (*ended)(enum sh_cause cause, void *user);
};

struct sh_session;

/* Takes the BLE stream over, at failure too. Fails as sh_handshake_new does. */
SH_MUST_USE enum sh_cause sh_session_new(const struct sh_session_config *config,
                                         const struct sh_session_ops *ops, void *user,
                                         struct sh_stream *stream, struct sh_session **ret_session);
/* Between linked devices that have met over a network: on a lane of that Simhop__LinkKind that is up by "simhop1-direct",
 * taken over but for a failure. Without a handshake: nearness is not asked for, so a strict anchor ends it (near.demanded). The
 * secondary's config names the anchor in reconnect_to. refusal: SH_OK, or why it is turned away, inside the channel. May be called
 * by the lane's up(); an end is said later, from its after() or a tick. Fails with env.no-memory. */
SH_MUST_USE enum sh_cause sh_session_new_direct(const struct sh_session_config *config,
                                                const struct sh_session_ops *ops, void *user,
                                                int kind, struct sh_lane *lane,
                                                enum sh_cause refusal,
                                                struct sh_session **ret_session);
/* Closes everything at once, without a word to the peer (sh_session_stop first for that). */
void sh_session_free(struct sh_session *session);

void sh_session_rssi(struct sh_session *session, int dbm);
/* By Channel Sounding, in metres. */
void sh_session_distance(struct sh_session *session, double metres, double sd_m);
void sh_session_code(struct sh_session *session, const struct sh_code *code);
/* An attempt of ops->dial, of that Simhop__LinkKind; secondary: number 0 for one that was accepted. The stream is taken over. facts: NULL
 * if there are none. */
void sh_session_dialled(struct sh_session *session, unsigned attempt, int kind,
                        struct sh_stream *stream);
void sh_session_dial_failed(struct sh_session *session, unsigned attempt, int kind,
                            enum sh_cause cause, const struct sh_path_facts *facts);
/* Secondary: after ops->listen, perhaps from inside it: where it listens; again when that changes. */
void sh_session_listens(struct sh_session *session, const Simhop__LinkOffer *offer);
/* Secondary: an address of this machine came or went. */
void sh_session_network_changed(struct sh_session *session);
/* Anchor: is this PSK identity one of ours? tls.session-unknown if not. */
SH_MUST_USE enum sh_cause sh_session_find_psk(const struct sh_session *session,
                                              struct sh_bytes identity, struct sh_secret *ret_psk);
/* Anchor: a lane of that Simhop__LinkKind came up with our PSK; taken over. false: the session has as many as it takes. */
SH_MUST_USE bool sh_session_adopt(struct sh_session *session, int kind, struct sh_lane *lane);
/* Anchor: what ops->offers says has changed. */
void sh_session_reoffer(struct sh_session *session);

/* Ends it with a cause of ours: the peer is told, then ended() is called. */
void sh_session_stop(struct sh_session *session, enum sh_cause cause);

/* What it has to do next needs a worker (sh_item_set_worker): tick it when that did something. */
bool sh_session_waits(const struct sh_session *session);
/* Deadlines and background work. Returns when it wants to be called again at the latest; a time that is over means "when
 * idle". */
sh_ms sh_session_tick(struct sh_session *session);

/* This machine was asleep for so long (0: not known): in a transfer that does not count, and a secondary asks every link at
 * once whether it is still there. Before a transfer the deadlines go on: a code that was shown an hour ago is no more. */
void sh_session_slept(struct sh_session *session, sh_ms slept);

bool sh_session_is_over(const struct sh_session *session);
/* Anchor: the receipt is kept, or the level learned, and only the goodbye is missing. By leaving now no more than our last answer can be lost. */
bool sh_session_is_served(const struct sh_session *session);
/* In a transfer, over whatever links. */
bool sh_session_is_moving(const struct sh_session *session);
/* Has the peer greeted us, or is it a connection that says nothing? One that begins directly has once it is in its transfer. */
bool sh_session_greeted(const struct sh_session *session);
/* Has it said anything that answers us? */
bool sh_session_heard_us(const struct sh_session *session);
/* By which level at one metre the peer is measured; once it has greeted us. */
struct sh_level sh_session_level(const struct sh_session *session);
/* Secondary: how many octets came in this session and were found right. */
uint64_t sh_session_verified(const struct sh_session *session);
/* What nearness was judged by, once both sides' samples are here, also when that ended it; before that NULL. Borrowed. */
const struct sh_nearness *sh_session_nearness(const struct sh_session *session);

/* Secondary, once it is over: zeros if nothing is left behind. Borrowed. */
const struct sh_session_held *sh_session_held(const struct sh_session *session);

#endif
