/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by the session's own files: session.c (life, handshake, deadlines), session_lanes.c (lanes, messages, probes),
 * session_join.c (how further lanes come), session_back.c (those that the anchor calls for),
 * session_near.c (the samples of both), session_returning.c (who comes back), session_calibrate.c (sessions that calibrate),
 * session_direct.c (sessions that begin with certificates),
 * session_anchor.c (enrolment and serving), session_secondary.c (enrolment and pulling), session_path.c (why links fail),
 * session_trace.c (what is recorded), session_bundle.c (the received bundle), session_begun.c (the list of what began to arrive).
 */
#ifndef SIMHOP_CLI_SESSION_INTERNAL_H
#define SIMHOP_CLI_SESSION_INTERNAL_H

#include "cli/session.h"
#include "transfer/back.h"

#define SLOTS_MAX    16
#define JUDGE_MS     10000
#define ENROL_MS     10000
#define CALIBRATE_MS 10000
#define PROBE_MS     4000  /* a further lane, from its stream to its answered probes */
#define LINGER_MS    12000 /* anchor: after the receipt, for goodbye or a second asking */
#define SILENCE_MS   20000 /* anchor: without a word from the secondary */
#define IDLE_MS                                                                                    \
    120000 /* anchor: of words of life alone; and a second for each 64 MiB that may be hashed over there */
#define KEEPALIVE_MS 5000  /* secondary */
#define LINKS_MS     20000 /* phase `link` */
#define PROBE_PADDING                                                                              \
    4096 /* fills a segment on any usual path: Ethernet has 1500 octets, jumbo frames aside */
#define PADDED_MS                                                                                  \
    1500 /* and is answered so long after the small one, or full segments do not pass */
#define AWAITED_MS                                                                                 \
    2000 /* anchor: so long after the small one it awaits that of a lane that it called for; the secondary judges first */
#define LINK_ID_SIZE  16
#define BLE_RATE      100000 /* octets a second over Bluetooth, until it is measured */
#define BLE_LONGEST_S 7200   /* what takes longer over that is refused */
#define GROUP_WORTH                                                                                \
    (UINT64_C(64) << 10) /* anchor: less is through before a Wi-Fi Direct group is up */

/* judge: the channel comes up, and each waits for the other's samples. */
enum stage {
    STAGE_HANDSHAKE,
    STAGE_JUDGE,
    STAGE_ENROL,
    STAGE_CALIBRATE,
    STAGE_TRANSFER,
    STAGE_LINGER,
    STAGE_OVER
};

/* A lane's place. id is what server and puller know it by. */
struct slot {
    sh_link_id id; /* 0: free */
    struct sh_lane *lane;
    int kind;
    unsigned
        attempt; /* of the ladder, or of the anchor's calls; 0: the first lane, or one that was accepted */
    bool first, ready /* probed */, given /* server or puller has it */, gone;
    bool back;      /* the anchor called */
    bool proved;    /* the other end has shown the key */
    bool used;      /* anchor, of a lane that it called for: the secondary has it among its links */
    unsigned pongs; /* that came; anchor: that were sent on such a lane */
    sh_ms deadline; /* until ready */
    sh_ms padded;   /* when the full-size ping was sent; anchor: when the last one came */
    sh_ms heard, pinged,
        answered; /* a message came; a ping of session_path.c left, and its answer came */
    enum sh_cause gone_cause;
};

struct sh_session {
    struct sh_session_config config;
    struct sh_device reconnect_to;
    const struct sh_session_ops *ops;
    void *user;
    sh_ms started, deadline, heard, said;
    sh_ms wanted; /* anchor: something other than a word of life came */
    sh_ms asleep; /* of what has passed since the transfer began: does not count */
    enum stage stage;
    enum sh_cause end_cause, fatal;
    bool ended_said;
    unsigned number;         /* in the record of the run */
    enum sh_trace_by by;     /* who ended it */
    bool sampling, measured; /* signal strengths are wanted; the measurement is over */

    struct sh_stream *stream; /* until the first lane has it */
    struct sh_handshake *handshake;
    struct sh_handshake_result result;
    X509 *token, *ca; /* secondary, reconnect */
    struct slot slots[SLOTS_MAX];
    sh_link_id last_id;
    struct sh_secret link_psk;
    uint8_t link_id[LINK_ID_SIZE];
    bool have_link_psk;
    uint64_t link_bytes[SH_SESSION_KINDS];
    uint64_t read[SH_SESSION_KINDS]; /* octets of messages */
    struct sh_device peer;
    struct sh_nearness nearness;
    bool judged;
    bool direct; /* began on a lane that was up, without a handshake */

