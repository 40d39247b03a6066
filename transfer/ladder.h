/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which links to try, in what order, when: an engine on the secondary. The anchor's offers become
 * attempts, one an address (IPv6 and IPv4 in turn, RFC 8305 section 4), raced with SH_RACE_MS
 * between their starts, or at once when one failed (section 5); the first of a kind that works ends
 * the others of its kind. A kind whose attempts all failed, or whose link went down, is tried again
 * after a back-off of SH_BACKOFF_MS, doubled each round and a quarter more or less by chance, at most SH_LADDER_ROUNDS times in
 * all; a link that was up for SH_STEADY_MS begins the count anew.
 *
 * Where small segments pass and large ones do not (link.mtu: a black hole, since nobody says so), the kind is tried again at once with
 * segments of at most 1200 and then 900 octets, which costs no round; after a stall (link.stalled) the next round has such.
 *
 * What the anchor offers no more is not looked for any longer: its attempts end at once (wifi.group-lost, link.not-listening).
 *
 * Wi-Fi Direct costs the radio and the person something, so it is tried only while no better kind is
 * up, and not in the first SH_YIELD_MS while a better one is tried.
 */
#ifndef SIMHOP_TRANSFER_LADDER_H
#define SIMHOP_TRANSFER_LADDER_H

#include "proto/msg.h"

#define SH_RACE_MS         250
#define SH_DIAL_MS         4000  /* one attempt, until its probes are answered */
#define SH_JOIN_MS         20000 /* the same where a Wi-Fi Direct group has to be joined first */
#define SH_YIELD_MS        1000 /* what costs the radio something waits so long for a better kind */
#define SH_LADDER_ROUNDS   3
#define SH_BACKOFF_MS      1000
#define SH_STEADY_MS       10000
#define SH_LADDER_ATTEMPTS 16

/* How to join a group; of Simhop__WifiGroup, checked. */
struct sh_wifi_group {
    uint8_t ssid[32];
    size_t ssid_len;     /* 1 .. 32; 0: no group */
    char passphrase[64]; /* 8 to 63 characters, printable ASCII */
    uint8_t bssid[6];
    uint32_t frequency_mhz;
};

struct sh_attempt {
    unsigned id; /* 1.. */
    int kind;    /* Simhop__LinkKind */
    uint8_t address[16];
    size_t address_len; /* 4 or 16 */
    uint16_t port;
    uint16_t segment; /* octets in a TCP segment at most, both ways; 0: as the path says */
    struct sh_wifi_group group; /* of kind wifi-direct */
};

/* dial and cancel may call sh_ladder_down at once. An attempt that was cancelled, failed or went
 * down is not heard of again; its number is not used again. */
struct sh_ladder_ops {
    void (*dial)(const struct sh_attempt *attempt, void *user);
    void (*cancel)(unsigned attempt, void *user);
    /* A kind is given up (after its last round), with the most telling cause of its attempts. */
    void (*failed)(int kind, enum sh_cause cause, void *user);
};

struct sh_ladder;

/* allowed: the kinds of --links, best first. seed: of the back-offs' chance. */
SH_MUST_USE enum sh_cause sh_ladder_new(const int *allowed, size_t count, uint64_t seed,
                                        const struct sh_ladder_ops *ops, void *user,
                                        struct sh_ladder **ret_ladder);
void sh_ladder_free(struct sh_ladder *ladder);
/* A kind is given up after so many rounds, in place of SH_LADDER_ROUNDS. */
void sh_ladder_limit(struct sh_ladder *ladder, unsigned rounds);

/* Position of a kind in `allowed`, smaller is better; the count if it is not allowed. */
unsigned sh_ladder_rank(const struct sh_ladder *ladder, int kind);

/* Fails with proto.malformed (address length, port not in 1..65535, a group that is none) and then changes nothing.
 * Kinds that are unknown or not allowed are passed over, and so are addresses over
 * SH_LADDER_ATTEMPTS. An offer takes the place of an earlier one of its kind; a kind that was
 * given up is tried again. A kind without an address, or that is not among them, is withdrawn: it is given up, and a link of it that is
 * up stays until it goes down. */
SH_MUST_USE enum sh_cause sh_ladder_offers(struct sh_ladder *ladder,
                                           const Simhop__LinkOffers *offers, sh_ms now);
/* Whether an offer of a kind that is known may be used at all: fails as sh_ladder_offers does. */
SH_MUST_USE enum sh_cause sh_ladder_check_offer(const Simhop__LinkOffer *offer);
/* Something changed that may let a kind work which failed: tried anew from its first round, unless it is being tried or up. */
void sh_ladder_again(struct sh_ladder *ladder, int kind, sh_ms now);
/* The link of this attempt is up (probes answered), failed, or was up and went down. An attempt
 * that is not heard within SH_DIAL_MS is cancelled by tick and counts as link.timeout. */
void sh_ladder_up(struct sh_ladder *ladder, unsigned attempt, sh_ms now);
void sh_ladder_down(struct sh_ladder *ladder, unsigned attempt, enum sh_cause cause, sh_ms now);
/* A link of this kind came up that none of the attempts made (the other device called): they end. It went down: as if an attempt's
 * had. */
void sh_ladder_taken(struct sh_ladder *ladder, int kind, sh_ms now);
void sh_ladder_lost(struct sh_ladder *ladder, int kind, enum sh_cause cause, sh_ms now);
/* Returns when it wants to be called again at the latest. Is anything still being tried? */
sh_ms sh_ladder_tick(struct sh_ladder *ladder, sh_ms now);
bool sh_ladder_trying(const struct sh_ladder *ladder);
/* Are attempts of this kind under way, or about to start? */
bool sh_ladder_dials(const struct sh_ladder *ladder, int kind);

#endif
