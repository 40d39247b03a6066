/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two devices and the air between them, in memory and in virtual time: real sessions, handshakes, TLS, registries and
 * stores; only the carriers are made up. Every chunk that a session sends is a numbered step, and a fault can be
 * put on any step: lost, doubled, delayed, cut in the middle, one bit bent.
 */
#ifndef SIMHOP_TESTS_SIM_WORLD_H
#define SIMHOP_TESTS_SIM_WORLD_H

#include "cli/session.h"

enum fault_kind {
    FAULT_NONE,
    FAULT_LOSE,
    FAULT_DOUBLE,
    FAULT_DELAY,
    FAULT_CUT,
    FAULT_BEND,
    FAULT_KINDS
};
extern const char *const fault_names[FAULT_KINDS];

/* From one chunk on everything is swallowed, and nobody is told: on its way, on its stream both ways, or on all streams. */
enum hole_kind { HOLE_NONE, HOLE_ONE_WAY, HOLE_STREAM, HOLE_ALL, HOLE_KINDS };
extern const char *const hole_names[HOLE_KINDS];

#define GROUP_START_MS 900

struct device {
    struct sh_identity *identity;
    struct sh_registry *registry;
    char name[SH_NAME_MAX + 1];
};

struct world;

/* One run of one session between two devices. */
struct run {
    /* What the test asks for. */
    bool lan; /* the anchor offers LAN too */
    bool
        group; /* both may use Wi-Fi Direct; the anchor has a group up GROUP_START_MS after it is wanted */
    sh_ms group_goes_after;         /* since it came up, for good; 0 = never */
    bool group_unanswered;          /* who joins it hears nothing */
    enum sh_cause lan_fails;        /* each attempt on LAN, at once; SH_OK: none does */
    struct sh_path_facts lan_facts; /* and what is seen of it */
    enum { NO_VIEW, VIEW_LISTENS, VIEW_CLOSED } view; /* what the anchor answers when it is asked */
    bool lan_has_no_address; /* LAN may be used, but the anchor cannot be called there */
    /* What becomes of the anchor's calls; NO_BACK: the secondary cannot listen. */
    enum { NO_BACK, BACK_WORKS, BACK_REFUSED, BACK_DROPPED } back;
    /* On what the anchor calls for, segments of more octets are lost, that way; 0: none are. */
    unsigned back_passes;
    enum { HOLE_BOTH_WAYS, HOLE_TO_ANCHOR, HOLE_TO_SECONDARY } back_hole;
    bool ble_dies_then; /* behind the offer; strangers come when it is dead, before the anchor */
    bool back_is_malformed; /* what the secondary offers has port 0 */
    unsigned back_repeats;  /* it offers so many times more, always the same */
    sh_ms back_dies_after;  /* each such link, from its connection; 0 = never */
    /* So many others come to the open door first: they say nothing, no TLS, have another key. */
    enum {
        STRANGER_SILENT,
        STRANGER_BABBLES,
        STRANGER_HAS_ANOTHER_KEY,
        STRANGER_KNOWS_NO_KEY
    } stranger;
    unsigned strangers;
    sh_ms lan_dies_after;            /* virtual, from its connection; 0 = never */
    sh_ms ble_latency, link_latency; /* each way; 0 = 20 and 1 */
    bool ble_carries;                /* ble is among --links */
    double distance_m;               /* 0 = 0.25 */
    int louder_db[2];                /* by enum sh_role: what that side hears is amplified */
    bool stepped, weak_heard;        /* the anchor stepped its power; the weakest was heard */
    bool levels_stated;              /* neither knows the other's level but by what is stated */
    bool calibrate;                  /* the secondary connects to calibrate, with what it found: */
    struct sh_calibrated found;
    bool learns, shares_nothing; /* the anchor */
    double anchor_level_db;      /* by so much the anchor is wrong about the level at one metre */
    enum sh_proximity_policy anchor_policy, secondary_policy;
    unsigned wrong_codes; /* typed before the right one */
    bool never_type;
    enum fault_kind fault;
    unsigned fault_step; /* from 0 */
    uint64_t seed;
    enum hole_kind hole;
    unsigned hole_step;   /* from 0 */
    bool deaf[2];         /* by enum sh_role: that side hears no signal strength */
    bool dial_unanswered; /* whoever is dialled never answers */
    bool direct; /* no radio: the secondary, which is linked, calls by the network, `lan` or not */
    sh_ms direct_breaks_after; /* virtual: that connection only; 0 = never */
    bool stop_in_transfer; /* the secondary's person interrupts when the first item is on its way */
    sh_ms sleeps_for;      /* machines sleep then, once; 0 = not */
    bool sleeps[2];        /* which, by enum sh_role: it is told of it when it wakes */