    /* anchor */
    bool claimed; /* it greeted as a device that we know, which its certificate has to prove */
    uint8_t claimed_id[SH_DEVICE_ID_SIZE];
    double usual_dbm; /* the level without a calibration */
    struct sh_server *server;
    uint8_t *sha256;         /* of the items, as the receipt says; NULL: it does not */
    struct sh_ladder *calls; /* to where the secondary may be called; NULL: nowhere */
    struct sh_item **items;  /* the bundle's and the shared ones */
    size_t item_count;
    struct sh_item *bundle_item;
    uint8_t transfer_id[16];
    uint64_t total; /* octets of all items */
    sh_ms transfer_since;
    bool work, group_wanted;
    bool receipt_waits; /* in the book: all is here, and nobody is told yet */
    unsigned call_sets; /* offers of the secondary that were followed */

    /* secondary */
    struct sh_puller *puller;
    struct sh_ladder *ladder;
    struct sh_back back;
    struct sh_store *store, *incoming;
    sh_ms alone; /* Bluetooth has been the only link since then; 0: it is not */
    uint64_t alone_bytes;
    struct sh_paths paths;
    struct {
        uint64_t hash;
        int64_t tag;
    } offers[SH_SESSION_KINDS]; /* as recorded last */
    sh_ms moved_at;             /* as recorded last, of the puller's own time */
    sh_ms look_at;  /* a tick from then on may change something, and is recorded; 0: the next */
    sh_ms asked_at; /* the time that the ladder was given last */
    bool asking;    /* it is being asked */
    bool items_told;
    bool unlisted; /* the manifest is here, what begins to arrive is still to be listed */
    struct sh_session_held held;
    uint8_t *waiting; /* offers, until the first lane is gone */
    size_t waiting_n;
};

/* session.c */
int64_t sh_session_wall(const struct sh_session *s);
sh_ms sh_session_now(const struct sh_session *s);
/* Over, for this cause; the peer is told if it can be. What is freed is freed in settle. */
void sh_session_end(struct sh_session *s, enum sh_cause cause);
/* The end of every call from outside: takes away what is gone, says the end. */
void sh_session_settle(struct sh_session *s);
void sh_session_go(struct sh_session *s, enum stage stage, sh_ms deadline);
/* Without a stream yet. NULL: no memory. */
struct sh_session *sh_session_make(const struct sh_session_config *config,
                                   const struct sh_session_ops *ops, void *user);

/* session_lanes.c */
SH_MUST_USE enum sh_cause sh_session_first_lane(struct sh_session *s);
/* The first lane is this one, which is up; at failure the caller's still. */
SH_MUST_USE enum sh_cause sh_session_take_first(struct sh_session *s, int kind,
                                                struct sh_lane *lane);
/* The first slot is kept for the first lane. NULL: all are taken. */
struct slot *sh_session_new_slot(struct sh_session *s, int kind, bool first);
/* called: of the anchor, for one that it called for; knows the key of the session's links. */
extern const struct sh_lane_ops sh_session_lane_ops, sh_session_called_lane_ops;
void sh_session_lanes_tick(struct sh_session *s);
void sh_session_lanes_settle(struct sh_session *s);
void sh_session_lanes_free(struct sh_session *s);
/* Tells the peer on every lane that can carry it. */
void sh_session_send_abort(struct sh_session *s, enum sh_cause cause);
/* Any lane that works, ready ones of the best kind first; NULL if there is none. */
struct slot *sh_session_any_lane(struct sh_session *s);
struct slot *sh_session_slot(struct sh_session *s, sh_link_id id);
void sh_session_drop_slot(struct slot *slot, enum sh_cause cause);
SH_MUST_USE enum sh_cause sh_session_derive_link_psk(struct sh_session *s, struct sh_lane *lane);
void sh_session_give(struct sh_session *s, struct slot *slot);
/* Asks the peer on every lane that is up. */
void sh_session_ping_all(struct sh_session *s);
unsigned sh_session_usable_lanes(const struct sh_session *s);
bool sh_session_first_is_up(const struct sh_session *s);
/* Is this kind among --links? Its place there. */
bool sh_session_kind_allowed(const struct sh_session *s, int kind, unsigned *ret_rank);
void sh_session_tell_link(struct sh_session *s, int kind, bool up, enum sh_cause cause);

/* session_join.c. With no lane left, an anchor that does not listen any more, or does not know our key, has ended the session: its own
 * words were lost behind what a slow link had still to carry. */
void sh_session_check_abandoned(struct sh_session *s, enum sh_cause cause);

/* session_back.c: the other direction of `lan` (transfer/back.h) */
/* The anchor calls, or somebody may come in now. */
bool sh_session_may_join(struct sh_session *s, unsigned attempt, int kind);
/* Anybody may have come in there; nothing that it does is the other device's. */
bool sh_session_is_stranger(const struct slot *slot);
/* Secondary: a lane's probes are answered: all who count on that are told. */
void sh_session_link_up(struct sh_session *s, struct slot *slot);
/* Secondary: an attempt began, an attempt failed to connect; offers came. */
void sh_session_note_dial(struct sh_session *s, int kind);
void sh_session_note_connected(struct sh_session *s, int kind);
void sh_session_note_refused(struct sh_session *s, int kind);
void sh_session_note_offers(struct sh_session *s, const Simhop__LinkOffers *offers);
void sh_session_back_tick(struct sh_session *s);
bool sh_session_back_hopes(int kind, void *user);
/* Anchor: the secondary offers to be called; a call failed; a lane of that kind greets, and the secondary says that it has one: no call
 * is needed then, but as long as it is a called one that has yet to be probed. */
enum sh_cause sh_session_on_back_offers(struct sh_session *s, struct slot *slot,
                                        struct sh_bytes payload);
void sh_session_call_failed(struct sh_session *s, unsigned attempt, enum sh_cause cause);
void sh_session_calls_over(struct sh_session *s, const struct slot *slot);
void sh_session_told_up(struct sh_session *s, int kind);
/* Anchor: a message of this type came in on a lane. */
void sh_session_note_called(struct sh_session *s, struct slot *slot, unsigned type);
/* Anchor: a called lane passes small segments, and the full-size ping did not come. */
bool sh_session_is_black_hole(const struct sh_session *s, const struct slot *slot);
bool sh_session_calls(const struct sh_session *s);
/* Both: a lane was taken away for this reason; the session is over. */
void sh_session_back_gone(struct sh_session *s, const struct slot *was, enum sh_cause verdict);
void sh_session_back_end(struct sh_session *s);

/* session_near.c: both ends' samples, before anything else is said inside the channel */
SH_MUST_USE enum sh_cause sh_session_send_samples(struct sh_session *s, struct sh_lane *lane);
enum sh_cause sh_session_on_samples(struct sh_session *s, struct slot *slot,
                                    struct sh_bytes payload);

/* session_returning.c */
SH_MUST_USE enum sh_cause sh_session_returning_key(const struct sh_session *s,
                                                   struct sh_secret *ret_key);
bool sh_session_returning(struct sh_session *s, const uint8_t id[SH_RETURNING_ID_SIZE],
                          const uint8_t nonce[SH_HELLO_NONCE], struct sh_level *ret_level);
/* Fills the peer. */
SH_MUST_USE enum sh_cause sh_session_check_returning(struct sh_session *s, struct sh_lane *lane);

/* session_calibrate.c */
bool sh_session_calibrates(const struct sh_session *s);
/* Does this type of message belong into such a session? */
bool sh_session_is_calibration(unsigned type);
/* After the samples. */
SH_MUST_USE enum sh_cause sh_session_begin_calibration(struct sh_session *s, struct sh_lane *lane);
enum sh_cause sh_session_on_calibrate(struct sh_session *s, struct slot *slot,
                                      struct sh_bytes payload);
enum sh_cause sh_session_on_calibrated(struct sh_session *s, struct slot *slot,
                                       struct sh_bytes payload);

/* session_direct.c */
void sh_session_keep_addresses(struct sh_session *s, const Simhop__LinkOffers *offers);
/* Offers are for later, while the session goes on where it began directly; and now. */
bool sh_session_hold_offers(struct sh_session *s, struct sh_bytes payload);
void sh_session_release_offers(struct sh_session *s);

/* session_anchor.c */
enum sh_cause sh_session_anchor_up(struct sh_session *s, struct sh_lane *lane);
enum sh_cause sh_session_on_enrol_request(struct sh_session *s, struct slot *slot,
                                          struct sh_bytes payload);