    sh_ms
        anchor_step_ms; /* what it does at a time when nothing moves (16 leaves hashed) takes it so long; 0 = none */

    struct sh_receipts *book; /* the anchor's receipts wait there: `meddle` commits; NULL: no */

    void (*meddle)(struct world *world); /* after each step; NULL: nobody does */

    /* What came of it. */
    bool anchor_over, secondary_over;
    enum sh_cause anchor_cause, secondary_cause;
    bool anchor_done, secondary_done;
    unsigned steps;    /* chunks sent by both */
    sh_ms ended_after; /* virtual, until both were over */
    unsigned codes_shown, groups_wanted;
    sh_ms group_wanted_after; /* since the transfer began */
    uint64_t link_bytes[SH_SESSION_KINDS], resumed;
    unsigned views;       /* that the anchor was asked for */
    unsigned segments[8]; /* of the first of these calls */
    unsigned opened, closed, calls,
        strangers_gone;             /* the secondary's door; what the anchor called */
    sh_ms opened_after, back_after; /* since the transfer began; the last ones */
    unsigned dials_while_up;        /* of the secondary's, when LAN had come up */
    sh_ms lan_up_after;             /* since the transfer began; the secondary's last one */
    unsigned lan_ups[2];            /* by enum sh_role: times that LAN came up */
    uint64_t anchor_link_bytes[SH_SESSION_KINDS];
    unsigned group_failed,
        group_cancelled; /* times that it was given up, that joining it was stopped */
    enum sh_cause
        group_verdict[2];      /* by enum sh_role: the last one, and what the anchor heard of it */
    sh_ms group_verdict_after; /* since the group went */
    unsigned lan_failed;       /* times that LAN was given up */
    enum sh_cause lan_verdict, lan_verdict_anchor; /* the last one; what the anchor heard of it */
    sh_ms lan_verdict_after;                       /* since the transfer began */
    size_t item_count;
    enum sh_phase last_phase;
    bool holed;             /* the chunk of the hole was sent */
    enum sh_phase phase[2]; /* by enum sh_role: in which it ended */
    /* From the last sign of life (a phase, a verified byte), or from the hole where that is later, to the end. */
    sh_ms silent[2];
    unsigned calibrated[2]; /* by enum sh_role: how often it was told that a level was kept */
    struct sh_calibrated kept[2];
    struct sh_nearness nearness[2]; /* by enum sh_role; zeros: it was not judged */
};

/* Two devices and what the anchor shares: `sizes` items of random bytes and a bundle of two lines. dir is a fresh folder for
 * the secondary's files. */
struct world *world_new(const uint64_t *sizes, size_t count, bool bundle);
/* The anchor's program begins anew: what it has hashed of its items it does not know any more. */
void world_restart_anchor(struct world *world);
void world_free(struct world *world);
sh_ms world_now(const struct world *world);
struct device *world_anchor(struct world *world);
struct device *world_secondary(struct world *world);
/* Forgets links, attempts and received files: as new, with the same identities. */
void world_reset(struct world *world);
/* Runs one session to its end on both sides, at most `limit` of virtual time. */
void world_run(struct world *world, struct run *run, sh_ms limit);
/* Did every item arrive as it was sent, and nothing else that looks finished? */
bool world_files_equal(struct world *world);
/* Are there files under a final name that differ from what was sent? */
bool world_half_files(struct world *world);

/* A raw peer in the place of one side: bytes that a test writes, to a session of the other role. */
struct raw {
    enum sh_role session_role;
    bool over;
    enum sh_cause cause;
    bool peer_closed;
    uint8_t got[8192]; /* what the session sent, cut at the end */
    size_t got_len;
};
struct raw_peer;
struct raw_peer *raw_new(struct world *world, struct raw *raw);
void raw_send(struct raw_peer *peer, const void *bytes, size_t n);
void raw_wait(struct raw_peer *peer, sh_ms time);
void raw_free(struct raw_peer *peer);

#endif