enum sh_cause sh_session_on_link_state(struct sh_session *s, struct slot *slot,
                                       struct sh_bytes payload);
void sh_session_anchor_tick(struct sh_session *s);
void sh_session_anchor_free(struct sh_session *s);

/* session_secondary.c */
SH_MUST_USE enum sh_cause sh_session_ask_enrolment(struct sh_session *s, struct sh_lane *lane);
enum sh_cause sh_session_on_enrol_reply(struct sh_session *s, struct slot *slot,
                                        struct sh_bytes payload);
enum sh_cause sh_session_on_link_offers(struct sh_session *s, struct slot *slot,
                                        struct sh_bytes payload);
sh_ms sh_session_secondary_tick(struct sh_session *s);
void sh_session_secondary_free(struct sh_session *s);

/* session_path.c. note: of an attempt or a lane that failed for this cause; returns what that means, as far as can be told now. */
enum sh_cause sh_session_path_note(struct sh_session *s, int kind, const struct sh_path_facts *seen,
                                   enum sh_cause cause);
enum sh_cause sh_session_path_note_slot(struct sh_session *s, const struct slot *slot,
                                        enum sh_cause cause);
extern const struct sh_paths_ops sh_session_paths_ops;
/* Returns when it wants to be called again at the latest. */
sh_ms sh_session_path_tick(struct sh_session *s, sh_ms now);
enum sh_cause sh_session_on_link_query(struct sh_session *s, struct slot *slot,
                                       struct sh_bytes payload);
enum sh_cause sh_session_on_link_view(struct sh_session *s, struct slot *slot,
                                      struct sh_bytes payload);

/* session_trace.c: they do nothing more without a recorder */
#define TRACE(s, kind, ...)                                                                        \
    SH_TRACE((s)->config.tracer, (s)->ops->now((s)->user), (s)->number, kind, __VA_ARGS__)
/* What an engine decides by: at the time of the session that the engine is given. */
#define TRACE_AT(s, now, kind, ...)                                                                \
    SH_TRACE((s)->config.tracer, (now) + (s)->asleep, (s)->number, kind, __VA_ARGS__)
void sh_session_trace_measure(struct sh_session *s);
void sh_session_trace_measured(struct sh_session *s, const struct sh_proximity_estimate *estimate);
void sh_session_trace_theirs(struct sh_session *s, const struct sh_samples *theirs);
void sh_session_trace_judged(struct sh_session *s, enum sh_cause cause, bool demanded);
void sh_session_trace_transfer(struct sh_session *s, uint64_t chance);
void sh_session_trace_moved(struct sh_session *s);
/* The ladder's tick, and its record: where it may change what the transfer's engines do, and at least each second. */
sh_ms sh_session_ask_ladder(struct sh_session *s, sh_ms now);
/* Something comes in for the ladder or the ways: at this time, for them and for its record. What the ladder brings about while it is
 * asked is of the time at which it is asked. */
sh_ms sh_session_event(struct sh_session *s);
void sh_session_trace_ended(struct sh_session *s);
/* What the ladder and the puller are told, with a record of it. */
SH_MUST_USE enum sh_cause sh_session_take_offers(struct sh_session *s,
                                                 const Simhop__LinkOffers *offers);
void sh_session_attempt_up(struct sh_session *s, unsigned attempt, int kind);
void sh_session_attempt_down(struct sh_session *s, unsigned attempt, enum sh_cause verdict);
void sh_session_expect_links(struct sh_session *s);

/* session_bundle.c: a bundle that was received: ours, for us, newer; then it is kept under its final name. *ret_path is malloc'ed. */
SH_MUST_USE enum sh_cause sh_session_accept_bundle(struct sh_session *s, const char *path,
                                                   char **ret_path);

/* session_begun.c: files of more than one leaf stand in the registry's list while pieces of them are kept; a smaller one is
 * there or is not, and a bundle is issued anew each time. A list that cannot be written is no reason to end a transfer. */
/* Where the manifest came and no leaf yet; else nothing. Not with the manifest itself: the list waits for the disk, the first request for
 * leaves does not have to. */
void sh_session_note_begun(struct sh_session *s);
/* The session is over: what is kept, and what is complete or was never begun leaves the list. */
void sh_session_note_held(struct sh_session *s);

#endif
